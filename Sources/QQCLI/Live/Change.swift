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
    /// The state of the election after the change.
    let state: ElectionState
    let time: WallTime
    /// The number of the slot that has changed, from 1 on; nil if the name has no slots, and for its first state.
    let slot: Int?

    /// - Parameter slot: a slot that `state` has.
    init(_ kind: Kind, _ state: ElectionState, slot: Int? = nil, at time: WallTime) {
        self.kind = kind
        self.state = state
        self.slot = slot.flatMap { state.slots.indices.contains($0 - 1) ? $0 : nil }
        self.time = time
    }

    /// The change between two states of an election, or of one of its slots, with the present time.
    init(from before: ElectionState?, to state: ElectionState, slot: Int? = nil) {
        let changed = slot.map { state.slots[$0 - 1] } ?? state
        self.init(Self.kind(from: before, to: changed), state, slot: slot, at: .now())
    }

    /// The state of the slot that has changed, or of the election.
    var changed: ElectionState { slot.map { state.slots[$0 - 1] } ?? state }

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
