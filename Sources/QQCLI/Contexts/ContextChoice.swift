import Glibc
import QQCore

/// The context that applies to a command line, and the flags that it supplies.
struct ContextChoice: Sendable {
    let entry: ContextsFile.Entry
    /// The file of the context.
    let path: String

    /// The context that `--context` or `QQ_CONTEXT` names, or else the current one; nil if none applies.
    ///
    /// A command line that names a server ignores the current context entirely, because its identity and credentials are for another server.
    init?(for invocation: Invocation) throws(CoordinationError) {
        let named = invocation[Flags.context] ?? filledVariable("QQ_CONTEXT")
        if named == nil, invocation.isGiven(Flags.server) || invocation.isGiven(Flags.clusterConfig) || filledVariable("QQ_SERVER") != nil {
            return nil
        }
        let store: ContextsStore
        do throws(CoordinationError) { store = try ContextsStore() } catch {
            // Without a home folder there are no contexts.
            if named == nil { return nil }
            throw error
        }
        let file = try store.read()
        guard let name = named ?? file.current else { return nil }
        guard let found = file[name] else {
            if named != nil { throw Self.unknown(name, in: file, at: store.path) }
            throw CoordinationError(
                .configuration, "cannot use the contexts", because: "the current context '\(Printable.text(name))' is not among them",
                at: store.path, hint: "choose one: qq context use NAME")
        }
        entry = found
        path = store.path
    }

    static func unknown(_ name: String, in file: ContextsFile, at path: String) -> CoordinationError {
        let names = file.entries.map(\.name)
        return CoordinationError(
            .configuration, "no context is called \(name.quoted)", because: "", at: path,
            hint: Suggestion.hint(for: name, among: names)
                ?? (names.isEmpty ? "make one: qq context add NAME -s URL" : "there are \(names.joined(separator: ", "))"))
    }

    /// The value of a key, as on a command line. Relative paths start at the folder of the contexts.
    func text(_ key: String) -> String? {
        guard let text = entry[key] else { return nil }
        guard ContextsFile.pathKeys.contains(key), !text.hasPrefix("/") else { return text }
        return String(path[...(path.lastIndex(of: "/") ?? path.startIndex)]) + text
    }

    /// Whether a context's value of `flag` applies, given the command line and the environment.
    static func applies(_ flag: AnyFlag, to invocation: Invocation) -> Bool {
        if invocation.isGiven(flag) || flag.environment.map({ filledVariable($0) != nil }) ?? false { return false }
        if [Flags.server.erased.name, Flags.clusterConfig.erased.name].contains(flag.name) {
            return !invocation.isGiven(Flags.server) && !invocation.isGiven(Flags.clusterConfig) && filledVariable("QQ_SERVER") == nil
        }
        // A connection has only one login. A login from the command line or the environment replaces the context's login.
        for system in Systems.all {
            let logins = system.logins()
            guard logins.contains(where: { $0.name == flag.name }) else { continue }
            return !logins.contains { invocation.isGiven($0) || $0.environment.map { filledVariable($0) != nil } ?? false }
                && !system.secretVariables.contains { filledVariable($0) != nil }
        }
        return true
    }

    /// The command line with the context's values for the flags that it does not set.
    func fill(_ invocation: Invocation) throws(CoordinationError) -> Invocation {
        var values: [GivenFlag] = []
        for setting in entry.settings {
            guard let flag = invocation.command.flags.first(where: { $0.name == setting.key }), Self.applies(flag, to: invocation),
                let text = text(setting.key), !flag.isSwitch || text == "true"
            else { continue }
            do throws(UsageError) { values.append(GivenFlag(name: flag.name, text: text, value: try flag.read(text))) } catch {
                throw CoordinationError(
                    .configuration, "cannot use '\(setting.key)' of context \(entry.name)", because: error.message,
                    at: "\(path), line \(setting.line)", hint: error.hint)
            }
        }
        return invocation.adding(values)
    }
}
