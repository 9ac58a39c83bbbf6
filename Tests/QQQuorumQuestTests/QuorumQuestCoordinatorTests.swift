import Glibc
import QQCore
import QQGRPC
import Support
import Synchronization
import Testing

@testable import QQQuorumQuest

/// Tests of the coordinator against the test server.
@Suite("Elections on a Quorum Quest server") struct QuorumQuestCoordinatorTests {
    /// Grants that an earlier command has saved.
    final class Saved: Sendable {
        private let grants = Mutex<[String: Grant]>([:])
        subscript(name: String) -> Grant? {
            get { grants.withLock { $0[name] } }
            set { grants.withLock { $0[name] = newValue } }
        }
    }

    /// A clock that stands still, so that no answer is slow and no lease ends, however busy the machine is. Sleep lasts as long as by any clock.
    final class StillClock: LeaseClock {
        private let time = Mutex(BootInstant(nanoseconds: 1_000_000_000_000))
        func now() -> BootInstant { time.withLock { $0 } }
        func sleep(until deadline: BootInstant) async throws { try await Task.sleep(for: max(deadline.duration(since: now()), .zero)) }
        func skip(to moment: BootInstant) { time.withLock { $0 = max($0, moment) } }
    }

    let clock = SkippingClock()
    let saved = Saved()

    func coordinator(_ url: String, timeout: Duration = .seconds(60), clock: (any LeaseClock)? = nil) throws -> QuorumQuestCoordinator {
        let saved = saved
        return QuorumQuestCoordinator(
            server: try ServerURL.parse(url, as: [.quorumQuest]), settings: GRPCSettings(), clock: clock ?? self.clock,
            requestTimeout: timeout, timeToLeave: .seconds(60)
        ) { saved[$0] }
    }

    func onServer(_ body: (QuorumQuestServer, Sandbox) async throws -> Void) async throws {
        let left = try await withSandbox { box in try await body(try await QuorumQuestServer.start(in: box), box) }
        #expect(left.isEmpty)
    }

    func request(_ id: String = "me", ttl: Duration = .seconds(300), continuing: Grant? = nil) -> AcquireRequest {
        AcquireRequest(name: "x", identity: id, ttl: ttl, continuing: continuing)
    }

    func granted(_ answer: AcquireAnswer) throws -> Grant {
        guard case .granted(let grant, nil) = answer else { throw CannotStart("not granted: \(answer)") }
        return grant
    }

    func renewed(_ answer: RenewAnswer) throws -> Grant {
        guard case .renewed(let grant) = answer else { throw CannotStart("not renewed: \(answer)") }
        return grant
    }

    /// The error of a call that should fail.
    func error<Answer>(_ body: () async throws(CoordinationError) -> Answer) async -> CoordinationError? {
        do throws(CoordinationError) {
            _ = try await body()
            return nil
        } catch { return error }
    }

    @Test("acquire, renew, release") func round() async throws {
        let clock = StillClock()
        try await onServer { server, _ in
            let qq = try coordinator(server.url, clock: clock)
            let before = clock.now()
            let grant = try granted(try await qq.acquire(request()))
            #expect(grant.token == nil && grant.ttl == .seconds(300))
            #expect(grant.deadline >= before + .seconds(300) && grant.deadline <= clock.now() + .seconds(300))
            let other = try coordinator(server.url, clock: clock)
            guard case .refused(let state) = try await other.acquire(request("other")) else { throw CannotStart("granted to two") }
            #expect(state.phase == .unknown && state.leader == nil)
            clock.skip(to: before + .seconds(1))
            let longer = try renewed(try await qq.renew(grant))
            #expect(longer.deadline > grant.deadline && longer.acquiredAt == grant.acquiredAt)
            #expect(try await qq.release(longer) == .released)
            #expect(server.holder("x") == nil)
            #expect(server.calls.methods == ["TryAcquireLock", "KeepAlive", "ReleaseLock"])
            _ = try granted(try await other.acquire(request("other")))
        }
    }

