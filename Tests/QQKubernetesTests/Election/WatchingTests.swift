import QQCore
import Support
import Synchronization
import Testing

@testable import QQKubernetes

/// In real time. The limits are for a busy machine: a lease that must not end is long, and one that must end is long enough to be seen before.
@Suite(.serialized) struct ElectionWatchingTests {
    private let store = LeaseStore()
    private let api: LeaseAPI
    private let clock = SystemClock()

    private static let watcher = LeaseAPI.User("watcher")
    private static let poller = LeaseAPI.User("poller")

    init() {
        var settings = LeaseAPI.Settings()
        settings.grants = [
            LeaseAPI.Grant("watcher", LeaseAPI.Grant.watching), LeaseAPI.Grant("poller", LeaseAPI.Grant.electing),
            LeaseAPI.Grant("named", LeaseAPI.Grant.watching, names: ["web", "db"]),
        ]
        api = LeaseAPI(store: store, settings: settings)
    }

    private func node(_ user: LeaseAPI.User = watcher) throws -> KubernetesCoordinator {
        KubernetesCoordinator(
            server: try ServerURL.parse("k8s://test/team", as: [testSystem]), api: StoreClient(api, as: user, clock: nil),
            namespace: "team",
            clock: clock, executor: globalConcurrentExecutor, requestTimeout: .seconds(5))
    }

    /// How long a waiter takes from `event` to its grant.
    private func handOver(to waiter: KubernetesCoordinator, ttl: Duration = .seconds(60), on event: @Sendable () async throws -> Void)
        async throws -> Duration
    {
        let wanted = request("waiter", ttl: ttl)
        let blocker = try refused(try await waiter.acquire(wanted))
        let clock = clock
        async let granted: BootInstant = {
            var blocker = blocker
            while true {
                try await waiter.waitForTurn(wanted, behind: blocker, until: clock.now() + .seconds(300))
                switch try await waiter.acquire(wanted) {
                case .granted: return clock.now()
                case .refused(let state): blocker = state
                }
            }
        }()
        try await Task.sleep(for: .milliseconds(200))
        let began = clock.now()
        try await event()
        return try await granted.duration(since: began)
    }

    @Test func `a waiter that may watch takes a released lease by the event alone, long before its end`() async throws {
        let (holder, waiter) = (try node(), try node())
        let grant = try granted(try await holder.acquire(request("holder", ttl: .seconds(120))))
        let time = try await handOver(to: waiter) { _ = try await holder.release(grant) }
        #expect(time < .seconds(60))
        // One request: the event has all that is needed.
        #expect(api.calls.last { $0.verb == .update }?.json?["spec"]?["holderIdentity"] == "waiter")
    }

    @Test func `a waiter takes a lease that expires at its end`() async throws {
        let (holder, waiter) = (try node(), try node())
        _ = try granted(try await holder.acquire(request("holder", ttl: .seconds(3))))
        let began = clock.now()
        _ = try await handOver(to: waiter) {}
        #expect(clock.now().duration(since: began) < .seconds(60))
    }

    @Test func `a waiter that may not watch polls, and says so once`() async throws {
        let (holder, waiter) = (try node(), try node(Self.poller))
        let grant = try granted(try await holder.acquire(request("holder", ttl: .seconds(120))))
        let notices = Task { await waiter.connectionEvents.first { $0.kind == .notice } }
        let time = try await handOver(to: waiter) { _ = try await holder.release(grant) }
        #expect(time < .seconds(60))
        #expect(await notices.value?.text.contains("not allowed to watch") == true)
        #expect(api.calls.count { $0.verb == .watch && $0.user == "poller" } == 1)
    }

    @Test func `a silent watch does not keep a waiter from a lease that has ended`() async throws {
        api.fail([.watch], times: nil, with: .silentWatch)
        let (holder, waiter) = (try node(), try node())
        _ = try granted(try await holder.acquire(request("holder", ttl: .seconds(3))))
        #expect(try await handOver(to: waiter) {} < .seconds(60))
    }

    @Test func `a silent watch does not let a waiter take a lease that is renewed`() async throws {
        api.fail([.watch], times: nil, with: .silentWatch)
        let (holder, waiter) = (try node(), try node())
        var grant = try granted(try await holder.acquire(request("holder", ttl: .seconds(8))))
        let wanted = request("waiter", ttl: .seconds(8))
        var blocker = try refused(try await waiter.acquire(wanted))
        let end = clock.now() + .seconds(13)
        let waiting = Task { [blocker] in
            var blocker = blocker
            while clock.now() < end {
                try await waiter.waitForTurn(wanted, behind: blocker, until: end)
                if clock.now() >= end { return }
                blocker = try refused(try await waiter.acquire(wanted))
            }
        }
        while clock.now() < end {
            try await Task.sleep(for: .milliseconds(500))
            grant = try renewed(try await holder.renew(grant))
        }
        try await waiting.value
        blocker = try await holder.read("web")
        #expect(blocker.leader == "holder")
    }

