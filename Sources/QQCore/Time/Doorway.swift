import Synchronization

/// Limits the number of tasks in a section; the others wait in the order of their arrival.
public final class Doorway: Sendable {
    private struct State {
        var free: Int
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state: Mutex<State>

    public init(width: Int) { state = Mutex(State(free: width)) }

    public func enter() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                guard state.free > 0 else {
                    state.waiting.append(continuation)
                    return false
                }
                state.free -= 1
                return true
            }
            if isFree { continuation.resume() }
        }
    }

    public func leave() {
        let next = state.withLock { state in
            guard let first = state.waiting.first else {
                state.free += 1
                return nil as CheckedContinuation<Void, Never>?
            }
            state.waiting.removeFirst()
            return first
        }
        next?.resume()
    }
}
