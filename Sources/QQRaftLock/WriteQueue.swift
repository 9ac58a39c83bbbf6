import QQCore
import Synchronization

/// Lets one write at a time through: two at the same moment wedge a RaftLock leader permanently. The write with the least time left goes first, and among
/// equals the one that came first. A renewal therefore does not wait behind requests for new leases until its own lease is over.
package final class WriteQueue: Sendable {
    private struct State {
        var isTaken = false
        var lastID: UInt64 = 0
        /// In the order of deadline and arrival.
        var waiting: [(id: UInt64, deadline: BootInstant, continuation: CheckedContinuation<Bool, Never>)] = []

        mutating func wait(_ id: UInt64, until deadline: BootInstant, _ continuation: CheckedContinuation<Bool, Never>) {
            // Most writes arrive with the latest deadline.
            let place = waiting.lastIndex { ($0.deadline, $0.id) < (deadline, id) }.map { $0 + 1 } ?? 0
            waiting.insert((id, deadline, continuation), at: place)
        }
    }

    private let state = Mutex(State())

    package init() {}

    /// The number of waiting writes.
    var waiters: Int { state.withLock { $0.waiting.count } }

    /// The queue that all writes of this process to one cluster go through.
    static func to(_ endpoints: [String]) -> WriteQueue {
        let key = endpoints.sorted().joined(separator: ",")
        return all.withLock { all in
            if let queue = all[key] { return queue }
            let made = WriteQueue()
            all[key] = made
            return made
        }
    }

    private static let all = Mutex<[String: WriteQueue]>([:])

    /// Waits until no other write is under way, and enters. The caller must then `leave`.
    /// - Returns: false if `deadline` came first or the task was cancelled; the caller must not leave then.
    func enter(until deadline: BootInstant, _ clock: any LeaseClock) async -> Bool {
        if Task.isCancelled { return false }
        let id = state.withLock { state -> UInt64? in
            if !state.isTaken {
                state.isTaken = true
                return nil
            }
            state.lastID += 1
            return state.lastID
        }
        guard let id else { return true }
        return await withTaskGroup(of: Void.self, returning: Bool.self) { group in
            group.addTask { if (try? await clock.sleep(until: deadline)) != nil { self.giveUp(id) } }
            let isIn = await self.wait(id, until: deadline, clock)
            group.cancelAll()
            return isIn
        }
    }

    func leave() {
        let next = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            guard !state.waiting.isEmpty else {
                state.isTaken = false
                return nil
            }
            return state.waiting.removeFirst().continuation
        }
        next?.resume(returning: true)
    }

    private func wait(_ id: UInt64, until deadline: BootInstant, _ clock: any LeaseClock) async -> Bool {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isIn = state.withLock { state -> Bool? in
                    // The cancellation or the deadline can have come before the continuation was stored.
                    if Task.isCancelled || clock.now() >= deadline { return false }
                    if !state.isTaken {
                        state.isTaken = true
                        return true
                    }
                    state.wait(id, until: deadline, continuation)
                    return nil
                }
                if let isIn { continuation.resume(returning: isIn) }
            }
        } onCancel: {
            giveUp(id)
        }
    }

    private func giveUp(_ id: UInt64) {
        let waiting = state.withLock { state in
            state.waiting.firstIndex { $0.id == id }.map { state.waiting.remove(at: $0).continuation }
        }
        waiting?.resume(returning: false)
    }
}
