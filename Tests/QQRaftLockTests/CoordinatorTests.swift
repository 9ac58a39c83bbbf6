import Glibc
import QQCore
import QQGRPC
import QQRaftLock
import Support
import Synchronization
import Testing

/// Tests the coordinator against the test cluster.
@Suite("Elections on a RaftLock cluster") struct CoordinatorTests {
    let clock = SystemClock()

    func coordinator(_ url: String, timeout: Duration = .seconds(60), follows: Bool = false, priority: Int32 = 0) throws
        -> RaftLockCoordinator
    {
        RaftLockCoordinator(
            server: try ServerURL.parse(url, as: [.raftLock]), settings: GRPCSettings(), clock: clock, executor: globalConcurrentExecutor,
            requestTimeout: timeout, priority: priority, followsRedirects: follows, timeToLeave: .seconds(60))
    }

    func inCluster(_ settings: RaftLockCluster.Settings = .init(), _ body: (RaftLockCluster) async throws -> Void) async throws {
        let left = try await withSandbox(.heavy) { box in try await body(try await RaftLockCluster.start(settings, in: box)) }
        #expect(left.isEmpty)
    }

    func request(_ id: String, _ name: String = "web", ttl: Duration = .seconds(10)) -> AcquireRequest {
        AcquireRequest(name: name, identity: id, ttl: ttl)
    }

    func granted(_ answer: AcquireAnswer) throws -> Grant {
        guard case .granted(let grant, _) = answer else { throw CannotStart("refused: \(answer)") }
        return grant
    }

    func refused(_ answer: AcquireAnswer) throws -> ElectionState {
        guard case .refused(let state) = answer else { throw CannotStart("granted: \(answer)") }
        return state
    }

    @Test("a lease is acquired, read, renewed and released", arguments: [false, true]) func round(isMended: Bool) async throws {
        try await inCluster { cluster in
            cluster.change { $0.isMended = isMended }
            let qq = try coordinator(cluster.url)
            let grant = try granted(try await qq.acquire(request("alice", ttl: .seconds(120))))
            let state = try await qq.read("web")
            #expect(state.phase == .held && state.leader == "alice" && state.isOwn == true && state.token == grant.token)
            #expect((state.remaining ?? .zero) > .seconds(1) && (state.remaining ?? .zero) < .milliseconds(120_100))
            #expect(state.isTerm(of: grant))
            guard case .renewed(let renewed) = try await qq.renew(grant) else { throw CannotStart("not renewed") }
            #expect(renewed.token == grant.token && renewed.deadline > grant.deadline)
            let other = try coordinator(cluster.url)
            let blocker = try refused(try await other.acquire(request("bob", ttl: .seconds(120))))
            #expect(blocker.leader == "alice" && blocker.isOwn == nil)
            #expect(try await qq.release(renewed) == .released)
            #expect(try await qq.read("web").phase == .free)
            guard case .notHeld(let free) = try await qq.release(renewed) else { throw CannotStart("released twice") }
            #expect(free.phase == .free)
            #expect(try await qq.read("never").phase == .free)
            #expect(try await qq.list().map(\.name) == ["web"])
            #expect(cluster.peerConnections == 0)
            #expect(cluster.mostWritesAtOnce == 1)
        }
    }

    @Test("another process with the same identity does not share a lease, and waits for its end") func sameIdentityTerm() async throws {
        try await inCluster { cluster in
            let (one, other) = (try coordinator(cluster.url), try coordinator(cluster.url))
            let grant = try granted(try await one.acquire(request("same", ttl: .seconds(8))))
            let blocker = try refused(try await other.acquire(request("same", ttl: .seconds(8))))
            #expect(blocker.isOwn == false && blocker.token == grant.token)
            try await other.waitForTurn(request("same"), behind: blocker, until: clock.now() + .seconds(90))
            _ = try refused(try await other.acquire(request("same")))
            // A grant that comes slowly, on a busy machine, might be the other's: it is left alone until it ends.
            var second: Grant?
            for _ in 1...4 where second == nil {
                try await other.waitForTurn(request("same"), behind: blocker, until: clock.now() + .seconds(90))
                if case .granted(let grant, _) = try await other.acquire(request("same")) { second = grant }
            }
            #expect(second != nil && second?.token != grant.token)
            guard case .lost = try await one.renew(grant) else { throw CannotStart("both hold it") }
        }
    }

