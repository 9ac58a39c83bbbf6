/// Selects elections of a list. A condition that is not given admits all of them.
public struct ElectionFilter: Sendable, Hashable {
    /// Text that the name contains, case-sensitive.
    public var name: String?
    /// Text that the leader's identity contains, case-sensitive.
    public var leader: String?
    /// Only elections with a leader.
    public var isLed: Bool
    /// Only elections with waiters.
    public var isContested: Bool
    /// Only elections whose lease expires within this time unless it is renewed.
    public var endsWithin: Duration?

    public init(
        name: String? = nil, leader: String? = nil, isLed: Bool = false, isContested: Bool = false, endsWithin: Duration? = nil
    ) {
        self.name = name
        self.leader = leader
        self.isLed = isLed
        self.isContested = isContested
        self.endsWithin = endsWithin
    }

    /// Whether an election fulfils all conditions.
    public func admits(_ state: ElectionState) -> Bool {
        if isLed || leader != nil || endsWithin != nil, !state.isLed { return false }
        if isContested, (state.waiters ?? 0) == 0 { return false }
        if let leader, !(state.leader ?? "").contains(leader) { return false }
        if let name, !state.name.contains(name) { return false }
        if let endsWithin { return state.remaining.map { $0 <= endsWithin } ?? false }
        return true
    }
}
