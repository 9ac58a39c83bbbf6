import Foundation
import QQCore
import Synchronization
import Testing

@testable import QQFile

@Suite("A watch of lease files", .timeLimit(.minutes(10)))
struct FolderWatchTests {
    /// Collects the states that a watch reports.
    final class Watch: Sendable {
        private let states = Mutex<[ElectionState]>([])
        private let error = Mutex<CoordinationError?>(nil)
        private let task = Mutex<Task<Void, Never>?>(nil)

        init(_ coordinator: FileCoordinator, _ names: [String]) {
            task.withLock {
                $0 = Task {
                    do {
                        for try await state in coordinator.changes(of: names) { self.states.withLock { $0.append(state) } }
                    } catch { self.error.withLock { $0 = error as? CoordinationError } }
                }
            }
        }

        /// `NAME PHASE LEADER`, in the order reported.
        var told: [String] { states.withLock { $0.map { "\($0.name) \($0.phase) \($0.leader ?? "-")" } } }
        var failure: CoordinationError? { error.withLock { $0 } }

        func tells(_ expected: [String]) async throws {
            do { try await eventually("\(expected)") { told.count >= expected.count } } catch {
                Issue.record("only \(told) instead of \(expected)")
            }
            #expect(told == expected)
        }

        func end() async {
            let task = task.withLock { $0 }
            task?.cancel()
            await task?.value
        }
    }

    let folder = TemporaryFolder()
    let clock = TestClock()

    @Test("a watch reports every change but no renewal") func changes() async throws {
        let coordinator = try folder.coordinator(clock)
        let watch = Watch(try folder.coordinator(clock), ["backup"])
        try await watch.tells(["backup free -"])
        let grant = try await coordinator.get(ask("a")).grant
        try await watch.tells(["backup free -", "backup held a"])
        for _ in 0..<5 { _ = try await coordinator.renew(grant) }
        _ = try await coordinator.release(grant)
        try await watch.tells(["backup free -", "backup held a", "backup free -"])
        await watch.end()
    }

