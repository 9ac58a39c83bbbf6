/// The token of the user that is logged in, as far as it is known. Pure.
struct LoginState: Sendable, CustomReflectable {
    private enum State {
        case loggedOut
        case token(String)
        /// The cluster has no authentication.
        case notNeeded
    }

    private var state = State.loggedOut
    /// Counts the changes of the token: a refusal of an older one says nothing about the present one.
    private(set) var generation = 0

    /// The token to send; nil for none.
    var token: String? { if case .token(let token) = state { token } else { nil } }
    /// Whether to log in before the next call.
    var isNeeded: Bool { if case .loggedOut = state { true } else { false } }

    mutating func loggedIn(_ token: String) {
        state = .token(token)
        generation += 1
    }

    mutating func isNotEnabled() {
        state = .notNeeded
        generation += 1
    }

    /// A call with the token of that generation was refused.
    mutating func refused(_ generation: Int) { if generation == self.generation { state = .loggedOut } }

    /// Shows nothing of the token.
    var customMirror: Mirror { Mirror(self, children: ["generation": generation]) }
}
