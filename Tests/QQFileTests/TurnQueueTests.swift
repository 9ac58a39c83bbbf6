import Foundation
import QQCore
import Testing

@testable import QQFile

@Suite("Waiting for a lease file", .timeLimit(.minutes(10)))
struct WaitingTests {
    let folder = TemporaryFolder()
    let clock = TestClock()

    /// Campaigns as a session does: requests the lease, waits for its turn, requests the lease again.
    private func campaign(_ coordinator: FileCoordinator, _ request: AcquireRequest) async throws -> (
        grant: Grant, livenessLock: (any LivenessLock)?
    ) {
        while true {
            switch try await coordinator.acquire(request) {
            case .granted(let grant, let livenessLock): return (grant, livenessLock)
            case .refused(let blocker): try await coordinator.waitForTurn(request, behind: blocker, until: .distantFuture)
            }
            try Task.checkCancellation()
        }
    }

    private func waiters(_ coordinator: FileCoordinator, are count: Int) async throws {
        try await eventually("\(count) waiters") { try await coordinator.read("backup").waiters == count }
    }

    @Test("waiting ends when the liveness lock is closed") func livenessLockClosed() async throws {
        let held = try await folder.coordinator(clock).get(ask("a", livenessLock: true))
        let waiting = Task { try await campaign(try folder.coordinator(clock), ask("b", livenessLock: true)) }
        try await waiters(try folder.coordinator(clock), are: 1)
        held.livenessLock?.close()
        let taken = try await waiting.value
        #expect(taken.grant.token == FencingToken(2))
        taken.livenessLock?.close()
    }

    @Test("waiting ends when the lease is released") func released() async throws {
        let holder = try folder.coordinator(clock)
        let held = try await holder.get(ask("a"))
        let waiting = Task { try await campaign(try folder.coordinator(clock), ask("b")) }
        try await waiters(holder, are: 1)
        _ = try await holder.release(held.grant)
        #expect(try await waiting.value.grant.token == FencingToken(2))
    }

    @Test("waiting ends when the lease has expired") func expired() async throws {
        let holder = try folder.coordinator(clock)
        _ = try await holder.get(ask("a"))
        let waiting = Task { try await campaign(try folder.coordinator(clock), ask("b")) }
        try await waiters(holder, are: 1)
        clock.putForward(.seconds(601))
        #expect(try await waiting.value.grant.token == FencingToken(2))
    }

    @Test("waiting ends when a Go holder releases the lease") func releasedByGo() async throws {
        try folder.write("{\"holder\": \"go\", \"renewTime\": \"\(WallTime.now().rfc3339Nano)\"}", to: "backup.json")
        let coordinator = try folder.coordinator(clock)
        let waiting = Task { try await campaign(coordinator, ask("b")) }
        try await waiters(try folder.coordinator(clock), are: 1)
        try folder.write("{\"holder\": \"\", \"renewTime\": \"\(WallTime.now().rfc3339Nano)\"}", to: "backup.json")
        #expect(try await waiting.value.grant.identity == "b")
    }

