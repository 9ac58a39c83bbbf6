/// The commands by name, in the order of help. Running one is an exhaustive switch over these.
enum CommandName: String, Word {
    case acquire, release, keepalive, status, watch
    case stepDown = "step-down"
    case clusterStatus = "cluster-status"
    case context, repl
    case completions, man, help, version
    case complete = "__complete"
    case generate = "__generate"

    /// The declaration. Each is made when first asked for, so that a start pays for one command and not for all.
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

/// Every command, declared once.
enum Commands {
    /// In the order of help.
    static let all = CommandName.allCases.map(\.command)

    /// Those that help shows.
    static var visible: [Command] { all.filter { !$0.isHidden } }

    /// Those that talk to a system and have a manual page of their own.
    static let withManPage: [Command] = [acquire, release, keepalive, status, watch, stepDown, clusterStatus, context, repl]

    /// The command of this name, hidden ones included.
    static func named(_ name: String) -> Command? { CommandName(rawValue: name)?.command }

    /// Holds on every command with the global flags.
    static var globalRules: [Rule] {
        [
            .exclusive(Flags.quiet.erased, Flags.verbose.erased), .requires(Flags.tlsKey.erased, Flags.tlsCert.erased),
        ] + Systems.rules
    }
}
