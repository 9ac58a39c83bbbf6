/// What a read says of an election, at one moment.
public struct ElectionState: Sendable, Hashable {
    public enum Phase: String, Sendable, Hashable, CaseIterable {
        /// Nobody holds it.
        case free
        /// Somebody's lease runs.
        case held
        /// The last holder's lease has ended and nobody has taken over yet.
        case expired
        /// The system does not say who holds it, if anybody does; only that we do not.
        case unknown
    }

    public var name: String
    public var phase: Phase
    /// The holder's identity; while `expired`, the last holder's.
    public var leader: String?
    public var token: FencingToken?
    /// Tells one unbroken holding from every other, where the system has such a mark; opaque.
    public var termID: String?
    /// Whether the present term was granted to this very process; nil where that cannot be told.
    public var isOwn: Bool?
    /// The number of the term among the nodes of the cluster, where it is counted.
    public var epoch: UInt64?
    /// The version of the record that was read, where the system has one: it grows with each renewal.
    public var revision: UInt64?
    /// When the present term began.
    public var acquiredAt: WallTime?
    /// When the lease was last renewed.
    public var renewedAt: WallTime?
    /// For how long the lease is granted each time.
    public var ttl: Duration?
    /// How long it still runs; nil where that cannot be known.
    public var remaining: Duration?
    /// How many wait for it; nil where that cannot be known.
    public var waiters: Int?
    /// Whether the holder's process is known to live; nil where that cannot be known.
    public var alive: Bool?
    /// The machine that the holder runs on, where the system records it.
    public var host: String?
    /// Who has asked the holder to step down, if anybody has.
    public var stepDownAskedBy: String?
    /// How long the identity that asked may not lead yet, after having stepped down; nil where nothing hinders it.
    public var cooldown: Duration?
    /// Why the election could not be read, in a list.
    public var problem: CoordinationError?

    public init(name: String, phase: Phase) {
        self.name = name
        self.phase = phase
    }

    /// Whether somebody leads now.
    public var isLed: Bool { phase == .held }

    /// Whether both show one unbroken holding.
    public func isSameTerm(as other: ElectionState) -> Bool {
        if let termID, let other = other.termID { return termID == other }
        return leader == other.leader && token == other.token
    }

    /// Whether both show the same holding, or that there is none. Time passing is no change, nor is by itself a renewal.
    public func isAlike(_ other: ElectionState) -> Bool { phase == other.phase && isSameTerm(as: other) && leader == other.leader }

    /// Whether `grant` is the term that this state shows.
    public func isTerm(of grant: Grant) -> Bool {
        guard phase != .free, leader == grant.identity else { return false }
        if let mark = grant.termID { return termID == mark }
        return grant.token == nil || token == grant.token
    }
}