    @Test("waiters are served in the order of their arrival") func order() async throws {
        let holder = try folder.coordinator(clock)
        let held = try await holder.get(ask("first", livenessLock: true))
        let order = Noted<[Int]>([])
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<5 {
                group.addTask { [self] in
                    let coordinator = try folder.coordinator(clock)
                    let taken = try await campaign(coordinator, ask("w\(number)", livenessLock: true))
                    order.change { $0.append(number) }
                    _ = try await coordinator.release(taken.grant)
                    taken.livenessLock?.close()
                }
                try await waiters(holder, are: number + 1)
            }
            held.livenessLock?.close()
            try await group.waitForAll()
        }
        #expect(order.value == [0, 1, 2, 3, 4])
    }

    @Test("waiting is not disturbed by renewals") func renewals() async throws {
        let holder = try folder.coordinator(clock)
        let held = try await holder.get(ask("a", livenessLock: true))
        let coordinator = try folder.coordinator(clock)
        let request = ask("b", livenessLock: true)
        // The first call takes a place in the queue.
        let blocker = try await coordinator.blocker(of: request)
        try await coordinator.waitForTurn(request, behind: blocker, until: .distantFuture)
        let returned = Noted(false)
        let waiting = Task {
            try await coordinator.waitForTurn(request, behind: blocker, until: .distantFuture)
            returned.change { $0 = true }
        }
        for _ in 0..<20 {
            _ = try await holder.renew(held.grant)
            _ = try await holder.read("backup")
        }
        #expect(!returned.value)
        held.livenessLock?.close()
        try await waiting.value
        #expect(await coordinator.leaveQueue(request) == nil)
    }

    @Test("waiting ends at its deadline") func deadline() async throws {
        let held = try await folder.coordinator(clock).get(ask("a", livenessLock: true))
        defer { held.livenessLock?.close() }
        let (one, two) = (try folder.coordinator(clock), try folder.coordinator(clock))
        let blocker = try await one.blocker(of: ask("b"))
        try await one.waitForTurn(ask("b"), behind: blocker, until: .distantFuture)
        // Once as the first in the queue and once behind it.
        for (coordinator, identity) in [(one, "b"), (two, "c")] {
            let deadline = clock.now() + .milliseconds(30)
            try await coordinator.waitForTurn(ask(identity), behind: blocker, until: deadline)
            #expect(clock.now() >= deadline)
        }
    }

    @Test("cancelled waiters leave neither a place in the queue nor a descriptor behind") func cancelled() async throws {
        let held = try await folder.coordinator(clock).get(ask("a", livenessLock: true))
        let reader = try folder.coordinator(clock)
        for _ in 0..<5 {
            let waiting = (0..<4).map { number in Task { try await campaign(try folder.coordinator(clock), ask("w\(number)")) } }
            try await waiters(reader, are: 4)
            for task in waiting { task.cancel() }
            for task in waiting { _ = await task.result }
            try await waiters(reader, are: 0)
        }
        // The holder's own descriptor. A thread that has answered closes its descriptor a moment later.
        try await eventually("one descriptor") { folder.openDescriptors == 1 }
        held.livenessLock?.close()
        try await eventually("no descriptor") { folder.openDescriptors == 0 }
    }

    @Test("a list counts the waiters of each election") func listed() async throws {
        let holder = try folder.coordinator(clock)
        _ = try await holder.get(ask("a"))
        _ = try await holder.get(ask("a", "quiet"))
        let waiting = (0..<3).map { number in Task { try await campaign(try folder.coordinator(clock), ask("w\(number)")) } }
        try await waiters(holder, are: 3)
        let list = try await holder.list()
        #expect(list.map(\.name) == ["backup", "quiet"])
        #expect(list.map(\.waiters) == [3, 0])
        for task in waiting { task.cancel() }
        for task in waiting { _ = await task.result }
    }

    @Test("a waiter that leaves the queue gives up its place") func leavesQueue() async throws {
        _ = try await folder.coordinator(clock).get(ask("a"))
        let coordinator = try folder.coordinator(clock)
        let blocker = try await coordinator.blocker(of: ask("b"))
        try await coordinator.waitForTurn(ask("b"), behind: blocker, until: .distantFuture)
        #expect(try await coordinator.read("backup").waiters == 1)
        #expect(await coordinator.leaveQueue(ask("b")) == nil)
        try await waiters(coordinator, are: 0)
    }

    @Test("a waiter takes an expired lease over from a live holder without guarded processes and does not kill it") func holderWithoutWork()
        async throws
    {
        var request = ask("a", livenessLock: true)
        request.guardsWork = false
        let held = try await folder.coordinator(clock).get(request)
        let sleeper = try Sleeper(held.livenessLock)
        let other = try folder.coordinator(clock)
        #expect(try await other.read("backup").alive == true)
        clock.putForward(.seconds(601))
        let next = try await campaign(other, ask("b", livenessLock: true))
        #expect(next.grant.token == FencingToken(2))
        #expect(sleeper.isAlive)
        #expect(try await other.read("backup").alive == true)
        // The old liveness lock still exists but no longer counts.
        next.livenessLock?.close()
        #expect(try await campaign(other, ask("c", livenessLock: true)).grant.token == FencingToken(3))
        held.livenessLock?.close()
    }

    @Test("a takeover kills survivors but not waiters") func doesNotKillWaiters() async throws {
        let holder = try folder.coordinator(clock)
        let held = try await holder.get(ask("a", livenessLock: true))
        let survivor = try Sleeper(held.livenessLock)
        held.livenessLock?.close()
        let waiting = Task { try await campaign(try folder.coordinator(clock), ask("b")) }
        try await waiters(holder, are: 1)
        clock.putForward(.seconds(601))
        // This process is a waiter, and is still alive.
        #expect(try await waiting.value.grant.token == FencingToken(2))
        #expect(!survivor.isAlive)
    }
}
