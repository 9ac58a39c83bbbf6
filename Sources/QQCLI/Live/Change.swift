import QQCore

/// A change of an election, and what to call it.
struct Change: Sendable {
    enum Kind: String, Sendable, CaseIterable {
        /// What was found at the start.
        case state
        /// Somebody leads where nobody did.
        case elected
        /// Another leads, or the same in a new term.
        case changed
        /// The leader let go.
        case released
        /// The leader's lease ended.
        case expired
        /// The leader was asked to step down.
        case stepDownAsked = "step_down_asked"
        /// The same term goes on with other particulars.
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

    /// What became of an election, just now.
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

    /// What a person reads: `held` at the start, then `step down asked`.
    var word: String { kind == .state ? state.phase.rawValue : kind.rawValue.split(separator: "_").joined(separator: " ") }
}
