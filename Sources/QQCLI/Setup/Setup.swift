import Glibc
import QQCore
import QQGuard
import QQLoop
import QQNATS
import QQVIP

import class LeaderElection.LeaseFolders

/// The surroundings of every command: its invocation, the coordinator of its server, and its output.
struct Setup: Sendable {
    let invocation: Invocation
    let loop: MainLoop
    /// The system of the server.
    let system: SystemDescription
    let coordinator: any Coordinator
    let output: Output
    let messages: Messages
    /// The elections of the command line, each once, in their order.
    let names: [String]
    /// The identity of this contender.
    let identity: String
    /// The identity that `--id` or a cluster file sets; nil if it is the default one.
    let givenIdentity: String?
    /// The addresses to carry while leading: those of `--vip`, or that of the cluster file.
    let addresses: [VirtualAddress]
    /// The metrics of this process; nil if nothing shows them.
    let metrics: Metrics?
    /// The file that this command keeps for `--metrics-file`.
    let metricsFile: MetricsFile?
    /// Whether the command can draw on the terminal. A background job of a session cannot.
    let mayDraw: Bool
    /// The progress line; nil if it is not shown.
    let progress: Progress?
    /// Reports to the service manager; nil if there is none, or the command does not report.
    let service: ServiceNotifier?
    private let givenSignals: (any StopSignals)?
    private let file: ClusterFile?

    var server: ServerURL { coordinator.server }

    /// The one election of a command that takes one.
    var name: String { names.first ?? "" }

    /// Chooses the server. Sends no request yet.
    ///
    /// - Parameters:
    ///   - signals: the signals that ask the command to end; nil for those of the process.
    ///   - folders: the lease folders of the session that runs the command.
    ///   - metrics: the metrics of the session that runs the command. A command with a file of its own has metrics of its own.
    init(
        _ typed: Invocation, loop: MainLoop, signals: (any StopSignals)? = nil, mayDraw: Bool = true,
        folders: LeaseFolders = LeaseFolders(), metrics given: Metrics? = nil
    ) throws(CoordinationError) {
        self.mayDraw = mayDraw
        givenSignals = signals
        // Completion of contexts must work even if the current context is invalid.
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
        if let givenIdentity { identity = givenIdentity } else { identity = try system.connector.identity(filledVariable) }
        names = try Self.names(invocation, file)
        addresses = try Self.addresses(invocation, file)
        try system.check(invocation, at: choice.url)
        metricsFile = try invocation[Flags.metricsFile].map { path throws(CoordinationError) in
            try MetricsFile(path, Metrics(clock: loop), loop: loop, report: { messages.note($0) })
        }
        let metrics = metricsFile?.metrics ?? given ?? (invocation.isGiven(Flags.listen) ? Metrics(clock: loop) : nil)
        self.metrics = metrics
        let coordinator = try system.coordinator(
            CoordinatorInput(
                choice: choice, file: file, invocation: invocation, loop: loop, folders: folders,
                redirected: { metrics?.redirects(at: choice.url.system.name) }))
        self.coordinator = metrics.map { CountingCoordinator(coordinator, $0) } ?? coordinator
        let isShown = mayDraw && !coordinator.mayPrompt && invocation.command.id != .complete && invocation.command.id != .watch
        progress = isShown ? Progress.onTerminal(invocation, loop) : nil
        if signals == nil, invocation.reportsToServiceManager {
            let sender = invocation[Flags.notify] ?? Defaults.notifier
            service = ServiceNotifier(
                .current, ServiceReport(names, sender: sender, server: choice.url), sender: sender, loop: loop, messages: messages)
        } else {
            service = nil
        }
    }

    /// The elections of the command line, or that of the cluster file if the command needs one.
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
        // A command that carries no address must not fail because of an invalid one.
        guard given.isEmpty, invocation.command.id == .keepalive, !invocation[Flags.once], let file, let vip = file.vip else {
            return given
        }
        do throws(VirtualAddress.Invalid) { return [try VirtualAddress.parse(vip.text)] } catch {
            throw CoordinationError(
                .configuration, "cannot use the virtual address", because: error.reason, at: file.path, hint: error.hint)
        }
    }

    /// Whether a session runs the command.
    var isInSession: Bool { givenSignals != nil }

    /// The signals that ask the command to end.
    func stopSignals() throws(SystemCallError) -> any StopSignals {
        if let givenSignals { return givenSignals }
        return try SignalSource([SIGINT, SIGTERM, SIGHUP], on: loop)
    }

    // MARK: Settings

    /// The TTL: of the flag, the cluster file, or the system's default.
    var ttl: Duration { invocation[Flags.ttl] ?? file?.leaseTTL ?? system.connector.ttl }

    /// The interval between renewals of a lease with this TTL; nil for the default fraction of it.
    func renewEvery(of ttl: Duration) -> Duration? {
        invocation[Flags.renewEvery] ?? file?.renewEvery.flatMap { $0 < ttl ? max($0, Defaults.shortestRenewal) : nil }
    }

    /// The retry policy that the flags describe.
    /// - Parameter endless: whether retries have no limit unless the flag sets one.
    func retryPolicy(endless: Bool = false) -> RetryPolicy {
        let backoff = invocation[Flags.backoff] ?? system.connector.backoff
        return RetryPolicy(
            maximumRetries: invocation[Flags.retries] ?? (endless ? nil : Defaults.retries), initial: backoff.initial,
            maximum: backoff.maximum, multiplier: invocation[Flags.backoffFactor] ?? Defaults.backoffFactor,
            jitter: invocation[Flags.jitter] ?? system.connector.jitter,
            codes: system.retriedCodes(invocation) ?? system.connector.retriedCodes())
    }

    /// The hooks that the flags name.
    var hooks: Hooks {
        Hooks(
            onElected: invocation.all(Flags.onElected), onLost: invocation.all(Flags.onLost), onChange: invocation.all(Flags.onChange),
            timeLimit: invocation[Flags.hookTimeout] ?? Defaults.hookTimeout)
    }

    /// - Throws: `.unsupported` if `--require-token` is given and the system has no tokens.
    func checkToken() throws(CoordinationError) {
        if invocation[Flags.requireToken] { try coordinator.capabilities.require(.fencingToken, for: "give a fencing token", at: server) }
    }

    /// Sends a request, and retries it after transient failures as the flags say. The request must be harmless if it is carried out twice.
    func retrying<Answer: Sendable>(
        _ request: @Sendable () async throws(CoordinationError) -> Answer
    ) async throws(CoordinationError) -> Answer {
        let report = { (error: CoordinationError, pause: Duration) in
            messages.note(Self.retrying(error, after: pause), .warning)
            progress?.change(to: WaitingText.again(server))
        }
        return try await retryPolicy().retrying(on: loop, report: report, request: request)
    }
}

/// The environment variables of the guarded command and of hooks. The URL has no credentials.
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