    @Test func `a watch that ends, expires or breaks is begun again`() async throws {
        let (holder, waiter) = (try node(), try node())
        let grant = try granted(try await holder.acquire(request("holder", ttl: .seconds(120))))
        api.fail([.watch], with: .expired)
        let time = try await handOver(to: waiter) {
            api.endWatches()
            try await Task.sleep(for: .milliseconds(700))
            api.restart()
            try await Task.sleep(for: .milliseconds(1500))
            _ = try await holder.release(grant)
        }
        #expect(time < .seconds(90))
    }

    @Test func `a waiter waits for a server that is away for a moment`() async throws {
        let (holder, waiter) = (try node(Self.poller), try node(Self.poller))
        let grant = try granted(try await holder.acquire(request("holder", ttl: .seconds(120))))
        let time = try await handOver(to: waiter) {
            api.fail([.get], user: "poller", times: 5, with: .unavailable())
            try await Task.sleep(for: .milliseconds(1500))
            api.clearFaults()
            _ = try await holder.release(grant)
        }
        #expect(time < .seconds(90))
    }

    /// Reads answer again before writes do.
    @Test(arguments: [Set(LeaseAPI.Verb.allCases), [.create, .update]])
    func `a waiter for a lease that has ended asks a server that is away at growing intervals`(verbs: Set<LeaseAPI.Verb>) async throws {
        let bench = Bench()
        let waiter = try bench.node(as: Self.poller)
        try bench.put("other", duration: 2)
        bench.api.change { $0.grants = [LeaseAPI.Grant("poller", LeaseAPI.Grant.electing)] }
        let wanted = request("waiter", ttl: .seconds(2))
        var blocker = try refused(try await waiter.qq.acquire(wanted))
        try await waiter.qq.waitForTurn(wanted, behind: blocker, until: bench.clock.now() + .seconds(1))
        bench.clock.pass(.seconds(3))
        let requests = Mutex(0)
        waiter.client.set(before: { _ in requests.withLock { $0 += 1 } }, after: nil)
        bench.api.fail(verbs, times: nil, with: .tooManyRequests())
        let end = bench.clock.now() + .seconds(4)
        while bench.clock.now() < end {
            blocker = try refused(try await waiter.qq.acquire(wanted))
            try await waiter.qq.waitForTurn(wanted, behind: blocker, until: end)
            try #require(requests.withLock { $0 } <= 60)
        }
        // After that, the server counts as away: the lease session reports it, and sets the pace.
        bench.clock.pass(.seconds(5))
        for _ in 0..<2 { await #expect(throws: CoordinationError.self) { _ = try await waiter.qq.acquire(wanted) } }
        bench.api.clearFaults()
        _ = try granted(try await waiter.qq.acquire(wanted))
    }

    // MARK: Holders

    private func nextChange(_ holder: KubernetesCoordinator, after change: @Sendable () async throws -> Void) async throws -> ElectionState?
    {
        let changes = holder.changes(of: ["web"])
        let next = Task {
            for try await state in changes { return state as ElectionState? }
            return nil
        }
        try await Task.sleep(for: .milliseconds(200))
        try await change()
        let watchdog = Task {
            try await Task.sleep(for: waitingTime)
            next.cancel()
        }
        defer { watchdog.cancel() }
        return try await next.value
    }

    @Test func `a holder sees at once that its lease was deleted or taken`() async throws {
        for isTaken in [true, false] {
            let holder = try node()
            let grant = try granted(try await holder.acquire(request("holder", ttl: .seconds(120))))
            let store = store
            let change = try await nextChange(holder) {
                guard isTaken, var lease = store.lease("web").flatMap({ LeaseObject($0) }) else { return store.remove("web") }
                lease.write(lease.record.taken(by: "thief", for: 15, at: .now()))
                try store.put(lease.body)
            }
            let state = try #require(change)
            #expect(!state.isTerm(of: grant))
            store.remove("web")
        }
    }

    @Test func `own renewals and labels tell a holder nothing, and cost no read`() async throws {
        let holder = try node()
        let grant = try granted(try await holder.acquire(request("holder", ttl: .seconds(120))))
        let changes = holder.changes(of: ["web"])
        let next = Task {
            for try await _ in changes { return true }
            return false
        }
        let api = api
        try await waitUntil("it watches") { api.calls.contains { $0.verb == .watch } }
        try await Task.sleep(for: .milliseconds(200))
        api.forgetCalls()
        _ = try renewed(try await holder.renew(grant))
        store.edit("web", labels: ["a": "b"])
        _ = try renewed(try await holder.renew(grant))
        try await waitUntil("the version of the label is read") { api.count(.get) > 0 }
        try await Task.sleep(for: .milliseconds(200))
        next.cancel()
        #expect((try? await next.value) != true)
        // The label's version is read, as nothing else tells whether it was a label.
        #expect(api.count(.get) == 1)
    }

    @Test(arguments: [LeaseAPI.User("watcher"), .init("poller")])
    func `a holder that is asked to step down notices, by watching or with its next renewal`(user: LeaseAPI.User) async throws {
        let holder = try node(user)
        let grant = try granted(try await holder.acquire(request("holder", ttl: .seconds(120))))
        let seen = try await node().read("web")
        let change = try await nextChange(holder) {
            #expect(try await node().askToStepDown(seen, by: "admin", byForce: false) == .asked)
            if user.name == "poller" { _ = try renewed(try await holder.renew(grant)) }
        }
        let state = try #require(change)
        #expect(state.stepDownAskedBy == "admin" && state.isTerm(of: grant))
        // The request does not outlive the term.
        _ = try await holder.release(grant)
        #expect(LeaseObject(store.lease("web")!)?.annotation("qq/step-down") == nil)
    }

    @Test func `many held leases share one watch and need no reads`() async throws {
        let holder = try node()
        var watches: [AsyncThrowingStream<ElectionState, any Error>] = []
        for index in 0..<20 {
            _ = try granted(try await holder.acquire(request("holder", "l\(index)", ttl: .seconds(120))))
            watches.append(holder.changes(of: ["l\(index)"]))
        }
        try await waitUntil("a watch of all leases") {
            api.calls.contains { $0.verb == .watch && !$0.query.contains { $0.name == "fieldSelector" } }
        }
        try await Task.sleep(for: .milliseconds(200))
        #expect(api.calls.count { $0.verb == .watch } <= 2)
        // One for each acquisition.
        #expect(api.count(.get) == 20)
        _ = watches
        await holder.close()
    }

    // MARK: Observers

    @Test(arguments: [LeaseAPI.User("watcher"), .init("poller"), .init("named")])
    func `an observer sees each change of several elections`(user: LeaseAPI.User) async throws {
        let (holder, observer) = (try node(), try node(user))
        let seen = Seen()
        let changes = observer.changes(of: ["web", "db"])
        let following = Task {
            for try await state in changes {
                seen.add("\(state.name) \(state.phase) \(state.leader ?? "-")")
            }
        }
        defer { following.cancel() }
        func wait(for text: String) async throws { try await waitUntil("\(text) in \(seen.all)") { seen.all.contains(text) } }
        try await wait(for: "db free -")
        let grant = try granted(try await holder.acquire(request("a", ttl: .seconds(120))))
        try await wait(for: "web held a")
        _ = try await holder.release(grant)
        try await wait(for: "web free -")
        _ = try granted(try await holder.acquire(request("b", "db", ttl: .seconds(5))))
        try await wait(for: "db held b")
        try await wait(for: "db expired b")
    }

    @Test func `which watches there are`() {
        typealias Target = LeaseWatcher.Target
        #expect(LeaseWatcher.targets([], forbidden: [], present: []) == [])
        #expect(LeaseWatcher.targets(["a"], forbidden: [], present: []) == [.one("a")])
        #expect(LeaseWatcher.targets(["a", "b"], forbidden: [], present: [.one("a")]) == [.all])
        #expect(LeaseWatcher.targets(["a"], forbidden: [], present: [.all]) == [.all])
        #expect(LeaseWatcher.targets(["a", "b"], forbidden: [.all], present: []) == [.one("a"), .one("b")])
        #expect(LeaseWatcher.targets(["a", "b"], forbidden: [.all, .one("a")], present: []) == [.one("b")])
        #expect(LeaseWatcher.targets(Set((0..<99).map { "\($0)" }), forbidden: [.all], present: []).count == 8)
    }
}

private final class Seen: Sendable {
    private let states = Mutex<[String]>([])
    var all: [String] { states.withLock { $0 } }

    func add(_ state: String) { states.withLock { $0.append(state) } }
}
