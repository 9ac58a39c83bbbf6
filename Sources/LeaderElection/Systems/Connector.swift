internal import Glibc
package import QQCore

/// A coordinator, and what applies to elections on its system where the options say nothing.
package struct Connected: Sendable {
    package var coordinator: any Coordinator
    /// The identity of the options, or the system's default.
    package var identity: String
    /// The TTL of the options, or the system's default.
    package var ttl: Duration
    /// The system's pauses, jitter and retried codes. The election applies those of the options.
    package var retry: QQCore.RetryPolicy

    package init(coordinator: any Coordinator, identity: String, ttl: Duration, retry: QQCore.RetryPolicy) {
        self.coordinator = coordinator
        self.identity = identity
        self.ttl = ttl
        self.retry = retry
    }
}

/// Makes coordinators from server URLs and options.
package enum Connector {
    /// Makes the coordinator of a server URL. Sends nothing.
    ///
    /// - Throws: `.usage` or `.configuration` for a URL or options that cannot be used, `.unsupported` for a system that this build does not have.
    package static func coordinator(
        for server: String, options: ElectionOptions, clock: any LeaseClock, executor: any TaskExecutor
    ) throws(ElectionError) -> Connected {
        let url = try read(server)
        guard let system = SystemConnector.all.first(where: { $0.url == url.system }) else {
            throw ElectionError(.unsupported, "cannot use \(url.system.name)", because: "this build does not have it", at: url.description)
        }
        if let bytes = options.maximumMessage, !(1...(256 << 20)).contains(bytes) {
            throw ElectionError(.usage, "messages cannot be limited to \(bytes) bytes", hint: "choose 1 to \(256 << 20)")
        }
        let reads = options.readsEnvironment
        let needed = url.hosts.first?.name == "in-cluster" ? podVariables : []
        let variable: @Sendable (String) -> String? = { name in reads || needed.contains(name) ? environment(name) : nil }
        let ttl = options.ttl ?? system.ttl
        // The timing is checked with the rest of the options, before anything is asked for.
        let stopTime = options.stopTime ?? min(ttl / 3, Timing.longestDefaultStop)
        var input = ConnectorInput(
            ServerAccess(url, options), clock: clock, executor: executor, requestTimeout: options.requestTimeout, stopTime: stopTime,
            variable: variable)
        input.ttl = options.ttl
        do throws(CoordinationError) {
            let identity: String
            if let given = options.identity { identity = given } else { identity = try system.identity(variable) }
            return Connected(
                coordinator: try system.coordinator(input), identity: identity, ttl: ttl,
                retry: QQCore.RetryPolicy(
                    initial: system.backoff.initial, maximum: system.backoff.maximum, jitter: system.jitter, codes: system.retriedCodes()))
        } catch { throw ElectionError(forPrograms: error) }
    }

    private static func read(_ text: String) throws(ElectionError) -> ServerURL {
        if let missing = MissingSystem.of(text) { throw missing.error }
        do throws(ServerURL.Invalid) { return try ServerURL.parse(text, as: SystemConnector.all.map(\.url)) } catch {
            throw ElectionError(.usage, "cannot use the server URL", because: error.reason, hint: error.hint)
        }
    }

    /// Where the API server of a pod's own cluster is. `k8s://in-cluster` has chosen it, and nothing else tells.
    private static let podVariables = ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"]

    /// A variable of this process; nil if it is empty or not set.
    private static func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
}

extension ServerAccess {
    /// What the options say.
    init(_ url: ServerURL, _ options: ElectionOptions) {
        self.init(url, from: .argument(name: "the server URL"), for: .program)
        if options.credentials != .none { logins = [Login("the options", options.credentials)] }
        if let tls = options.tls {
            self.tls = tls
            requestsTLS = true
        }
        kubeconfig = options.kubeconfig
        if let maximumMessage = options.maximumMessage { self.maximumMessage = maximumMessage }
    }
}

extension ElectionError {
    /// The same failure for a program, which has no command line: without a hint that names flags.
    init(forPrograms error: CoordinationError) {
        self.init(error)
        if let hint, hint.split(separator: " ").contains(where: { $0.hasPrefix("--") || $0 == "-s" }) { self.hint = nil }
    }
}
