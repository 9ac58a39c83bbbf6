internal import Synchronization

/// The events that one reader has not read yet: at most 256, of which the oldest are dropped and counted.
final class EventReader: Sendable {
    static let capacity = 256

    private struct State {
        var buffer: [ElectionEvent] = []
        var missed = 0
        var isFinished = false
        var nextID = 0
        var waiting: [(id: Int, continuation: CheckedContinuation<ElectionEvent?, Never>)] = []
    }

    private let hub: EventHub
    private let state = Mutex(State())

    init(hub: EventHub) { self.hub = hub }

    deinit { hub.remove(ObjectIdentifier(self)) }

    func take(_ event: ElectionEvent) {
        let waiting = state.withLock { state -> CheckedContinuation<ElectionEvent?, Never>? in
            if state.isFinished { return nil }
            if !state.waiting.isEmpty { return state.waiting.removeFirst().continuation }
            if state.buffer.count == Self.capacity {
                state.buffer.removeFirst()
                state.missed += 1
            }
            state.buffer.append(event)
            return nil
        }
        waiting?.resume(returning: event)
    }

    func finish() {
        let waiting = state.withLock { state in
            state.isFinished = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for waiter in waiting { waiter.continuation.resume(returning: nil) }
    }

    func next() async -> ElectionEvent? {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer: ElectionEvent?? = state.withLock { state in
                    if Task.isCancelled { return .some(nil) }
                    if state.missed > 0 {
                        defer { state.missed = 0 }
                        return .missed(state.missed)
                    }
                    if !state.buffer.isEmpty { return state.buffer.removeFirst() }
                    if state.isFinished { return .some(nil) }
                    state.waiting.append((id, continuation))
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiting.firstIndex { $0.id == id }.map { state.waiting.remove(at: $0) }
            }
            waiter?.continuation.resume(returning: nil)
        }
    }
}
