import Synchronization

/// The outcome of a call: the first answer that one of several tasks gives.
public final class FirstAnswer<Answer: Sendable>: Sendable {
    private enum State {
        case open(CheckedContinuation<Answer, Never>?)
        case given(Answer)
    }

    private let state = Mutex(State.open(nil))

    public init() {}

    /// Gives the answer. Later answers are ignored.
    public func give(_ answer: Answer) {
        let waiting = state.withLock { state -> CheckedContinuation<Answer, Never>? in
            guard case .open(let waiting) = state else { return nil }
            state = .given(answer)
            return waiting
        }
        waiting?.resume(returning: answer)
    }

    /// Waits for the answer. Call this once.
    public func wait() async -> Answer {
        await withCheckedContinuation { continuation in
            let given = state.withLock { state -> Answer? in
                if case .given(let answer) = state { return answer }
                state = .open(continuation)
                return nil
            }
            if let given { continuation.resume(returning: given) }
        }
    }
}
