import QQCore
import QQLoop
import QQNATS

import class LeaderElection.LeaseFolders
import struct LeaderElection.SystemConnector

/// A coordination system for the command line: its connector, and everything of flags, texts and output that differs from system to system.
///
/// Each system has one value, in a file of its own; ``Systems`` lists them. Code that depends on the system asks this value.
struct SystemDescription: Sendable {
    /// The URLs, the defaults, the abilities of the coordinator, and how it is made.
    let connector: SystemConnector

    /// The codes of the failures to retry that flags name; nil for those of the connector.
    var retriedCodes: @Sendable (Invocation) -> Set<String>? = { _ in nil }
    /// The server URL that applies if none is given; nil for all systems except one.
    var embedded: (@Sendable () throws(ServerURL.Invalid) -> ServerURL)?

    // MARK: Flags and variables

    /// The flags for logins, of which only one can be given.
    var logins: @Sendable () -> [AnyFlag] = { [] }
    /// The other flags that not every system takes.
    var flags: @Sendable () -> [AnyFlag] = { [] }
    /// The flags for all systems that have no meaning on this one.
    var refusedFlags: @Sendable () -> [RefusedFlag] = { [] }
    /// Variables that contain secrets for logins. Child processes do not get them.
    var secretVariables: [String] = []

    /// Whether a text of `--match` selects by labels and not by name.
    var isLabelSelector: @Sendable (String) -> Bool = { _ in false }

    // MARK: Output

    /// The columns of `status` in addition to those of all systems.
    var columns: [StatusColumn] = []
    /// Hint if nothing answers; nil for the usual hint about servers.
    var unreachableHint: String?

    // MARK: The rest

    /// Evaluated on demand: most commands do not print it. Nil for a system of which only the URL is known.
    var documentation: (@Sendable () -> SystemDocumentation)?
    /// Makes the coordinator from the command line, without sending a request. Nil for a system of which only the URL is known.
    var makeCoordinator: (@Sendable (CoordinatorInput) throws(CoordinationError) -> any Coordinator)?
}

extension SystemDescription {
    /// The name in JSON, the schemes and ports, and the form of the URLs.
    var url: ServerURL.System { connector.url }
    /// The name in messages and help, in the middle of a sentence: `NATS`, `lease files`.
    var displayName: String { connector.displayName }

    /// The flags of the system that not every system takes.
    var ownFlags: [AnyFlag] { logins() + flags() }

    /// Whether this version can take part in elections of the system.
    var isSpoken: Bool { makeCoordinator != nil }

    /// Whether this version has the capability on the system.
    func has(_ capability: Capability) -> Bool { connector.capabilities?().has(capability) ?? false }
}

/// A flag that a system refuses.
struct RefusedFlag: Sendable {
    let flag: AnyFlag
    /// Why, as the end of a sentence.
    let reason: String
    let hint: String
}

/// A column of `status` in addition to those of all systems.
struct StatusColumn: Sendable {
    /// In capitals: `EPOCH`.
    let heading: String
    /// The text to show on a terminal; nil if it is not known.
    let text: @Sendable (ElectionState) -> String?
    /// The text for programs; nil if it is not known.
    let plain: @Sendable (ElectionState) -> String?

    /// A column with one text for terminals and programs.
    init(heading: String, text: @escaping @Sendable (ElectionState) -> String?) { self.init(heading: heading, text: text, plain: text) }

    init(heading: String, text: @escaping @Sendable (ElectionState) -> String?, plain: @escaping @Sendable (ElectionState) -> String?) {
        self.heading = heading
        self.text = text
        self.plain = plain
    }
}

/// Texts about a system in help and manual pages.
struct SystemDocumentation: Sendable {
    /// The server URLs, with markup: `` `file:///`*DIR* ``.
    var urls: String
    /// The form of an election and of its *NAME* on the system, for qq(1).
    var meaning: String
    /// The protocol, with its version, for `version --json`.
    var `protocol`: String
    /// What the system's tests run against, each with its version: programs, or recordings of their answers in Tests/EndToEndTests/Recordings.
    var testedAgainst: [String]
    /// Variables of the system, for qq(1).
    var environment: [(name: String, meaning: String)] = []
    /// Sentences to append to the long help of common flags, by flag name.
    var notes: [String: String] = [:]
    /// Sentences to append to the descriptions of commands.
    var commandNotes: [CommandName: String] = [:]
    /// Keys that `status --json` prints for an election in addition to the usual ones, for qq-json(5).
    var electionFields: [Schema.Field] = []
    /// Keys that `cluster-status --json` prints for an endpoint in addition to the usual ones, for qq-json(5).
    var endpointFields: [Schema.Field] = []
    /// The system's page in section 7.
    var manual: (@Sendable () -> ManPage)?
}

/// Input for making a coordinator.
struct CoordinatorInput: Sendable {
    let choice: ServerChoice
    /// The cluster file that was given.
    let file: ClusterFile?
    let invocation: Invocation
    let loop: MainLoop
    /// The lease folders that a session has open.
    let folders: LeaseFolders
    /// For systems whose servers name other servers to ask: returns what counts one such answer; nil if nothing shows the count.
    let redirected: @Sendable () -> (@Sendable () -> Void)?

    var url: ServerURL { choice.url }
    /// The limit for one request.
    var requestTimeout: Duration { invocation[Flags.timeout] ?? Defaults.requestTimeout }
}
