import QQCore

/// What this process knows of one election, and whether work under it is allowed. Pure.
public struct Standing: Sendable, Hashable {
    /// A term that this process holds.
    public struct Term: Sendable, Hashable {
        public var grant: Grant
        /// The number of the slot that is held; nil without slots.
        public var slot: Int?
        /// The moment at which work under the term has to end unless the lease is renewed before. It lies before the end of the lease.
        public var workEnds: BootInstant

        public init(_ grant: Grant, slot: Int? = nil, workEnds: BootInstant) {
            self.grant = grant
            self.slot = slot
            self.workEnds = workEnds
        }

        /// The earliest moment at which the last request for the lease can have been sent: a lease is counted from there.
        var sentAt: BootInstant { grant.deadline - grant.ttl }
    }

    /// The state of an election that is held by others, and when that was learned.
    struct Sight: Sendable, Hashable {
        var state: ElectionState
        var at: WallTime
    }

    /// Whether a term can allow work.
    private enum Permission: Sendable, Hashable {
        case open
        /// Not under the present term.
        case withdrawn
        /// Not under any term until the next campaign.
        case closed
    }

    /// The name as it was asked for.
    public let election: String
    /// The identity under which this process contends.
    public let identity: String
    /// The number of slots; nil without slots.
    public let slots: Int?
    private(set) var term: Term?
    private(set) var sight: Sight?
    private var permission = Permission.open

    public init(_ election: String, identity: String, slots: Int? = nil) {
        self.election = election
        self.identity = identity
        self.slots = slots
    }

    // MARK: Changes

    /// A term has begun.
    public mutating func begins(_ term: Term) {
        self.term = term
        sight = nil
        if permission == .withdrawn { permission = .open }
    }

    /// The lease of the present term was renewed.
    public mutating func extends(to term: Term) { self.term = term }

    /// The present term allows no work any more, although its lease is still held.
    public mutating func withdraws() { if permission == .open { permission = .withdrawn } }

    /// No term allows work until `campaigns`: the lease is about to be released, or a lease that is just being granted would be.
    public mutating func closes() { permission = .closed }

    /// A campaign begins.
    public mutating func campaigns() { permission = .open }

    /// The lease is not held any more.
    /// - Parameter state: the state of the election, if it is known.
    public mutating func ends(_ state: ElectionState? = nil, at time: WallTime) {
        term = nil
        sight = state.map { Sight(state: $0, at: time) }
    }

    /// Another process leads, and this one waits.
    public mutating func waits(behind state: ElectionState, at time: WallTime) {
        term = nil
        sight = Sight(state: state, at: time)
    }

    // MARK: Answers

    /// Whether this process leads, and work under its term can begin or go on at `now`.
    /// - Parameter jump: the moment at which a jump of the wall clock was last noticed. The lease counts again once a request for it was sent after that.
    public func mayWork(at now: BootInstant, since jump: BootInstant? = nil) -> Bool {
        guard permission == .open, let term, now < term.workEnds else { return false }
        return jump.map { $0 <= term.sentAt } ?? true
    }

    /// The term whose lease is in force at `now`, even if it allows no work any more.
    func holds(at now: BootInstant) -> Term? { term.flatMap { now < $0.grant.deadline ? $0 : nil } }

    /// The identities that hold the election at `now`, as far as this process knows: with slots there can be several.
    func leaders(at now: BootInstant) -> [String] {
        let own = holds(at: now).map { [$0.grant.identity] } ?? []
        return own + (sight?.state.holdings ?? []).compactMap(\.leader)
    }

    /// The end of a lease that has passed without this process having noticed; nil if there is none.
    func overdue(at now: BootInstant) -> BootInstant? {
        guard permission == .open, let end = term?.grant.deadline, end <= now else { return nil }
        return end
    }
}
