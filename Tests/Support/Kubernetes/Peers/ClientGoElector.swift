import QQCore

/// client-go's leader election (`tools/leaderelection`, 1.36), weaknesses included.
///
/// - A candidate counts the record's duration from when it saw the record change, in whole seconds.
/// - A leader that has read another holder continues to lead until its renew deadline.
/// - A leader takes a cleared lease, or makes a deleted one again, without a word.
/// - Release writes over whatever its GET returned, also over a lease that another has taken since.
public struct ClientGoElector: PeerMachine {
    public struct Settings: Sendable {
        public var lease: PeerLease
        public var identity: String
        /// Written to the lease in whole seconds, rounded down.
        public var leaseDuration = Duration.seconds(15)
        public var renewDeadline = Duration.seconds(10)
        public var retryPeriod = Duration.seconds(2)
        public var releasesOnCancel = false
        /// For the pauses of a candidate.
        public var seed: UInt64 = 0

        public init(_ lease: PeerLease, identity: String) {
            self.lease = lease
            self.identity = identity
        }

        /// As client-go's `NewFromKubeconfig` sets it.
        var callTimeout: Duration { max(renewDeadline / 2, .seconds(1)) }
    }

    /// A call under way.
    private enum Call {
        /// A leader's PUT without GET.
        case renewal(ElectionRecord)
        case get
        case write(ElectionRecord)
        case releaseGet
        case releasePut
    }

    private enum Phase {
        case calling(Call)
        /// A candidate between two tries, or a leader between two rounds of renewing.
        case pausing
        /// A leader between two tries of one round.
        case retrying
        case ended
    }

    private let settings: Settings
    private var generator: SeededGenerator
    private var phase = Phase.pausing
    public private(set) var leads = false
    /// The lease as last read or written; its metadata goes back with each write.
    private var lease: JSONObject?
    private var observed = ElectionRecord(holder: "", durationSeconds: 0, at: .goZero)
    private var observedAt = BootInstant(nanoseconds: 0)
    /// The last record that a GET returned, in whole seconds.
    private var lastRead: ElectionRecord?
    /// When the current try began.
    private var tryTime: PeerTime
    /// When a leader's round of renewing fails, or a release is given up; nil for candidates.
    private var deadline: BootInstant?

    public init(_ settings: Settings) {
        self.settings = settings
        generator = SeededGenerator(seed: settings.seed)
        tryTime = PeerTime(boot: BootInstant(nanoseconds: 0), wall: .goZero)
    }

    public var isReleasing: Bool {
        switch phase {
        case .calling(.releaseGet), .calling(.releasePut): true
        default: false
        }
    }

    // MARK: Events

    public mutating func start(at time: PeerTime) -> PeerStep { begin(at: time) }

    public mutating func woke(at time: PeerTime) -> PeerStep {
        switch phase {
        case .pausing:
            if leads { deadline = time.boot + settings.renewDeadline }
            return begin(at: time)
        case .retrying:
            if let deadline, time.boot >= deadline { return lose(at: time) }
            return begin(at: time)
        case .calling, .ended: return end()
        }
    }

    public mutating func cancelled(at time: PeerTime) -> PeerStep { leads && !isReleasing ? lose(at: time) : end() }

    public mutating func answered(_ outcome: PeerOutcome, at time: PeerTime) -> PeerStep {
        guard case .calling(let call) = phase else { return end() }
        switch call {
        case .renewal(let record):
            // A failed fast path is followed by the slow path immediately.
            guard let lease = outcome.lease else { return ask(.get, settings.lease.path, nil, .get, at: time) }
            return succeed(record, lease, at: time)
        case .get:
            if let lease = outcome.lease { return judge(lease, at: time) }
            guard outcome.isNotFound else { return fail(at: time) }
            let record = newRecord
            return ask(.post, settings.lease.collection, settings.lease.new(record.spec), .write(record), at: time)
        case .write(let record):
            guard let lease = outcome.lease else { return fail(at: time) }
            return succeed(record, lease, at: time)
        case .releaseGet:
            // The answer is not looked at, but for the version that the next write needs.
            guard let lease = outcome.lease, isHolder else { return end() }
            self.lease = lease
            var record = ElectionRecord(holder: "", durationSeconds: 1, at: time.wall)
            record.transitions = observed.transitions
            return ask(.put, settings.lease.path, .object(written(record)), .releasePut, at: time)
        case .releasePut: return end()
        }
    }

