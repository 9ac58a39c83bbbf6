import QQCore

/// A change of an election.
struct Change: Sendable {
    enum Kind: String, Sendable, CaseIterable {
        /// The state when the watch began.
        case state
        /// The election has a leader after a time without one.
        case elected
        /// The election has another leader, or the same one in a new term.
        case changed
        /// The leader released the lease.
        case released
        /// The leader's lease expired.
        case expired
        /// The leader was asked to step down.
        case stepDownAsked = "step_down_asked"
        /// The same term with other details, such as a later end.
        case renewed
    }

    let kind: Kind
    let state: ElectionState
    let time: WallTime

    init(_ kind: Kind, _ state: ElectionState, at time: WallTime) {
        self.kind = kind
        self.state = state
        self.time = time
    }

    /// The change between two states of an election, with the present time.
    init(from before: ElectionState?, to state: ElectionState) { self.init(Self.kind(from: before, to: state), state, at: .now()) }

    private static func kind(from before: ElectionState?, to state: ElectionState) -> Kind {
        guard let before else { return .state }
        switch (before.isLed, state.isLed) {
        case (false, true): return .elected
        case (true, false), (false, false): return state.phase == .expired ? .expired : .released
        case (true, true) where !before.isSameTerm(as: state): return .changed
        case (true, true) where before.stepDownAskedBy == nil && state.stepDownAskedBy != nil: return .stepDownAsked
        case (true, true): return .renewed
        }
    }

    /// The word for a terminal, such as `held` at the start or `step down asked`.
    var word: String { kind == .state ? state.phase.rawValue : kind.rawValue.split(separator: "_").joined(separator: " ") }
}
