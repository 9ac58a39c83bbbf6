/// Which elections are wanted of a list. What is not given lets everything through.
public struct ElectionFilter: Sendable, Hashable {
    /// What the name contains. Case counts.
    public var name: String?
    /// What the leader's identity contains. Case counts.
    public var leader: String?
    /// Only those with a leader.
    public var isLed: Bool
    /// Only those that somebody waits for.
    public var isContested: Bool
    /// Only those whose lease ends within this time unless it is renewed.
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

    /// Whether an election is wanted.
    public func admits(_ state: ElectionState) -> Bool {
        if isLed || leader != nil || endsWithin != nil, !state.isLed { return false }
        if isContested, (state.waiters ?? 0) == 0 { return false }
        if let leader, !(state.leader ?? "").contains(leader) { return false }
        if let name, !state.name.contains(name) { return false }
        if let endsWithin { return state.remaining.map { $0 <= endsWithin } ?? false }
        return true
    }
}
