/// The state of an election at one moment, as far as any system knows it.
public struct ElectionState: Sendable, Hashable {
    public enum Phase: String, Sendable, Hashable, CaseIterable {
        /// The election has no holder.
        case free
        /// A lease is in force.
        case held
        /// The last holder's lease has ended, and it was not granted since.
        case expired
        /// The system does not report who holds it, if anyone; only that this process does not.
        case unknown
    }

    public var name: String
    public var phase: Phase
    /// The holder's identity; while `expired`, the last holder's.
    public var leader: String?
    public var token: FencingToken?
    /// Identifies one unbroken holding, if the system has such an id; opaque.
    public var termID: String?
    /// Whether the present term was granted to this process; nil if unknown.
    public var isOwn: Bool?
    /// When the present term began.
    public var acquiredAt: WallTime?
    /// When the lease was last renewed.
    public var renewedAt: WallTime?
    /// The length for which the lease is granted each time.
    public var ttl: Duration?
    /// The rest of the lease; nil if unknown.
    public var remaining: Duration?
    /// The number of waiters; nil if unknown.
    public var waiters: Int?
    /// Whether the holder's process lives; nil if unknown.
    public var alive: Bool?
    /// The identity that has asked the holder to step down; nil if none has. A lease session that holds the election reports it.
    public var stepDownAskedBy: String?
    /// Why the election could not be read, in a list.
    public var problem: CoordinationError?
    /// Everything else that the system reports, in the order to show.
    public var details: [StatusDetail] = []

    public init(name: String, phase: Phase) {
        self.name = name
        self.phase = phase
    }

    /// Whether the election has a leader now.
    public var isLed: Bool { phase == .held }

    /// Whether both show one unbroken holding.
    public func isSameTerm(as other: ElectionState) -> Bool {
        if let termID, let other = other.termID { return termID == other }
        return leader == other.leader && token == other.token
    }

    /// Whether both show the same holding, or none. Neither the passing of time nor a renewal counts as a difference.
    public func isAlike(_ other: ElectionState) -> Bool { phase == other.phase && isSameTerm(as: other) && leader == other.leader }

    /// Whether `grant` is the term that this state shows.
    public func isTerm(of grant: Grant) -> Bool {
        guard phase != .free, leader == grant.identity else { return false }
        if let id = grant.termID { return termID == id }
        return grant.token == nil || token == grant.token
    }
}
