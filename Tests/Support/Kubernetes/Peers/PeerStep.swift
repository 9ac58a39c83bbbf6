import QQCore

/// The clocks that a peer reads.
public struct PeerTime: Sendable, Hashable {
    /// The local clock, on which client-go counts.
    public var boot: BootInstant
    /// The wall clock, which is written into leases and on which Consensus counts.
    public var wall: WallTime

    public init(boot: BootInstant, wall: WallTime) {
        self.boot = boot
        self.wall = wall
    }

    /// Both clocks of this machine.
    public static func now() -> PeerTime { PeerTime(boot: SystemClock().now(), wall: .now()) }
}

/// A request of a peer to the API server.
public struct PeerCall: Sendable, Hashable {
    public enum Method: String, Sendable, Hashable {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
    }

    public var method: Method
    /// The path with its query.
    public var target: String
    public var body: JSONValue?
    /// When the peer gives the request up; nil for never.
    public var deadline: BootInstant?
}

/// The outcome of a call.
public enum PeerOutcome: Sendable, Hashable {
    case answer(status: Int, body: JSONValue)
    /// No answer, for whatever reason.
    case failed

    /// The lease of a successful answer.
    var lease: JSONObject? {
        if case .answer(200...299, let body) = self { body.objectValue } else { nil }
    }

    var isNotFound: Bool {
        if case .answer(404, _) = self { true } else { false }
    }
}

/// What a peer does next.
public enum PeerStep: Sendable, Hashable {
    case call(PeerCall)
    case sleep(until: BootInstant)
    case ended
}

/// An elector without input and output: each event returns the next step.
public protocol PeerMachine: Sendable {
    /// Whether the elector's program believes that it leads.
    var leads: Bool { get }
    /// Whether the elector is writing a release.
    var isReleasing: Bool { get }

    mutating func start(at time: PeerTime) -> PeerStep
    /// The call of the last step has ended.
    mutating func answered(_ outcome: PeerOutcome, at time: PeerTime) -> PeerStep
    /// The sleep of the last step is over.
    mutating func woke(at time: PeerTime) -> PeerStep
    /// The elector's program ends it, as on SIGTERM. A call or sleep that was under way is given up.
    mutating func cancelled(at time: PeerTime) -> PeerStep
}

/// Where a lease is.
public struct PeerLease: Sendable, Hashable {
    public var namespace: String
    public var name: String

    public init(namespace: String, name: String) {
        self.namespace = namespace
        self.name = name
    }

    var collection: String { "/apis/coordination.k8s.io/v1/namespaces/\(namespace)/leases" }
    var path: String { collection + "/" + name }

    /// A new lease with this spec.
    func new(_ spec: JSONObject) -> JSONValue {
        [
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": ["name": .string(name), "namespace": .string(namespace)],
            "spec": .object(spec),
        ]
    }
}

extension WallTime {
    /// As Go's `metav1.MicroTime` writes it.
    var micro: JSONValue { .string(rfc3339(fractionDigits: 6)) }
}
