import Glibc
import QQCore

/// `man [PAGE]`: shows a page with the system's man(1) on a terminal, and prints its source elsewhere.
func showManual(_ name: String?) throws -> Int32 {
    guard let page = name.map({ ManPages.named($0) }) ?? ManPages.all.first else {
        let names = ManPages.all.map(\.name)
        throw UsageError(
            "no manual page \((name ?? "").quoted)",
            hint: Suggestion.hint(for: name ?? "", among: names) ?? "pages: " + names.joined(separator: ", "))
    }
    guard isatty(1) == 1 else {
        try Output.write(String(page.roff.dropLast()))
        return ExitCode.yes
    }
    // man(1) reads the page from its input.
    guard let pipe = popen("man -l -", "w") else {
        throw CoordinationError(
            .unavailable, "cannot show the page", because: SystemCallError("popen").reason, hint: "qq man | less shows its source")
    }
    fputs(page.roff, pipe)
    let status = pclose(pipe)
    guard status == 0 else {
        throw CoordinationError(
            .unavailable, "cannot show the page", because: "man failed",
            hint: "install man-db, or read the page's source: qq man \(name ?? "") | less")
    }
    return ExitCode.yes
}

/// `__generate DIR`: writes man/ and completions/.
func writeGeneratedFiles(below folder: String) throws -> Int32 {
    for file in generatedFiles() {
        let path = folder + "/" + file.path
        do throws(AtomicFile.Failure) { try AtomicFile.write(Array(file.contents.utf8), to: path, mode: 0o644) } catch {
            throw CoordinationError(.unavailable, "cannot write a generated file", because: error.reason, at: path)
        }
    }
    return ExitCode.yes
}

extension Setup {
    /// `__complete KIND [PREFIX]`: prints candidates for the shell. A failure prints nothing, not even an error, because the user is typing.
    func complete() async -> Int32 {
        let prefix = invocation.positionals.dropFirst().first ?? ""
        var names: [String] = []
        switch invocation.positionals[0] {
        case "elections":
            // Only names are shown, so nothing else is read. Slots of a name are grouped by their names.
            let found = (try? await coordinator.lister?.electionNames()) ?? []
            names = coordinator.grouped(found.map { ElectionState(name: $0, phase: .unknown) }).map(\.name)
            // A name whose contenders disagree on the number of slots is listed more than once.
            names = names.indices.filter { $0 == 0 || names[$0] != names[$0 - 1] }.map { names[$0] }
        case "grants": names = GrantStore().names(at: server)
        case "contexts": names = ((try? ContextsStore().read())?.entries ?? []).map(\.name)
        default: break
        }
        for name in names where name.hasPrefix(prefix) && CompletionSource.isOffered(name) { try? output.print(name) }
        return ExitCode.yes
    }
}
