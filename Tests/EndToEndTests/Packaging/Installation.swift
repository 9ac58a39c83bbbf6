import Foundation
import Support
import Testing

/// The files of the repository, and runs of make.
enum Repository {
    static var top: String { Page.top.path }

    /// The names of the files in a folder of the repository that end like this, sorted.
    static func files(_ folder: String, _ endings: String...) -> [String] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: top + "/" + folder)) ?? []
        return all.filter { name in endings.isEmpty || endings.contains { name.hasSuffix($0) } }.sorted()
    }

    /// The units of systemd that are installed.
    static var units: [String] { files("packaging/systemd", ".service", ".timer", ".socket", ".target", ".path", ".slice") }

    /// The paths of all installed files below the prefix, as the folders of the repository say, not the Makefile.
    static var installed: Set<String> {
        let pages = files("man").map { "share/man/man\($0.suffix(1))/\($0)" }
        let documents =
            ["README.md", "CHANGELOG.md", "copyright"] + files("docs", ".md").map { "docs/" + $0 }
            + files("docs/images").map { "docs/images/" + $0 }
        let examples =
            files("packaging", ".service", ".timer")
            + files("packaging").filter { $0 != "systemd" }.flatMap { folder in files("packaging/" + folder).map { folder + "/" + $0 } }
            .filter { !$0.hasSuffix(".test.yml") }
        return Set(
            [
                "bin/qq", "share/bash-completion/completions/qq", "share/zsh/site-functions/_qq", "share/fish/vendor_completions.d/qq.fish",
            ] + pages + units.map { "lib/systemd/system/" + $0 } + documents.map { "share/doc/qq/" + $0 }
                + examples.map { "share/doc/qq/examples/" + $0 })
    }
}

extension Sandbox {
    /// Copies what `make install` and Scripts/deb read into `copy`.
    func copyRepository() async throws -> String {
        let parts = ["Makefile", "Scripts", "man", "completions", "docs", "packaging", "README.md", "CHANGELOG.md"]
        let script = "mkdir copy && cd \"$1\" && shift && cp -r \"$@\" \"\(path("copy"))\""
        let copied = try await start(["sh", "-c", script, "sh", Repository.top] + parts).finish()
        guard copied.code == 0 else { throw CannotStart("cannot copy the repository: \(copied.errors)") }
        return path("copy")
    }

    /// Compiles a program that prints a line, in the place of `qq`.
    func compileStandIn(printing line: String, flags: String...) async throws -> String {
        try write("int puts(const char *);\nint main(void) { puts(\"\(line)\"); return 0; }\n", to: "stand-in.c")
        let compiled = try await start(["cc"] + flags + ["-o", path("stand-in"), path("stand-in.c")]).finish()
        guard compiled.code == 0 else { throw CannotStart("cc failed: \(compiled.errors)") }
        return path("stand-in")
    }

    /// The files below a folder, without the folder's own path.
    func filesBelow(_ folder: String) async throws -> Set<String> {
        Set(try await start(["find", folder, "!", "-type", "d", "-printf", "%P\\n"]).finish().lines)
    }
}