    @Test("a waiter gets its turn from the queue, or leaves it") func queue() async throws {
        try await inCluster { cluster in
            cluster.acquire("web", by: "holder", for: .seconds(600))
            // Nobody else has these identities: no grant is too slow to be theirs.
            let (alice, bob) = (Identity.generated(), Identity.generated())
            let qq = try coordinator(cluster.url, priority: 5)
            let blocker = try refused(try await qq.acquire(request(alice, ttl: .seconds(120))))
            #expect(blocker.leader == "holder")
            try await qq.waitForTurn(request(alice, ttl: .seconds(120)), behind: blocker, until: clock.now() + .seconds(90))
            #expect(cluster.lock("web")?.waiters == [alice])
            async let turn: Void = qq.waitForTurn(request(alice, ttl: .seconds(120)), behind: blocker, until: clock.now() + .seconds(90))
            try await Task.sleep(for: .milliseconds(300))
            let began = clock.now()
            cluster.release("web")
            try await turn
            // Long before the given limit.
            #expect(clock.now().duration(since: began) < .seconds(60))
            let grant = try granted(try await qq.acquire(request(alice, ttl: .seconds(120))))
            #expect(cluster.lock("web")?.waiters == [])
            let second = try coordinator(cluster.url)
            try await second.waitForTurn(request(bob), behind: blocker, until: clock.now() + .seconds(90))
            #expect(cluster.lock("web")?.waiters == [bob])
            #expect(await second.leaveQueue(request(bob)) == nil)
            #expect(cluster.lock("web")?.waiters == [])
            try await second.waitForTurn(request(bob), behind: blocker, until: clock.now() + .seconds(90))
            #expect(try await qq.release(grant) == .released)
            #expect(cluster.owner(of: "web") == bob)
            #expect(await second.leaveQueue(request(bob)) == nil)
            #expect(cluster.owner(of: "web") == nil)
        }
    }

    @Test("a lease is kept when the Raft leader changes") func leaders() async throws {
        var settings = RaftLockCluster.Settings()
        settings.electionTime = .milliseconds(300)
        try await inCluster(settings) { cluster in
            let qq = try coordinator(cluster.url)
            let grant = try granted(try await qq.acquire(request("alice", ttl: .seconds(120))))
            await cluster.kill(1)
            var renewed: Grant?
            let end = clock.now() + waitingTime
            while renewed == nil, clock.now() < end {
                do throws(CoordinationError) {
                    if case .renewed(let grant) = try await qq.renew(grant) { renewed = grant }
                } catch {
                    #expect(error.isTransient, "\(error)")
                    try await Task.sleep(for: .milliseconds(50))
                }
            }
            #expect(renewed != nil)
            try await cluster.restart(1)
            #expect(try await qq.release(grant) == .released)
            let report = await qq.clusterStatus()
            #expect(report.endpoints.count(where: \.canGrant) == 1)
        }
    }

    @Test("a URL with only a follower works if redirects are followed and lead to the service") func redirects() async throws {
        try await inCluster { cluster in
            let qq = try coordinator(cluster.url(of: [0]), timeout: .seconds(10))
            do throws(CoordinationError) {
                _ = try await qq.acquire(request("alice", ttl: .seconds(120)))
                Issue.record("granted")
            } catch {
                #expect(error.kind == .unavailable && !error.isUncertain)
            }
            let bold = try coordinator(cluster.url(of: [0]), timeout: .seconds(20), follows: true)
            do throws(CoordinationError) {
                _ = try await bold.acquire(request("alice", ttl: .seconds(120)))
                Issue.record("granted")
            } catch {}
            #expect(cluster.peerConnections == 1)
            cluster.change { $0.redirectsToService = true }
            _ = try granted(try await bold.acquire(request("alice", ttl: .seconds(120))))
        }
    }

