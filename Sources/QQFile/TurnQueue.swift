import Glibc
import QQCore

// Waiting for a lease file, asleep in the kernel, in the order of arrival.
//
// A waiter first takes a place in the queue. The first waiter sleeps until the present term's lock is released, its lease ends or its record changes. The
// others sleep until they get the queue's lock, and check now and then whether the waiter in front still reacts: a stopped process must not block all
// those behind it.
extension FileCoordinator {
    public func waitForTurn(
        _ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant
    ) async throws(CoordinationError) {
        let name = request.name
        let path = folder.path + "/" + LeaseFolder.sideFile(name)
        let directory = try folder.open(creating: false)
        let kept = place(in: name)
        var found = kept
        if found == nil { found = try newPlace(in: name, directory) }
        guard let place = found else { return }
        let isFirst = try folder.reporting(path) { () throws(SystemCallError) in try place.isFirst() }
        guard kept != nil, isFirst else {
            let patience = max(blocker.remaining ?? request.ttl, .seconds(1)) * 1.5
            await place.wait(until: min(deadline, clock.now() + patience), clock)
            // Much can have happened during the sleep, so the lease is requested again. The place is kept.
            return
        }
        let side = try folder.openFile(LeaseFolder.sideFile(name), in: directory, .change)
        let live = side.flatMap { side in
            let work = TermLivenessLock.findWork(side, expected: blocker.token?.value, highest: LeaseRecord.largestToken)
            if let token = work.token { return TermLivenessLock.byte(of: token, .work) }
            guard let token = blocker.token?.value, TermLivenessLock.isHeld(token, .holder, side) else { return nil }
            return TermLivenessLock.byte(of: token, .holder)
        }
        // If the lease has ended but its processes still blocked it, the clock says nothing.
        let left = blocker.remaining.map { live != nil && $0 <= .zero ? .seconds(1) : $0 }
        let end = min(deadline, left.map { clock.now() + $0 } ?? .distantFuture)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await self.clock.sleep(until: end) }
            group.addTask { await self.recordChanges(name, from: blocker) }
            if let side, let live {
                // A read lock is granted when the write lock is released; closing the descriptor releases it.
                group.addTask { await side.waitToRead(byte: live) }
            }
            await group.next()
            group.cancelAll()
        }
    }

    private func newPlace(in name: String, _ directory: Descriptor) throws(CoordinationError) -> QueuePlace? {
        let file = LeaseFolder.sideFile(name)
        guard let side = try folder.openFile(file, in: directory, .change) else { return nil }
        let place = try folder.reporting(folder.path + "/" + file) { () throws(SystemCallError) in try QueuePlace(side) }
        keepPlace(place, in: name)
        return place
    }

    /// The number of waiters on this machine: the first has the queue's lock, the others sleep for it. Nil if the kernel cannot tell.
    func waiters(_ side: Descriptor, _ locks: KernelLocks) -> Int? {
        let byte = TermLivenessLock.queueByte
        guard let first = side.findLock(on: byte..<byte + 1) else { return nil }
        // No process sleeps for a lock that is free.
        return first == nil ? 0 : side.sleepers(byte: byte, in: locks).map { $0 + 1 }
    }

    /// Returns when the election is no longer held, or held by another term.
    private func recordChanges(_ name: String, from blocker: ElectionState) async {
        do {
            for try await state in changes(of: [name]) where !state.isLed || !state.isSameTerm(as: blocker) { return }
        } catch {
            // Without a watch, the lock and the clock still end the wait.
            try? await clock.sleep(until: .distantFuture)
        }
    }
}
