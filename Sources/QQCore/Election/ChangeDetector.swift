/// Tells the changes of watched elections from repeated reads of the same state. Pure.
public struct ChangeDetector: Sendable {
    private let withRenewals: Bool
    private let isSame: @Sendable (ElectionState, ElectionState) -> Bool
    private var renewals: [String: RenewalDetector] = [:]
    /// The last state of each election.
    public private(set) var last: [String: ElectionState] = [:]

    /// - Parameters:
    ///   - withRenewals: whether a renewal counts as a change.
    ///   - isSame: whether two states of an election are the same but for a renewal. By default those of the same holding.
    public init(withRenewals: Bool, isSame: @escaping @Sendable (ElectionState, ElectionState) -> Bool = { $0.isAlike($1) }) {
        self.withRenewals = withRenewals
        self.isSame = isSame
    }

    /// Takes in a state that was read at `now`.
    /// - Returns: whether it is a change, as the first state of an election is.
    public mutating func isChange(_ state: ElectionState, at now: BootInstant) -> Bool {
        let isRenewed = renewals[state.name, default: RenewalDetector()].isRenewed(state, at: now)
        let before = last.updateValue(state, forKey: state.name)
        return before.map { !isSame($0, state) } ?? true || (withRenewals && isRenewed)
    }
}
