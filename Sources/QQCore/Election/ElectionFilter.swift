/// Selects elections of a list. A condition that is not given admits all of them.
public struct ElectionFilter: Sendable, Hashable {
    /// Text that the name contains, case-sensitive.
    public var name: String?
    /// A selector of labels, in the system's own words, such as `app=web`. Only the server can apply it.
    public var labels: String?
    /// Text that the leader's identity contains, case-sensitive.
    public var leader: String?
    /// Only elections with a leader.
    public var isLed: Bool
    /// Only elections with waiters.
    public var isContested: Bool
    /// Only elections whose lease expires within this time unless it is renewed.
    public var endsWithin: Duration?

    public init(
        name: String? = nil, labels: String? = nil, leader: String? = nil, isLed: Bool = false, isContested: Bool = false,
        endsWithin: Duration? = nil
    ) {
        self.name = name
        self.labels = labels
        self.leader = leader
        self.isLed = isLed
        self.isContested = isContested
        self.endsWithin = endsWithin
    }

    /// Whether an election fulfils all conditions, except that on labels. A name with slots fulfils those on the leader and its lease if one slot does.
    public func admits(_ state: ElectionState) -> Bool {
        if isContested, (state.waiters ?? 0) == 0 { return false }
        if let name, !state.name.contains(name) { return false }
        guard isLed || leader != nil || endsWithin != nil else { return true }
        return state.holdings.contains { holding in
            if let leader, !(holding.leader ?? "").contains(leader) { return false }
            if let endsWithin { return holding.remaining.map { $0 <= endsWithin } ?? false }
            return true
        }
    }
}