    @Test("reading asks the server nothing, and shows the process's own leases until they end") func reading() async throws {
        try await onServer { server, _ in
            let qq = try coordinator(server.url)
            #expect(try await qq.read("x").phase == .unknown)
            let grant = try granted(try await qq.acquire(request(ttl: .seconds(300))))
            let calls = server.calls
            let state = try await qq.read("x")
            #expect(state.phase == .held && state.leader == "me" && state.isOwn == true && state.isTerm(of: grant))
            #expect((state.remaining ?? .zero) > .zero && (state.remaining ?? .zero) <= .seconds(300))
            // Another command, with the grant that this one saved.
            let later = try coordinator(server.url)
            #expect(try await later.read("x").phase == .unknown)
            saved["x"] = grant
            #expect(try await later.read("x").isTerm(of: grant))
            clock.skip(to: grant.deadline)
            #expect(try await later.read("x").phase == .unknown)
            #expect(try await qq.read("x").phase == .unknown)
            #expect(server.calls == calls)
            let refusal = await error { () throws(CoordinationError) in try qq.require(qq.lister, .listElections, for: "list elections") }
            #expect(refusal?.kind == .unsupported)
        }
    }

    @Test("a saved grant is resumed, and one that has expired begins a term") func continued() async throws {
        try await onServer { server, _ in
            let first = try granted(try await coordinator(server.url).acquire(request(ttl: .seconds(300))))
            let going = try granted(try await coordinator(server.url).acquire(request(ttl: .seconds(400), continuing: first)))
            #expect(going.acquiredAt == first.acquiredAt && going.deadline > first.deadline)
            clock.skip(to: first.deadline)
            let anew = try granted(try await coordinator(server.url).acquire(request(continuing: first)))
            #expect(anew.acquiredAt > first.acquiredAt)
        }
    }

    @Test("within the lease, a no is not a loss but is asked again, and a store that lost the lease grants it again") func renewing()
        async throws
    {
        let clock = StillClock()
        try await onServer { server, _ in
            let qq = try coordinator(server.url, clock: clock)
            var grant = try granted(try await qq.acquire(request(ttl: .seconds(300))))
            server.forget("x")
            grant = try renewed(try await qq.renew(grant))
            #expect(server.holder("x") == "me" && server.calls["TryAcquireLock"] == 2)
            server.setStore(.dead(after: .milliseconds(5)))
            let dead = await error { () throws(CoordinationError) in try await qq.renew(grant) }
            #expect(dead?.kind == .unavailable && dead?.isUncertain == false && dead?.reason.contains("a failed store") == true)
            server.setStore(.alive)
            grant = try renewed(try await qq.renew(grant))
            server.grant("x", to: "other", for: .seconds(600))
            let other = await error { () throws(CoordinationError) in try await qq.renew(grant) }
            #expect(other?.kind == .unavailable)
            clock.skip(to: grant.deadline)
            let calls = server.calls["TryAcquireLock"]
            guard case .lost = try await qq.renew(grant) else { throw CannotStart("not lost") }
            #expect(server.calls["TryAcquireLock"] == calls, "after the lease has ended, a renewal does not acquire it again")
            #expect(server.holder("x") == "other" && server.calls.ids == ["me"])
        }
    }

