import QQCore
import QQGRPC
import QQLoop
import QQNATS

/// A coordination system as the command line knows it: all that differs from system to system stands here, beside its coordinator.
///
/// There is one value a system, in a file of its own, and one list of them: ``Systems``. Whoever needs to know which system it is asks this value.
struct SystemDescription: Sendable {
    /// Its name in JSON, its schemes and ports, and what its URLs contain.
    let url: ServerURL.System
    /// The name in messages and help, in the middle of a sentence: `NATS`, `lease files`.
    let displayName: String

    // MARK: Defaults

    /// The identity to ask under if none is given.
    var identity: @Sendable () -> String = { Identity.generated() }
    var ttl: Duration = Defaults.ttl
    var backoff: BackoffRange = Defaults.backoff
    /// The part of itself by which each pause varies.
    var jitter: Double = Defaults.jitter
    /// The failures to retry, by their codes; nil for every transient one.
    var retriedCodes: @Sendable (Invocation) -> Set<String>? = { _ in nil }
    /// The server URL that applies if none is given; nil for all systems but one.
    var embedded: (@Sendable () throws(ServerURL.Invalid) -> ServerURL)?

    // MARK: Flags and variables

    /// The flags that each say how to log in, of which only one can be given.
    var logins: @Sendable () -> [AnyFlag] = { [] }
    /// Its other flags, which only this system and those that list them, too, take.
    var flags: @Sendable () -> [AnyFlag] = { [] }
    /// Variables that hold secrets to log in with. Nothing that `qq` starts is given them.
    var secretVariables: [String] = []

    // MARK: Output

    /// The columns of `status` beside the usual ones.
    var columns: [StatusColumn] = []
    /// What to do if nothing answers; nil for the usual advice on servers.
    var unreachableHint: String?

    // MARK: The rest

    /// What its coordinator can do; nil for a system that is known by its URL only.
    var capabilities: (@Sendable () -> Capabilities)?

    /// Made when it is asked for: most commands print none of it. Nil for a system that is known by its URL only.
    var documentation: (@Sendable () -> SystemDocumentation)?
    /// Makes its coordinator, without asking anything of a server. Nil for a system that is known by its URL only.
    var makeCoordinator: (@Sendable (CoordinatorInput) throws(CoordinationError) -> any Coordinator)?
}

extension SystemDescription {
    /// The flags that only this system and those that list them, too, take.
    var ownFlags: [AnyFlag] { logins() + flags() }

    /// Whether this version can take part in its elections.
    var isSpoken: Bool { makeCoordinator != nil }

    /// Whether this version can do that on the system.
    func has(_ capability: Capability) -> Bool { capabilities?().has(capability) ?? false }
}

/// A column of `status` beside those of all systems.
struct StatusColumn: Sendable {
    /// In capitals: `EPOCH`.
    let heading: String
    /// The text to show; nil if it is not known.
    let text: @Sendable (ElectionState) -> String?
}

/// The texts of a system in help and manual pages.
struct SystemDocumentation: Sendable {
    /// Its server URLs, with markup: `` `file:///`*DIR* ``.
    var urls: String
    /// What an election is there and what *NAME* can be, for qq(1).
    var meaning: String
    /// Variables that it reads, for qq(1).
    var environment: [(name: String, meaning: String)] = []
    /// Sentences that follow the long help of common flags, by the flag's name.
    var notes: [String: String] = [:]
    /// Sentences that follow the description of a command.
    var commandNotes: [CommandName: String] = [:]
    /// What `cluster-status --json` prints of an endpoint beside the usual keys, for qq-json(5).
    var endpointFields: [Schema.Field] = []
    /// Its own page in section 7.
    var manual: (@Sendable () -> ManPage)?
}

/// What a coordinator is made from.
struct CoordinatorInput: Sendable {
    let choice: ServerChoice
    /// The cluster file that was given.
    let file: ClusterFile?
    let invocation: Invocation
    let loop: MainLoop
    /// The lease folders that a session has open.
    let folders: LeaseFolders
    /// Counts of calls, if they are asked for.
    let metrics: CallMetrics?

    var url: ServerURL { choice.url }
    /// The limit for one request.
    var requestTimeout: Duration { invocation[Flags.timeout] ?? Defaults.requestTimeout }
}
