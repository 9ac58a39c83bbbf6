import QQCore

/// Why a term was lost, as a label.
enum LossLabel: String, CaseIterable, Sendable {
    case expired
    case takenOver = "taken_over"
    case removed

    init(_ reason: LossReason) {
        switch reason {
        case .expired: self = .expired
        case .takenOver: self = .takenOver
        case .removed: self = .removed
        }
    }

    /// As the end of a sentence.
    var meaning: String {
        switch self {
        case .expired: "the lease was not renewed in time"
        case .takenOver: "another process took it over"
        case .removed: "the lease was emptied or removed"
        }
    }
}

/// One election that this process takes part in, as its lease sessions report it. Pure: every moment is passed in.
struct ElectionMetrics: Sendable, Equatable {
    /// The TTL of the last grant; until then that of the request.
    private(set) var ttl: Duration
    private(set) var terms: UInt64 = 0
    private(set) var waits: UInt64 = 0
    private var deadline: BootInstant?
    private var renewedAt: BootInstant?
    private var losses: [LossLabel: UInt64] = [:]
    /// Whether the loss of the present term is counted already.
    private var isLost = false
    private var waitingSince: BootInstant?
    private var endedWaits: Duration = .zero

    init(ttl: Duration) { self.ttl = ttl }

    mutating func take(_ event: SessionEvent, at now: BootInstant) {
        switch event {
        case .elected(let grant):
            endWait(at: now)
            terms += 1
            isLost = false
            hold(grant, at: now)
        case .extended(let grant): hold(grant, at: now)
        case .waiting:
            if waitingSince == nil {
                waitingSince = now
                waits += 1
            }
        case .lost(_, let reason):
            lose(LossLabel(reason))
            letGo()
        case .released, .releaseFailed: letGo()
        case .retrying, .outage, .outageOver, .stepDownAsked, .notWithdrawn: break
        }
    }

    /// The guard ends the command because the lease was not renewed in time. The session reports no loss if the lease is released before its end.
    mutating func notRenewed() { lose(.expired) }

    /// The session has ended. A lease that it leaves held is not kept by this process any more.
    mutating func sessionEnded(at now: BootInstant) {
        endWait(at: now)
        letGo()
    }

    // MARK: At one moment

    func isLeading(at now: BootInstant) -> Bool { deadline.map { now < $0 } ?? false }

    /// The rest of the lease; zero if none is held.
    func remaining(at now: BootInstant) -> Duration { deadline.map { max($0.duration(since: now), .zero) } ?? .zero }

    /// The time since the lease was granted or renewed; nil if none is held.
    func lastRenewalAge(at now: BootInstant) -> Duration? { renewedAt.map { max(now.duration(since: $0), .zero) } }

    var isWaiting: Bool { waitingSince != nil }

    /// The time spent waiting, the present wait included.
    func waited(at now: BootInstant) -> Duration { endedWaits + (waitingSince.map { max(now.duration(since: $0), .zero) } ?? .zero) }

    func losses(_ reason: LossLabel) -> UInt64 { losses[reason] ?? 0 }

    // MARK: -

    private mutating func hold(_ grant: Grant, at now: BootInstant) {
        (deadline, renewedAt, ttl) = (grant.deadline, now, grant.ttl)
    }

    private mutating func letGo() { (deadline, renewedAt) = (nil, nil) }

    private mutating func lose(_ reason: LossLabel) {
        guard deadline != nil, !isLost else { return }
        isLost = true
        losses[reason, default: 0] += 1
    }

    private mutating func endWait(at now: BootInstant) {
        endedWaits = waited(at: now)
        waitingSince = nil
    }
}