    @Test("a renewal gets half of the remaining lease, whatever the time limit") func renewalInTime() async throws {
        let clock = StillClock()
        try await onServer { server, _ in
            let qq = try coordinator(server.url, timeout: .seconds(60), clock: clock)
            let grant = try granted(try await qq.acquire(request(ttl: .seconds(16))))
            server.change { $0.lost["KeepAlive"] = 1 }
            let late = await error { () throws(CoordinationError) in try await qq.renew(grant) }
            #expect(late?.kind == .unavailable && late?.reason == "no answer in time")
            // The lease has not ended by this clock, however often a busy machine needs more than the half of it.
            var again: RenewAnswer?
            for _ in 0..<10 where again == nil { again = try? await qq.renew(grant) }
            _ = try renewed(try #require(again))
        }
    }

    @Test("a release is trusted if the store shows that it works, and is an error otherwise") func releasing() async throws {
        let clock = StillClock()
        try await onServer { server, _ in
            let qq = try coordinator(server.url, clock: clock)
            let grant = try granted(try await qq.acquire(request(ttl: .seconds(300))))
            server.setStore(.dead(after: .milliseconds(5)))
            let dead = await error { () throws(CoordinationError) in try await qq.release(grant) }
            #expect(dead?.kind == .unavailable && dead?.reason.contains("a failed store") == true)
            server.setStore(.alive)
            // A release whose answer is lost leaves a second at most, even if it is not carried out.
            server.change { $0.unavailable["ReleaseLock"] = 1 }
            #expect(try await qq.release(grant) == .released)
            #expect((server.remaining("x") ?? .zero) <= .seconds(1))
            server.forget("x")
            #expect(try await qq.read("x").phase == .unknown)
        }
    }

    @Test("a release of an expired grant, or by an id alone, returns what it found") func releasingOther() async throws {
        try await onServer { server, _ in
            let qq = try coordinator(server.url)
            let over = Grant(
                name: "x", identity: "me", token: nil, ttl: .seconds(10), deadline: clock.now(), acquiredAt: .now(), expiresAt: .now())
            guard case .notHeld(let state) = try await qq.release(over) else { throw CannotStart("released nothing") }
            #expect(state.phase == .unknown && server.calls["ReleaseLock", "me"] == 1)
            server.grant("x", to: "other", for: .seconds(600))
            guard case .notHeld = try await qq.release(over) else { throw CannotStart("released another's") }
            #expect(server.holder("x") == "other")
            server.grant("x", to: "me", for: .seconds(600))
            #expect(try await qq.release(over) == .released)
            #expect(server.holder("x") == nil)
        }
    }

    @Test(
        "an acquire that a hung store might carry out later is followed by a release",
        arguments: zip([Duration.seconds(60), .seconds(6)], [Duration.milliseconds(1300), .seconds(20)]))
    func hung(timeout: Duration, answersAfter: Duration) async throws {
        try await onServer { server, _ in
            let qq = try coordinator(server.url, timeout: timeout)
            server.setStore(.hung(acquire: answersAfter, others: .milliseconds(300)))
            let failure = await error { () throws(CoordinationError) in try await qq.acquire(request()) }
            #expect(failure?.kind == .unavailable && failure?.isUncertain == false, "\(failure as Any)")
            #expect(server.calls["ReleaseLock", "me"] == 1)
            server.setStore(.alive)
            #expect(server.holder("x") == nil)
        }
    }

    @Test("an uncertain acquire that cannot be undone can be released", arguments: [true, false])
    func doubt(isGiven: Bool) async throws {
        let id = isGiven ? "me" : Identity.uuid()
        try await onServer { server, _ in
            let qq = try coordinator(server.url, timeout: .seconds(5))
            server.change {
                $0.lost["TryAcquireLock"] = 1
                $0.lost["ReleaseLock"] = 1
            }
            // Both were carried out, but neither was answered, so the release is tried again.
            let failure = await error { () throws(CoordinationError) in try await qq.acquire(request(id, ttl: .seconds(300))) }
            #expect(failure?.isUncertain == true && failure?.reason == "no answer in time", "\(failure as Any)")
            let state = try await qq.read("x")
            #expect(state.phase == .held && state.leader == id)
            let grant = Grant(
                name: "x", identity: id, token: nil, ttl: .seconds(60), deadline: clock.now() + .seconds(60), acquiredAt: .now(),
                expiresAt: .now())
            #expect(try await qq.release(grant) == .released)
            #expect(server.calls["ReleaseLock"] == 2 && server.calls["KeepAlive"] == 0)
            #expect(try await qq.read("x").phase == .unknown)
            // The release without an answer could come late, and end the next lease. It cannot if that is another identity's; one that was given stays.
            let next = try granted(try await qq.acquire(request(id, ttl: .seconds(300))))
            #expect((next.identity == id) == isGiven && server.holder("x") == next.identity)
            #expect(try await qq.read("x").isTerm(of: next))
            #expect(try await qq.release(next) == .released)
            #expect(server.holder("x") == nil)
            #expect(try granted(try await qq.acquire(request(id, ttl: .seconds(300)))).identity == next.identity)
        }
    }

    @Test("an uncertain acquire that resumes a term is not released") func doubtOfOwn() async throws {
        try await onServer { server, _ in
            let first = try granted(try await coordinator(server.url).acquire(request(ttl: .seconds(300))))
            let qq = try coordinator(server.url, timeout: .milliseconds(500))
            server.change { $0.lost["TryAcquireLock"] = 1 }
            let failure = await error { () throws(CoordinationError) in try await qq.acquire(request(continuing: first)) }
            #expect(failure?.kind == .unavailable)
            #expect(server.holder("x") == "me" && server.calls["ReleaseLock"] == 0)
        }
    }

    @Test("a lease that a late renewal might bring is released at the session's end") func lateRenewal() async throws {
        try await onServer { server, _ in
            let qq = try coordinator(server.url, timeout: .seconds(5))
            let grant = try granted(try await qq.acquire(request(ttl: .seconds(300))))
            server.setStore(.hung(acquire: .seconds(12), others: .milliseconds(100)))
            _ = await error { () throws(CoordinationError) in try await qq.renew(grant) }
            // Not while the lease might be held.
            #expect(await qq.leaveQueue(request()) == nil)
            #expect(server.calls["ReleaseLock"] == 0 && server.calls["TryAcquireLock"] == 2)
            clock.skip(to: grant.deadline)
            #expect(await qq.leaveQueue(request()) == nil)
            #expect(server.calls["ReleaseLock"] == 1)
            server.setStore(.alive)
            #expect(server.holder("x") == nil)
            #expect(await qq.leaveQueue(request()) == nil)
            #expect(server.calls["ReleaseLock"] == 1, "released once")
        }
    }

    @Test("several servers are asked in turn, starting with the one that answered last", arguments: [false, true])
    func endpoints(isSilent: Bool) async throws {
        try await onServer { server, box in
            let (one, other) = (try Proxy(to: server.port, in: box), try Proxy(to: server.port, in: box))
            let qq = try coordinator("qq://127.0.0.1:\(one.port),127.0.0.1:\(other.port)", timeout: .seconds(24))
            var grant = try granted(try await qq.acquire(request(ttl: .seconds(300))))
            #expect(one.accepted == 1 && other.accepted == 0)
            if isSilent { one.silence() } else { one.kill() }
            grant = try renewed(try await qq.renew(grant))
            #expect(other.accepted == 1)
            let began = clock.now()
            grant = try renewed(try await qq.renew(grant))
            #expect(clock.now().duration(since: began) < .seconds(11), "the dead server is not asked first any more")
            one.pass()
            other.kill()
            _ = try renewed(try await qq.renew(grant))
            let report = await qq.clusterStatus()
            #expect(report.endpoints.map(\.isReachable) == [true, false])
        }
    }

    @Test("changes show this process's leases and their end") func changes() async throws {
        try await onServer { server, _ in
            let qq = try coordinator(server.url)
            var changes = qq.changes(of: ["x", "y"]).makeAsyncIterator()
            #expect(try await changes.next()?.phase == .unknown)
            #expect(try await changes.next()?.name == "y")
            saved["x"] = try granted(try await coordinator(server.url).acquire(request(ttl: .seconds(12))))
            let held = try await changes.next()
            #expect(held?.name == "x" && held?.phase == .held && held?.leader == "me")
            let calls = server.calls
            #expect(try await changes.next()?.phase == .unknown)
            #expect(server.calls == calls)
        }
    }

    @Test(
        "TTLs are whole seconds, from 1 to what fits the protocol",
        arguments: [
            (Duration.seconds(1), true), (.seconds(15), true), (.seconds(Int64(Int32.max)), true), (.seconds(Int64(Int32.max) + 1), false),
            (.zero, false), (.milliseconds(999), false), (.milliseconds(1500), false), (.seconds(1) + .nanoseconds(1), false),
        ])
    func ttl(ttl: Duration, isGood: Bool) throws {
        let qq = try coordinator("qq://127.0.0.1:1")
        if isGood {
            try qq.validate(name: "x", identity: "me", ttl: ttl)
        } else {
            let error = #expect(throws: CoordinationError.self) { try qq.validate(name: "x", identity: "me", ttl: ttl) }
            #expect(error?.kind == .usage)
        }
    }
}
