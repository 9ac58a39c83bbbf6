import Glibc
import QQCore
import QQGuard
import QQLoop
import QQNATS
import QQVIP

/// What every command works with: what was asked, where, and how to answer.
struct Setup: Sendable {
    let invocation: Invocation
    let loop: MainLoop
    /// The system of the server.
    let system: SystemDescription
    let coordinator: any Coordinator
    let output: Output
    let messages: Messages
    /// The elections named, each once, in their order.
    let names: [String]
    /// The identity to ask under.
    let identity: String
    /// The identity that we were told to have: that of `--id`, or of the node that a cluster file describes.
    let givenIdentity: String?
    /// The addresses that are carried while leading: those of `--vip`, else that of the cluster file.
    let addresses: [VirtualAddress]
    /// Counts of the calls, where `--metrics-file` asks for them.
    let metrics: MetricsFile?
    /// Whether a picture may be drawn on the terminal: not by what a session runs in the background.
    let mayDraw: Bool
    /// Shows what is waited for; nil where it is not to be seen.
    let progress: Progress?
    private let givenSignals: (any StopSignals)?
    private let file: ClusterFile?

    var server: ServerURL { coordinator.server }

    /// The one election of a command that takes one.
    var name: String { names.first ?? "" }

    /// The server is chosen, and nothing is asked of it yet.
    ///
    /// - Parameters:
    ///   - signals: where the command hears that it is to end; nil for the process's own signals.
    ///   - folders: those of the session that this command is one of.
    init(
        _ typed: Invocation, loop: MainLoop, signals: (any StopSignals)? = nil, mayDraw: Bool = true, folders: LeaseFolders = LeaseFolders()
    ) throws(CoordinationError) {
        self.mayDraw = mayDraw
        givenSignals = signals
        // Completion of contexts must work where the file names one that is wrong.
        let invocation = try ContextChoice(for: typed)?.fill(typed) ?? typed
        self.invocation = invocation
        self.loop = loop
        let messages = Messages(invocation)
        self.messages = messages
        output = Output(invocation)
        file = try invocation[Flags.clusterConfig].map { path throws(CoordinationError) in try ClusterFile.read(path) }
        if let file, !file.unknownKeys.isEmpty {
            messages.detail("\(file.path): not used: \(file.unknownKeys.joined(separator: ", "))")
        }
        let choice = try ServerChoice.resolve(flag: invocation[Flags.server], file: file)
        givenIdentity = invocation[Flags.id] ?? file?.nodeID
        guard let system = Systems.of(choice.url.system) else {
            throw CoordinationError(.unsupported, "cannot use \(choice.url.system.name)", because: "it is not known")
        }
        self.system = system
        identity = givenIdentity ?? system.identity()
        names = try Self.names(invocation, file)
        addresses = try Self.addresses(invocation, file)
        try system.check(invocation, at: choice.url)
        metrics = try invocation[Flags.metricsFile].map { path throws(CoordinationError) in
            try MetricsFile(path, loop: loop, messages: messages)
        }
        coordinator = try system.coordinator(
            CoordinatorInput(
                choice: choice, file: file, invocation: invocation, loop: loop, folders: folders, metrics: metrics?.counts))
        if invocation.isGiven(Flags.priority) { try coordinator.capabilities.require(.priority, for: "use --priority", at: choice.url) }
        let isShown = mayDraw && invocation.command.id != .complete && invocation.command.id != .watch
        progress = isShown ? Progress.onTerminal(invocation, loop) : nil
    }

    /// Those of the command line, else the one of the cluster file where the command takes any.
    private static func names(_ invocation: Invocation, _ file: ClusterFile?) throws(CoordinationError) -> [String] {
        guard let declared = invocation.command.positionals.first, !declared.alternatives.isEmpty else { return [] }
        var names: [String] = []
        for name in invocation.positionals where !names.contains(name) { names.append(name) }
        guard names.isEmpty, let file, !invocation[Flags.all] else { return names }
        if let name = file.clusterID { return [name] }
        guard declared.isRequired else { return [] }
        throw CoordinationError(
            .configuration, "cannot tell which election is meant", because: "clusterId is missing", at: file.path,
            hint: "add it, or give NAME")
    }