    @Test("only a lack of inotify has a folder polled, and its setting is named") func shortage() {
        let shortage = { (call: String, code: CInt) in FolderEvents.shortage(SystemCallError(call, code: code)) }
        #expect(shortage("inotify_init1", EMFILE)?.contains("fs.inotify.max_user_instances") == true)
        #expect(shortage("inotify_add_watch", ENOSPC)?.contains("fs.inotify.max_user_watches") == true)
        for code in [ENOENT, EACCES, ENOTDIR] { #expect(shortage("inotify_add_watch", code) == nil) }
    }

    @Test("a watch reports when a lease expires") func expiry() async throws {
        let coordinator = try folder.coordinator()
        _ = try await coordinator.get(ask("a", ttl: .seconds(1)))
        let watch = Watch(coordinator, ["backup"])
        try await eventually("the end") { watch.told.last == "backup expired a" }
        await watch.end()
    }

    @Test("a watch reports a crash", arguments: 0..<10)
    func crash(round: Int) async throws {
        let coordinator = try folder.coordinator(clock)
        let held = try await coordinator.get(ask("a", livenessLock: true))
        let child = try Sleeper(held.livenessLock)
        held.livenessLock?.close()
        let watch = Watch(coordinator, ["backup"])
        try await watch.tells(["backup held a"])
        child.end()
        try await watch.tells(["backup held a", "backup expired a"])
        await watch.end()
    }

    @Test("a watch reports when the lease file is deleted") func fileDeleted() async throws {
        let coordinator = try folder.coordinator(clock)
        _ = try await coordinator.get(ask("a"))
        let watch = Watch(coordinator, ["backup"])
        try await watch.tells(["backup held a"])
        unlink(folder.file("backup.json"))
        try await watch.tells(["backup held a", "backup free -"])
        await watch.end()
    }

    @Test("a watch reports a Go holder") func goHolder() async throws {
        let watch = Watch(try folder.coordinator(clock), ["backup"])
        try await watch.tells(["backup free -"])
        // In one write, so that no empty file is seen in between.
        try folder.write("{\"holder\": \"go\", \"renewTime\": \"\(WallTime.now().rfc3339Nano)\"}", to: "backup.json")
        try await watch.tells(["backup free -", "backup held go"])
        await watch.end()
    }

    @Test("a watch of several elections reports each of them and no other") func severalElections() async throws {
        let coordinator = try folder.coordinator(clock)
        let watch = Watch(try folder.coordinator(clock), ["one", "two"])
        try await watch.tells(["one free -", "two free -"])
        _ = try await coordinator.get(ask("a", "two"))
        try await watch.tells(["one free -", "two free -", "two held a"])
        _ = try await coordinator.get(ask("a", "other"))
        _ = try await coordinator.get(ask("b", "one"))
        try await watch.tells(["one free -", "two free -", "two held a", "one held b"])
        await watch.end()
    }

    @Test("a watch reports a request to step down") func stepDown() async throws {
        let coordinator = try folder.coordinator(clock)
        let held = try await coordinator.get(ask("a", livenessLock: true))
        let watch = Watch(try folder.coordinator(clock), ["backup"])
        try await watch.tells(["backup held a"])
        _ = try await coordinator.askToStepDown(try await coordinator.read("backup"), by: "admin", byForce: true)
        try await watch.tells(["backup held a", "backup held a"])
        await watch.end()
        held.livenessLock?.close()
    }

    @Test("a request to step down is reported even if a renewal follows at once") func stepDownBeforeRenewal() async throws {
        let coordinator = try folder.coordinator(clock)
        let held = try await coordinator.get(ask("a", livenessLock: true))
        let watch = Watch(coordinator, ["backup"])
        try await watch.tells(["backup held a"])
        _ = try await coordinator.renew(held.grant)
        let other = try folder.coordinator(clock)
        _ = try await other.askToStepDown(try await other.read("backup"), by: "admin", byForce: true)
        _ = try await coordinator.renew(held.grant)
        try await watch.tells(["backup held a", "backup held a"])
        await watch.end()
        held.livenessLock?.close()
    }

    @Test("events ring for those who listen to their elections") func listeners() async throws {
        final class NoWait: KernelWait { func cancel() {} }
        let listeners = FolderEvents.Listeners()
        let events = FolderEvents(listeners, source: NoWait())
        let rung = Noted<Set<Int>>([])
        let bells = (0..<3).map { _ in Bell() }
        let waiting = bells.enumerated().map { number, bell in
            Task {
                while true {
                    await bell.wait(until: .distantFuture, clock)
                    if Task.isCancelled { return }
                    rung.change { $0.insert(number) }
                }
            }
        }
        func expect(_ expected: Set<Int>, from names: Set<String>?) async throws {
            listeners.ring(names)
            try await eventually("\(expected)") { rung.value.isSuperset(of: expected) }
            #expect(rung.value == expected)
            rung.change { $0 = [] }
        }
        let both = events.listen(to: ["a", "b"], bells[0])
        _ = events.listen(to: ["b"], bells[1])
        _ = events.listen(to: nil, bells[2])
        try await expect([0, 2], from: ["a"])
        try await expect([0, 1, 2], from: ["a", "b"])
        try await expect([2], from: ["c"])
        try await expect([0, 1, 2], from: nil)
        events.forget(both)
        try await expect([1, 2], from: ["a", "b"])
        for task in waiting { task.cancel() }
    }

    @Test("a watch can start before the default folder exists") func missingDefaultFolder() async throws {
        let server = try ServerURL.parse("file://" + folder.file("state/qq"), as: [.file])
        let make = { FileCoordinator(server: server, isDefault: true, clock: clock, ownTTL: .seconds(15), requestTimeout: .seconds(60)) }
        let watch = Watch(make(), ["backup"])
        try await watch.tells(["backup free -"])
        let grant = try await make().get(ask("a")).grant
        try await watch.tells(["backup free -", "backup held a"])
        _ = try await make().release(grant)
        try await watch.tells(["backup free -", "backup held a", "backup free -"])
        await watch.end()
    }

    @Test("a watch ends with an error when the lease file breaks") func brokenFile() async throws {
        let watch = Watch(try folder.coordinator(clock), ["backup"])
        try await watch.tells(["backup free -"])
        try folder.write("{", to: "backup.json")
        try await eventually("the error") { watch.failure?.kind == .brokenData }
        await watch.end()
    }

    @Test("a cancelled watch leaves no descriptor open") func cancelled() async throws {
        let coordinator = try folder.coordinator(clock)
        let before = inotifyDescriptors
        for _ in 0..<20 {
            let watch = Watch(coordinator, ["backup"])
            try await watch.tells(["backup free -"])
            await watch.end()
        }
        #expect(folder.openDescriptors == 0)
        // Other tests watch at the same time.
        #expect(inotifyDescriptors < before + 15)
    }

    private var inotifyDescriptors: Int {
        let numbers = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return numbers.count { (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) == "anon_inode:inotify" }
    }
}
