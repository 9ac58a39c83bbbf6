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
    /// The note of the holder of the present term, as `Note.read` makes it safe to show; nil if there is none, or if it is unknown.
    public var note: String?
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
    /// Why a request was refused although no lease is in force, as far as can be seen: follows the state as a clause of its own. Nil if the state says it.
    public var refusal: String?
    /// Why the election cannot pass to a waiter until an operator acts, and what the operator can do: follows the state as a clause of its own. Nil if it
    /// can, or if that cannot be seen.
    public var obstacle: String?
    /// Why the election could not be read, in a list.
    public var problem: CoordinationError?
    /// Everything else that the system reports, in the order to show.
    public var details: [StatusDetail] = []
    /// The states of all slots in their order, if several holders share the name; else empty.
    public var slots: [ElectionState] = []

    public init(name: String, phase: Phase) {
        self.name = name
        self.phase = phase
    }

    /// Whether the election has a leader now; a name with slots, whether any slot has one.
    public var isLed: Bool { phase == .held }

    /// Whether both show one unbroken holding.
    public func isSameTerm(as other: ElectionState) -> Bool {
        if !slots.isEmpty || !other.slots.isEmpty { return matches(other) { $0.isSameTerm(as: $1) } }
        if let termID, let other = other.termID { return termID == other }
        return leader == other.leader && token == other.token
    }

    /// Whether both show the same holding, or none. Neither the passing of time nor a renewal counts as a difference.
    public func isAlike(_ other: ElectionState) -> Bool {
        if !slots.isEmpty || !other.slots.isEmpty { return matches(other) { $0.isAlike($1) } }
        return phase == other.phase && isSameTerm(as: other) && leader == other.leader
    }

    /// Whether `grant` is the term that this state shows, of any slot if the name has slots.
    public func isTerm(of grant: Grant) -> Bool {
        if !slots.isEmpty { return slots.contains { $0.name == grant.name && $0.isTerm(of: grant) } }
        guard phase != .free, leader == grant.identity else { return false }
        if let id = grant.termID { return termID == id }
        return grant.token == nil || token == grant.token
    }
}
