/// Every command, declared once.
enum Commands {
    /// In the order of help.
    static let all: [Command] = [
        acquire, release, keepalive, status, watch, stepDown, clusterStatus, completions, man, help, version, complete, generate,
    ]

    /// Those that help shows.
    static var visible: [Command] { all.filter { !$0.isHidden } }

    /// Those that talk to a system and have a manual page of their own.
    static let withManPage: [Command] = [acquire, release, keepalive, status, watch, stepDown, clusterStatus]

    /// The command of this name, hidden ones included.
    static func named(_ name: String) -> Command? { all.first { $0.name == name } }

    /// Holds on every command with the global flags.
    static let globalRules: [Rule] = [.exclusive(Flags.quiet.erased, Flags.verbose.erased)]
}