    private static func addresses(_ invocation: Invocation, _ file: ClusterFile?) throws(CoordinationError) -> [VirtualAddress] {
        let given = invocation.all(Flags.vip)
        // A command that carries none has no reason to fail over one.
        guard given.isEmpty, invocation.command.id == .keepalive, !invocation[Flags.once], let file, let vip = file.vip else {
            return given
        }
        do throws(VirtualAddress.Invalid) { return [try VirtualAddress.parse(vip.text)] } catch {
            throw CoordinationError(
                .configuration, "cannot use the virtual address", because: error.reason, at: file.path, hint: error.hint)
        }
    }

    /// Where the command hears that it is to end.
    func stopSignals() throws(SystemCallError) -> any StopSignals {
        if let givenSignals { return givenSignals }
        return try SignalSource([SIGINT, SIGTERM, SIGHUP], on: loop)
    }

    // MARK: What applies

    /// How long a lease is to last: by flag, cluster file, or the system's default.
    var ttl: Duration { invocation[Flags.ttl] ?? file?.leaseTTL ?? system.ttl }

    /// How often a lease that lasts `ttl` is to be renewed; nil for the usual part of it.
    func renewEvery(of ttl: Duration) -> Duration? {
        invocation[Flags.renewEvery] ?? file?.renewEvery.flatMap { $0 < ttl ? max($0, Defaults.shortestRenewal) : nil }
    }

    /// The retry policy that the flags describe.
    /// - Parameter endless: whether retries have no limit unless the flag sets one.
    func retryPolicy(endless: Bool = false) -> RetryPolicy {
        let backoff = invocation[Flags.backoff] ?? system.backoff
        return RetryPolicy(
            maximumRetries: invocation[Flags.retries] ?? (endless ? nil : Defaults.retries), initial: backoff.initial,
            maximum: backoff.maximum, multiplier: invocation[Flags.backoffFactor] ?? Defaults.backoffFactor,
            jitter: invocation[Flags.jitter] ?? system.jitter, codes: system.retriedCodes(invocation))
    }

    /// The hooks that the flags name.
    var hooks: Hooks {
        Hooks(
            onElected: invocation.all(Flags.onElected), onLost: invocation.all(Flags.onLost), onChange: invocation.all(Flags.onChange),
            timeLimit: invocation[Flags.hookTimeout] ?? Defaults.hookTimeout)
    }

    /// - Throws: `.unsupported` where `--require-token` is given and the system has none.
    func checkToken() throws(CoordinationError) {
        if invocation[Flags.requireToken] { try coordinator.capabilities.require(.fencingToken, for: "give a fencing token", at: server) }
    }

    /// One request, tried again after passing failures as the flags say. Only for requests that may be carried out twice.
    func retrying<Answer: Sendable>(
        _ request: @Sendable () async throws(CoordinationError) -> Answer
    ) async throws(CoordinationError) -> Answer {
        let report = { (error: CoordinationError, pause: Duration) in
            messages.note(Self.retrying(error, after: pause))
            progress?.change(to: WaitingText.again(server))
        }
        return try await retryPolicy().retrying(on: loop, report: report, request: request)
    }
}

/// The variables that the guarded command and hooks see. The URL stands without its credentials.
func leaseVariables(
    name: String, server: ServerURL, event: String, identity: String?, token: FencingToken?, ttl: Duration?, leader: String?
) -> [(name: String, value: String)] {
    [
        ("QQ_NAME", name), ("QQ_ID", identity ?? ""), ("QQ_TOKEN", token?.description ?? ""), ("QQ_SERVER", server.description),
        ("QQ_TTL", ttl.map { Rendering.seconds($0) } ?? ""), ("QQ_EVENT", event), ("QQ_LEADER", leader ?? ""),
    ]
}

func leaseVariables(_ grant: Grant, at server: ServerURL, event: HookEvent) -> [(name: String, value: String)] {
    leaseVariables(
        name: grant.name, server: server, event: event.rawValue, identity: grant.identity, token: grant.token, ttl: grant.ttl,
        leader: event == .lost ? nil : grant.identity)
}