    @Test("a wedged Raft leader is named", arguments: [true, false]) func wedged(refuses: Bool) async throws {
        try await inCluster { cluster in
            let qq = try coordinator(cluster.url, timeout: .seconds(5))
            let grant = try granted(try await qq.acquire(request("alice", ttl: .seconds(120))))
            cluster.wedge(refuses ? .refuses : .hangs)
            var told: [CoordinationError] = []
            for _ in 0..<2 {
                do throws(CoordinationError) { _ = try await qq.release(grant) } catch { told.append(error) }
            }
            #expect(told.count == 2 && told.allSatisfy(\.isUncertain))
            // A silent leader might wait for other nodes.
            #expect(
                told.last?.reason.contains(
                    refuses ? "node2 answers reads but refuses every write; restart it" : "node2 answers reads but no write")
                    == true)
            let began = clock.now()
            do throws(CoordinationError) { _ = try await qq.renew(grant) } catch {}
            #expect(clock.now().duration(since: began) < .seconds(40))
        }
    }

    @Test("without a Raft leader or without nodes, requests fail with certainty") func nobody() async throws {
        try await inCluster { cluster in
            cluster.loseLeader()
            let qq = try coordinator(cluster.url, timeout: .seconds(5))
            do throws(CoordinationError) { _ = try await qq.acquire(request("alice", ttl: .seconds(120))) } catch {
                #expect(error.kind == .unavailable && !error.isUncertain)
            }
            do throws(CoordinationError) { _ = try await qq.read("web") } catch {}
            for node in 0..<3 { await cluster.kill(node) }
            do throws(CoordinationError) { _ = try await qq.acquire(request("alice", ttl: .seconds(120))) } catch {}
            do throws(CoordinationError) { _ = try await qq.read("web") } catch {}
        }
    }

    @Test("a lease granted by an uncertain request counts as own, and can be stepped down from") func uncertain() async throws {
        try await inCluster { cluster in
            let qq = try coordinator(cluster.url, timeout: .seconds(5))
            _ = try await qq.read("web")
            cluster.setMajority(false)
            do throws(CoordinationError) {
                _ = try await qq.acquire(request("alice", ttl: .seconds(120)))
                Issue.record("granted")
            } catch {
                #expect(error.isUncertain)
            }
            cluster.setMajority(true)
            try await Task.sleep(for: .milliseconds(200))
            let state = try await qq.read("web")
            #expect(state.leader == nil || state.isOwn == true)
            #expect(await qq.leaveQueue(request("alice", ttl: .seconds(120))) == nil)
            #expect(cluster.owner(of: "web") == nil)
            cluster.acquire("web", by: "bob", for: .seconds(600))
            #expect(try await qq.askToStepDown(try await qq.read("web"), by: "alice", byForce: true) == .done)
            #expect(cluster.owner(of: "web") == nil)
        }
    }

    @Test("writes of many sessions are sent one at a time") func serial() async throws {
        try await inCluster { cluster in
            cluster.change { $0.wedgesOnOverlap = true }
            let (one, two) = (try coordinator(cluster.url, timeout: .seconds(600)), try coordinator(cluster.url, timeout: .seconds(600)))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<100 {
                    let qq = number % 2 == 0 ? one : two
                    group.addTask {
                        let grant = try granted(try await qq.acquire(request("alice", "web-\(number)", ttl: .seconds(300))))
                        guard case .renewed = try await qq.renew(grant) else { throw CannotStart("lost") }
                        guard case .released = try await qq.release(grant) else { throw CannotStart("not held") }
                    }
                }
                try await group.waitForAll()
            }
            #expect(cluster.mostWritesAtOnce == 1)
        }
    }

    @Test("a watch reports changes of a lock") func watch() async throws {
        try await inCluster { cluster in
            let qq = try coordinator(cluster.url)
            var iterator = qq.changes(of: ["web"]).makeAsyncIterator()
            #expect(try await iterator.next()?.phase == .free)
            cluster.acquire("web", by: "alice", for: .seconds(600))
            #expect(try await iterator.next()?.leader == "alice")
            cluster.release("web")
            #expect(try await iterator.next()?.phase == .free)
        }
    }

    @Test("all locks are listed, in whatever order the server sends them, the newest one too") func lists() async throws {
        // A follower does not have it until the next heartbeat: there is none.
        var settings = RaftLockCluster.Settings()
        settings.heartbeat = nil
        try await inCluster(settings) { cluster in
            for number in 0..<2500 { cluster.acquire("list/\(number)", by: "alice", for: .seconds(600)) }
            let qq = try coordinator(cluster.url)
            let found = try await qq.list()
            #expect(found.count == 2500 && found.map(\.name) == found.map(\.name).sorted())
        }
    }

    @Test("a lease is acquired although a node hangs") func hung() async throws {
        try await inCluster { cluster in
            cluster.hang(0)
            let qq = try coordinator(cluster.url, timeout: .seconds(12))
            var grant: Grant?
            for _ in 0..<3 where grant == nil {
                do throws(CoordinationError) {
                    if case .granted(let given, _) = try await qq.acquire(request("alice", ttl: .seconds(120))) { grant = given }
                } catch {
                    _ = try? await qq.read("web")
                }
            }
            #expect(grant != nil)
        }
    }

    @Test("a waiting session that is stopped leaves the queue; one that is not stopped gets its turn") func sessions() async throws {
        try await inCluster { cluster in
            cluster.change { $0.wedgesOnOverlap = true }
            cluster.acquire("web", by: "holder", for: .seconds(600))
            let qq = try coordinator(cluster.url)
            let me = Identity.generated()
            let driver = SessionDriver(
                .init(request: request(me, ttl: .seconds(20)), renewEvery: .seconds(1), waiting: .forever), coordinator: qq, clock: clock)
            async let outcome = driver.run { _, _ in }
            try await waitUntil("a waiter") { cluster.lock("web")?.waiters == [me] }
            driver.stop()
            #expect(await outcome == .stopped)
            #expect(cluster.lock("web")?.waiters == [])
            let second = SessionDriver(
                .init(request: request(me, ttl: .seconds(20)), renewEvery: .milliseconds(500), waiting: .forever), coordinator: qq,
                clock: clock)
            async let other = second.run { _, _ in }
            try await waitUntil("a waiter") { cluster.lock("web")?.waiters == [me] }
            cluster.release("web")
            try await waitUntil("a holder") { cluster.owner(of: "web") == me }
            try await waitUntil("the TTL of the request") { (cluster.lock("web")?.remaining ?? .seconds(30)) <= .seconds(20) }
            second.stop()
            #expect(await other == .stopped)
            #expect(cluster.owner(of: "web") == nil && cluster.lock("web")?.waiters == [])
        }
    }
}