    // MARK: Tries

    /// `tryAcquireOrRenew`.
    private mutating func begin(at time: PeerTime) -> PeerStep {
        tryTime = time
        guard isHolder, isValid(at: time) else { return ask(.get, settings.lease.path, nil, .get, at: time) }
        var record = newRecord
        record.acquired = observed.acquired
        record.transitions = observed.transitions
        return ask(.put, settings.lease.path, .object(written(record)), .renewal(record), at: time)
    }

    private mutating func judge(_ found: JSONObject, at time: PeerTime) -> PeerStep {
        lease = found
        let read = ElectionRecord(found)
        if read.inSeconds != lastRead {
            observe(read, at: time)
            lastRead = read.inSeconds
        }
        if !read.holder.isEmpty, isValid(at: tryTime), !isHolder { return fail(at: time) }
        var record = newRecord
        if isHolder {
            record.acquired = read.acquired
            record.transitions = read.transitions
        } else {
            record.transitions = read.transitions + 1
        }
        return ask(.put, settings.lease.path, .object(written(record)), .write(record), at: time)
    }

    private mutating func succeed(_ record: ElectionRecord, _ answer: JSONObject, at time: PeerTime) -> PeerStep {
        lease = answer
        observe(record, at: time)
        // The first round of renewing begins as soon as the lease is acquired.
        if !leads {
            leads = true
            deadline = time.boot + settings.renewDeadline
            return begin(at: time)
        }
        phase = .pausing
        return .sleep(until: time.boot + settings.retryPeriod)
    }

    private mutating func fail(at time: PeerTime) -> PeerStep {
        guard leads, let deadline else {
            phase = .pausing
            return .sleep(until: time.boot + settings.retryPeriod * Double.random(in: 1...2.2, using: &generator))
        }
        if time.boot >= deadline { return lose(at: time) }
        phase = .retrying
        // The ticker of a round counts from the beginning of the try.
        return .sleep(until: min(max(tryTime.boot + settings.retryPeriod, time.boot), deadline))
    }

    /// The end of renewing. A release comes before the program hears that it no longer leads.
    private mutating func lose(at time: PeerTime) -> PeerStep {
        guard settings.releasesOnCancel else { return end() }
        deadline = time.boot + settings.renewDeadline
        return ask(.get, settings.lease.path, nil, .releaseGet, at: time)
    }

    private mutating func end() -> PeerStep {
        phase = .ended
        leads = false
        return .ended
    }

    // MARK: Records

    private var isHolder: Bool { observed.holder == settings.identity }

    private func isValid(at time: PeerTime) -> Bool { observedAt + .seconds(observed.durationSeconds) > time.boot }

    private var newRecord: ElectionRecord {
        ElectionRecord(holder: settings.identity, durationSeconds: settings.leaseDuration.components.seconds, at: tryTime.wall)
    }

    private mutating func observe(_ record: ElectionRecord, at time: PeerTime) {
        observed = record
        observedAt = time.boot
    }

    /// The lease as known, with another spec.
    private func written(_ record: ElectionRecord) -> JSONObject {
        var object = lease ?? [:]
        object["spec"] = .object(record.spec)
        return object
    }

    private mutating func ask(_ method: PeerCall.Method, _ path: String, _ body: JSONValue?, _ call: Call, at time: PeerTime) -> PeerStep {
        phase = .calling(call)
        let limit = time.boot + settings.callTimeout
        let milliseconds = settings.callTimeout.milliseconds
        let timeout = milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
        return .call(
            PeerCall(method: method, target: path + "?timeout=" + timeout, body: body, deadline: deadline.map { min($0, limit) } ?? limit))
    }
}
