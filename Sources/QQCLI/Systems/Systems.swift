import QQCore

/// The systems that `qq` knows, and questions to all of them together.
enum Systems {
    /// The systems that `qq` includes, in the order of the documentation. A new system is one more entry.
    static let builtIn: [SystemDescription] = [.leaseFiles, .quorumQuest, .raftLock, .nats, .kubernetes, .etcd, .consul]

    /// The systems of this process.
    static var all: [SystemDescription] { chosen }

    // Set once, before anything else runs. A Mutex must not be locked before the front process has forked.
    nonisolated(unsafe) private static var chosen = builtIn

    /// Chooses the systems of this process. Call before anything else, because flags, commands and pages are made from the systems once.
    static func use(_ systems: [SystemDescription]) { chosen = systems }

    /// The system of a server URL; nil if this process does not know it.
    static func of(_ system: ServerURL.System) -> SystemDescription? { all.first { $0.url == system } }

    /// The systems in whose elections this version can take part.
    static var spoken: [SystemDescription] { all.filter(\.isSpoken) }

    /// The display names of the systems that have a capability, joined by "and".
    static func able(_ capability: Capability) -> String { list(spoken.filter { $0.has(capability) }.map(\.displayName)) }

    // MARK: URLs

    /// Reads a server URL of any of the systems.
    static func url(_ text: String) throws(ServerURL.Invalid) -> ServerURL { try ServerURL.parse(text, as: all.map(\.url)) }

    /// Whether a text ends in a scheme whose URLs contain no credentials, so that an `@` has no special meaning. The whole scheme must match: a scheme that
    /// only ends like it, for example a mistyped one, might precede credentials.
    /// - Parameter text: the text before the `://`, in lower case. A flag can precede the scheme, as in `--server=file` and `-sfile`.
    static func endsInSchemeWithoutCredentials(_ text: String) -> Bool {
        let word = String(text.reversed().prefix { $0.isLetter || $0.isNumber || "+-.".contains($0) }.reversed())
        return all.contains { system in
            !system.url.hasCredentials
                && system.url.schemes.contains { word == $0.name || word.hasPrefix("-") && word.hasSuffix("s" + $0.name) }
        }
    }

    /// The scheme of folders on this machine, for completion.
    static var folderScheme: String { all.first { $0.url.isFolder }?.url.schemes.first?.name ?? "file" }

    // MARK: Flags

    /// The flags for logins.
    static var logins: [AnyFlag] { distinct(all.flatMap { $0.logins() }) }

    /// The other flags of systems under the wanted headings, each once.
    static func flags(where isWanted: (FlagGroup) -> Bool) -> [AnyFlag] {
        // Help shows the flags of the last system first.
        distinct(all.reversed().flatMap { $0.flags() }).filter { isWanted($0.group) }
    }

    /// Rules that exclude two logins on one system.
    static var rules: [Rule] {
        all.flatMap { system in
            let logins = system.logins()
            return logins.indices.flatMap { index in logins[(index + 1)...].map { Rule.exclusive(logins[index], $0) } }
        }
    }

    private static func distinct(_ flags: [AnyFlag]) -> [AnyFlag] {
        var names: Set<String> = []
        return flags.filter { names.insert($0.name).inserted }
    }

    // MARK: Texts

    /// `lease files, Quorum Quest, RaftLock and NATS`.
    static func list(_ names: [String], _ word: String = "and") -> String {
        guard names.count > 1, let last = names.last else { return names.first ?? "" }
        return "\(names.dropLast().joined(separator: ", ")) \(word) \(last)"
    }

    /// The common default, followed by the defaults of the systems that have another one: `15s, NATS 10s`.
    static func defaultText<Value: Equatable>(
        _ value: KeyPath<SystemDescription, Value>, _ common: Value, _ text: (Value) -> String
    ) -> String {
        ([text(common)]
            + spoken.compactMap { $0[keyPath: value] == common ? nil : "\($0.displayName) \(text($0[keyPath: value]))" })
            .joined(separator: ", ")
    }

    /// The defaults of the systems that differ from the common one, as sentences: `The default on RaftLock is 0.1.`
    static func otherDefaults<Value: Equatable>(
        _ value: KeyPath<SystemDescription, Value>, _ common: Value, _ text: (Value) -> String
    ) -> String {
        spoken.compactMap {
            $0[keyPath: value] == common ? nil : "The default on \($0.displayName) is \(text($0[keyPath: value]))."
        }.joined(separator: " ")
    }

    /// Sentences that systems append to the long help of a common flag.
    static func notes(on flag: String) -> [String] { documentation.compactMap { $0.notes[flag] } }

    /// Sentences that systems append to the description of a command.
    static func notes(on command: CommandName) -> [String] { documentation.compactMap { $0.commandNotes[command] } }

    static var documentation: [SystemDocumentation] { all.compactMap { $0.documentation?() } }
}
