import QQCore

/// A node of the Consensus Go package on Kubernetes, weaknesses included.
///
/// - Everything happens at the retry interval, the first try one interval after the start. Calls have no time limit.
/// - Whether a lease is free is read from its time and duration by the wall clock alone. A released lease stays taken until then.
/// - Transitions are neither counted nor written.
/// - Two failures in a row end a term, and another holder's name is only a failure.
public struct ConsensusNode: PeerMachine {
    public struct Settings: Sendable {
        public var lease: PeerLease
        public var identity: String
        public var leaseDuration = Duration.seconds(5)
        public var retryInterval = Duration.seconds(2)

        public init(_ lease: PeerLease, identity: String) {
            self.lease = lease
            self.identity = identity
        }
    }

    private enum Call {
        case get
        case write
        case releaseGet
        case releasePut
    }

    private static let releaseLimit = Duration.seconds(5)

    private let settings: Settings
    /// nil during a pause and after the end.
    private var call: Call?
    private var hasEnded = false
    public private(set) var leads = false
    private var failures = 0
    private var nextTick = BootInstant(nanoseconds: 0)
    private var releaseDeadline: BootInstant?

    public init(_ settings: Settings) { self.settings = settings }

    public var isReleasing: Bool { releaseDeadline != nil && !hasEnded }

    // MARK: Events

    public mutating func start(at time: PeerTime) -> PeerStep {
        nextTick = time.boot + settings.retryInterval
        return .sleep(until: nextTick)
    }

    public mutating func woke(at time: PeerTime) -> PeerStep { hasEnded ? .ended : ask(.get, settings.lease.path, nil, .get) }

    /// The term ends immediately, and the lease is released afterwards.
    public mutating func cancelled(at time: PeerTime) -> PeerStep {
        guard leads, releaseDeadline == nil else { return end() }
        leads = false
        releaseDeadline = time.boot + Self.releaseLimit
        return ask(.get, settings.lease.path, nil, .releaseGet)
    }

    public mutating func answered(_ outcome: PeerOutcome, at time: PeerTime) -> PeerStep {
        switch call {
        case .get:
            if let lease = outcome.lease { return judge(lease, at: time) }
            guard outcome.isNotFound, !leads else { return fail(at: time) }
            return ask(.post, settings.lease.collection, settings.lease.new(spec([:], at: time, isNew: true)), .write)
        case .write:
            guard outcome.lease != nil else { return fail(at: time) }
            leads = true
            failures = 0
            return pause(at: time)
        case .releaseGet:
            guard var lease = outcome.lease, var spec = lease["spec"]?.objectValue, Self.holder(spec) == settings.identity else {
                return end()
            }
            spec["holderIdentity"] = nil
            lease["spec"] = .object(spec)
            return ask(.put, settings.lease.path, .object(lease), .releasePut)
        case .releasePut, nil: return end()
        }
    }

    // MARK: Tries

    private mutating func judge(_ found: JSONObject, at time: PeerTime) -> PeerStep {
        let old = found["spec"]?.objectValue ?? [:]
        let isOurs = Self.holder(old) == settings.identity
        guard isOurs || !leads && Self.isFree(old, at: time.wall) else { return fail(at: time) }
        var lease = found
        lease["spec"] = .object(spec(old, at: time, isNew: !isOurs))
        return ask(.put, settings.lease.path, .object(lease), .write)
    }

    private mutating func fail(at time: PeerTime) -> PeerStep {
        failures += 1
        if failures >= 2 { leads = false }
        return pause(at: time)
    }

    private mutating func pause(at time: PeerTime) -> PeerStep {
        call = nil
        // As Go's tickers, which drop ticks that nobody receives.
        nextTick = max(nextTick + settings.retryInterval, time.boot)
        return .sleep(until: nextTick)
    }

    private mutating func end() -> PeerStep {
        hasEnded = true
        leads = false
        return .ended
    }

    // MARK: Leases

    private static func holder(_ spec: JSONObject) -> String { spec["holderIdentity"]?.stringValue ?? "" }

    static func isFree(_ spec: JSONObject, at now: WallTime) -> Bool {
        guard let renewed = spec["renewTime"]?.stringValue.flatMap({ try? WallTime.parse(rfc3339: $0) }),
            let seconds = spec["leaseDurationSeconds"]?.int64Value
        else { return true }
        return now - renewed >= .seconds(seconds)
    }

    private func spec(_ old: JSONObject, at time: PeerTime, isNew: Bool) -> JSONObject {
        var spec = old
        spec["holderIdentity"] = .string(settings.identity)
        spec["leaseDurationSeconds"] = .integer(settings.leaseDuration.components.seconds)
        if isNew { spec["acquireTime"] = time.wall.micro }
        spec["renewTime"] = time.wall.micro
        return spec
    }

    private mutating func ask(_ method: PeerCall.Method, _ path: String, _ body: JSONValue?, _ call: Call) -> PeerStep {
        self.call = call
        return .call(PeerCall(method: method, target: path, body: body, deadline: releaseDeadline))
    }
}
