/// How this process takes part in an election. Every value has a default that suits its system.
public struct ElectionOptions: Sendable {
    /// The name under which this process asks for the lease, at most 256 bytes. No two processes may share one. By default the system's own
    /// kind: a generated `host/pid/random`, the host name on NATS, the name of the pod on Kubernetes.
    public var identity: String?
    /// The length for which the lease is granted each time. By default 15 seconds, and 10 on NATS.
    public var ttl: Duration?
    /// The time from sending one renewal to sending the next. By default a third of the TTL.
    public var renewEvery: Duration?
    /// The time that work has to stop: its task is cancelled this long before the lease ends. By default a third of the TTL, at most 10
    /// seconds.
    public var stopTime: Duration?
    /// How long `withLeadership` waits while another process leads. `run` always waits.
    public var wait: WaitPolicy
    /// The pauses between requests after failures.
    public var retry: RetryPolicy
    /// The time that one request can take.
    public var requestTimeout: Duration
    /// A short text that is left with the lease for people, at most 256 bytes. Ignored by systems that carry no notes.
    public var note: String?
    /// The time between the release of the lease and the next campaign when the work of `run` has returned normally.
    public var pause: Duration
    /// The login at the servers. Credentials in the server URL do the same.
    public var credentials: Credentials
    /// Files and names for TLS. If set, the connection is encrypted even if the URL does not say so. Ignored by lease files.
    public var tls: TLS?
    /// The path of the kubeconfig file. By default `KUBECONFIG`, or `~/.kube/config`. Kubernetes only.
    public var kubeconfig: String?
    /// Whether logins and paths that are not given here are taken from the variables that the command line reads: `QQ_NATS_CREDS`,
    /// `CONSUL_HTTP_TOKEN`, `KUBECONFIG` and their like.
    public var readsEnvironment: Bool
    /// The largest message that is sent or accepted, in bytes, at most 256 MiB; nil for 4 MiB. Quorum Quest and RaftLock only.
    public var maximumMessage: Int?
    /// Told of each event, in order, before any reader of `Election.events`.
    public var observers: [any ElectionObserver]

    /// Options with the given values, and defaults for the others.
    public init(
        identity: String? = nil, ttl: Duration? = nil, renewEvery: Duration? = nil, stopTime: Duration? = nil, wait: WaitPolicy = .forever,
        retry: RetryPolicy = RetryPolicy(), requestTimeout: Duration = .seconds(5), note: String? = nil, pause: Duration = .seconds(1),
        credentials: Credentials = .none, tls: TLS? = nil, kubeconfig: String? = nil, readsEnvironment: Bool = true,
        maximumMessage: Int? = nil, observers: [any ElectionObserver] = []
    ) {
        self.identity = identity
        self.ttl = ttl
        self.renewEvery = renewEvery
        self.stopTime = stopTime
        self.wait = wait
        self.retry = retry
        self.requestTimeout = requestTimeout
        self.note = note
        self.pause = pause
        self.credentials = credentials
        self.tls = tls
        self.kubeconfig = kubeconfig
        self.readsEnvironment = readsEnvironment
        self.maximumMessage = maximumMessage
        self.observers = observers
    }
}

extension ElectionOptions {
    /// How long to wait while another process leads.
    public enum WaitPolicy: Sendable, Hashable {
        /// Until this process leads, also across outages of the servers.
        case forever
        /// At most this long; then ``ElectionError/Kind/timedOut`` is thrown.
        case atMost(Duration)
        /// Not at all: ``ElectionError/Kind/heldByAnother`` is thrown if another process leads.
        case no
    }
}
