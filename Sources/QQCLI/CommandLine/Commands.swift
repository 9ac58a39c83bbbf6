/// The names of the commands, in the order of help. An exhaustive switch over them runs a command.
enum CommandName: String, Word {
    case acquire, release, keepalive, status, watch
    case stepDown = "step-down"
    case clusterStatus = "cluster-status"
    case context, repl
    case completions, man, help, version
    case complete = "__complete"
    case generate = "__generate"

    /// The declaration of the command. It is made on first use, so that a start makes only one of them.
    var command: Command {
        switch self {
        case .acquire: Commands.acquire
        case .release: Commands.release
        case .keepalive: Commands.keepalive
        case .status: Commands.status
        case .watch: Commands.watch
        case .stepDown: Commands.stepDown
        case .clusterStatus: Commands.clusterStatus
        case .context: Commands.context
        case .repl: Commands.repl
        case .completions: Commands.completions
        case .man: Commands.man
        case .help: Commands.help
        case .version: Commands.version
        case .complete: Commands.complete
        case .generate: Commands.generate
        }
    }
}

/// The declarations of all commands.
enum Commands {
    /// In the order of help.
    static let all = CommandName.allCases.map(\.command)

    /// The commands that help shows.
    static var visible: [Command] { all.filter { !$0.isHidden } }

    /// The commands that have a manual page of their own.
    static let withManPage: [Command] = [acquire, release, keepalive, status, watch, stepDown, clusterStatus, context, repl]

    /// The command of this name, hidden ones included.
    static func named(_ name: String) -> Command? { CommandName(rawValue: name)?.command }

    /// Rules of every command with the global flags.
    static var globalRules: [Rule] {
        [
            .exclusive(Flags.quiet.erased, Flags.verbose.erased), .requires(Flags.tlsKey.erased, Flags.tlsCert.erased),
        ] + Systems.rules
    }
}
