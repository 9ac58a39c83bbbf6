import CSystem
import Glibc
import QQCore

// Waiting for a lease file: asleep in the kernel, in the order of arrival.
//
// First comes the queue's lock: the kernel wakes those who sleep for it one at a time, first come first served. Whoever has it is the next to lead, and
// sleeps until the present term's lock is let go, its lease ends, or its record changes.
extension FileCoordinator {
    public func waitForTurn(
        _ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant
    ) async throws(CoordinationError) {
        let directory = try folder.open(creating: false)
        if place(in: request.name) == nil {
            guard let queue = try await takePlace(in: request.name, directory, until: deadline) else { return }
            keepPlace(queue, in: request.name)
            // Much may have happened while we slept.
            return
        }
        let end = min(deadline, blocker.remaining.map { clock.now() + $0 } ?? .distantFuture)
        let side = try folder.openFile(LeaseFolder.sideFile(request.name), in: directory, .change)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await self.clock.sleep(until: end) }
            group.addTask { await self.recordChanges(request.name, from: blocker) }
            if let side, let token = LiveLock.find(side), let byte = LiveLock.byte(of: token) {
                // A reading lock is granted when the writing one goes; the descriptor's end gives it back.
                group.addTask { _ = await BlockingThread.run { qq_ofd_lock_wait($0, side.number, F_RDLCK, byte, 1) == 0 ? 0 : errno } }
            }
            await group.next()
            group.cancelAll()
        }
    }

    /// The queue's lock; nil where `deadline` came first.
    private func takePlace(
        in name: String, _ directory: Descriptor, until deadline: BootInstant
    ) async throws(CoordinationError) -> Descriptor? {
        guard let queue = try folder.openFile(LeaseFolder.sideFile(name), in: directory, .change) else { return nil }
        let clock = clock
        let result = await withTaskGroup(of: CInt.self) { group in
            group.addTask {
                await BlockingThread.run { qq_ofd_lock_wait($0, queue.number, F_WRLCK, LiveLock.queueByte, 1) == 0 ? 0 : errno }
            }
            group.addTask {
                try? await clock.sleep(until: deadline)
                return ETIMEDOUT
            }
            let first = await group.next() ?? ECANCELED
            group.cancelAll()
            return first
        }
        switch result {
        case 0: return queue
        case ETIMEDOUT, ECANCELED: return nil
        default: throw folder.problem(SystemCallError("fcntl", code: result), with: folder.path + "/" + LeaseFolder.sideFile(name))
        }
    }

    /// Returns when the election is not held any more, or by another term.
    private func recordChanges(_ name: String, from blocker: ElectionState) async {
        do {
            for try await state in changes(of: [name]) where !state.isLed || state.token != blocker.token || state.leader != blocker.leader
            { return }
        } catch {
            // Without a watch the lock and the clock still wake us.
            try? await clock.sleep(until: .distantFuture)
        }
    }
}
