import Glibc
import QQCore
import Support
import Testing

@testable import QQCLI

/// Ways in which a holder's only agent is out of reach, or of no use.
enum AgentTrouble: String, CaseIterable, CustomTestStringConvertible {
    case killed = "the agent is killed"
    case stopped = "the agent answers nothing"
    case cutOff = "nothing passes"
    case unanswered = "nothing comes back"
    case noLeader = "the cluster has no leader"
    case losingQuorum = "a leader without quorum still answers renewals"

    var testDescription: String { rawValue }

    func strike(_ agent: ConsulServer, _ proxy: Proxy) async {
        switch self {
        case .killed: await agent.kill()
        case .stopped: agent.isSilent = true
        case .cutOff: proxy.silence()
        case .unanswered: proxy.silence([.toClient])
        case .noLeader: agent.store.loseLeader()
        case .losingQuorum: agent.store.loseQuorum()
        }
    }
}

/// Sessions have at least 10 s. No test waits until one has expired: that a session outlives the command of its holder is seen in the store, which ends
/// a session after twice its TTL, and keeps the key for the lock-delay.
@Suite("Never two over Consul") struct ConsulPromiseTests {
    private static let timing = ["--ttl", "10s", "--kill-after", "500ms"]
    private static let stubborn = ["--child", "--daemon", "--ignore-term"]

    @Test("contenders take their terms one at a time, with growing tokens") func contenders() async throws {
        try await onConsul(agents: ["client", "server2"]) { consul in
            let shells = try (0..<4).map { number in
                try consul.box.start(
                    [
                        "sh", "-c",
                        """
                        for i in 1 2 3; do
                            "$0" acquire x --id node-\(number) --wait --retries 100 -- "$1" "$2" --for 3 2>>errors
                            echo $? >>codes
                        done
                        """, Sandbox.binary, Sandbox.stamp, consul.box.path("stamps"),
                    ], environment: consul.environment(at: consul.url([consul.agents[number % 2].port])))
            }
            for shell in shells { _ = try await shell.finish(within: .seconds(120)) }
            let stamps = consul.box.stamps()
            #expect(stamps.offences == [])
            #expect(stamps.terms.count == 12 && consul.box.codes == [0: 12], "\(consul.box.read("errors"))")
            #expect(consul.session() == nil && consul.store.sessions == [])
        }
    }

    @Test("a release wakes the waiter immediately, by way of another agent") func handOver() async throws {
        try await onConsul(.heavy, agents: ["client", "server2"]) { consul in
            let holder = try consul.qq(consul.stamping(id: "one"), at: consul.url([consul.agents[0].port]))
            _ = try await consul.box.waitForTerms(1)
            let waiter = try consul.qq(consul.stamping(id: "two", work: ["--for", "5"]), at: consul.url([consul.agents[1].port]))
            try await consul.box.waitForWaiter(waiter)
            try await holder.terminate()
            #expect(try await waiter.finish().ending == .exited(0), "\(waiter.errors)")
            let terms = consul.box.stamps().terms
            try #require(terms.count == 2)
            #expect(consul.box.stamps().offences == [])
            let pause = terms[1].first - min(terms[0].last, terms[1].first)
            // The lock-delay, or a waiter that polls, would take longer. Benchmarks measure the rest.
            #expect(pause < 5_000_000_000 + busyTime(since: min(terms[0].last, terms[1].first)), "\(pause / 1_000_000) ms")
        }
    }

    @Test(
        "a holder without its agent or the cluster has ended its processes while its session still lives", arguments: AgentTrouble.allCases)
    func outOfReach(trouble: AgentTrouble) async throws {
        try await onConsul { consul in
            let agent = consul.agents[0]
            let proxy = try Proxy(to: agent.port, in: consul.box)
            let holder = try consul.qq(
                consul.stamping(id: "q", Self.timing + ["--wait"], work: Self.stubborn), at: consul.url([proxy.port]))
            try await waitUntil("all its processes run: \(holder.errors)") { consul.box.stamps().count("daemon") > 0 }
            let session = try #require(consul.session())
            await trouble.strike(agent, proxy)
            let struck = bootNow()
            try await waitUntil("the command is dead: \(holder.errors)", within: .seconds(120)) {
                !consul.box.living.contains { $0.name == "stamp" }
            }
            // Requests still arrive if only the answers do not: the key is released then, after the end of the command.
            #expect(consul.session() == session || trouble == .unanswered)
            // A request that was already sent can still have renewed the session.
            let last = consul.box.stamps().all.map(\.at).max() ?? 0
            #expect(last < struck + 10_500_000_000, "\(Double(last) / 1e9 - Double(struck) / 1e9) s")
            proxy.pass()
            agent.isSilent = false
            if trouble == .noLeader || trouble == .losingQuorum { consul.store.electLeader("server2") }
            if trouble == .killed { try await agent.restart() }
            let run = try await holder.finish(within: .seconds(120))
            #expect(run.ending == .exited(79) && run.errors.contains("lost x while the command ran"), "\(run.errors)")
        }
    }

    @Test("a session that an operator destroys is missed immediately, and the command is dead before the lock-delay ends")
    func destroyed() async throws {
        try await onConsul { consul in
            let holder = try consul.qq(consul.stamping(id: "q", Self.timing + ["--wait"], work: Self.stubborn))
            try await waitUntil("all its processes run: \(holder.errors)") { consul.box.stamps().count("daemon") > 0 }
            let waiter = try consul.qq(consul.stamping(id: "next", Self.timing + ["--wait"], work: ["--for", "5"]))
            try await consul.box.waitForWaiter(waiter)
            consul.store.destroySession(try #require(consul.session()))
            let destroyed = bootNow()
            let run = try await holder.finish()
            #expect(run.ending == .exited(79) && run.errors.contains("lost x while the command ran"), "\(run.errors)")
            #expect(consul.store.isDelayed(consul.key()), "the command is dead within the lock-delay")
            let last = consul.box.stamps().all.map(\.at).max() ?? 0
            #expect(last < destroyed + 3_000_000_000 + busyTime(since: destroyed), "\((last - min(last, destroyed)) / 1_000_000) ms")
            #expect(try await waiter.finish(within: .seconds(120)).ending == .exited(0), "\(waiter.errors)")
            let next = try #require(consul.box.stamps().terms.last)
            #expect(consul.box.stamps().offences == [] && next.first > destroyed + 9_900_000_000)
        }
    }

    @Test("if the held key is deleted, the command is ended immediately") func deleted() async throws {
        try await onConsul { consul in
            let holder = try consul.qq(consul.stamping(id: "q", Self.timing, work: Self.stubborn))
            try await waitUntil("all its processes run: \(holder.errors)") { consul.box.stamps().count("daemon") > 0 }
            try await consul.waitForQuery(holder)
            consul.store.delete(consul.key())
            let deleted = bootNow()
            let run = try await holder.finish()
            #expect(run.ending == .exited(79) && run.errors.contains("lost x while the command ran"), "\(run.errors)")
            let last = consul.box.stamps().all.map(\.at).max() ?? 0
            #expect(last < deleted + 3_000_000_000 + busyTime(since: deleted), "\((last - min(last, deleted)) / 1_000_000) ms")
        }
    }

    @Test("a holder keeps a key that another program overwrites, and can release it") func overwritten() async throws {
        try await onConsul { consul in
            let holder = try await consul.hold("x", "--id", "q", "--ttl", "10s", "--renew-every", "300ms", "--kill-after", "500ms")
            let session = try #require(consul.session())
            consul.store.put(consul.key(), "junk")
            let renewals = consul.store.count(.renew)
            try await waitUntil("three renewals: \(holder.errors)") { consul.store.count(.renew) >= renewals + 3 }
            #expect(holder.child.isRunning && consul.session() == session && !holder.errors.contains("lost"), "\(holder.errors)")
            let state = try object(try await consul.run("status", "x", "--json").text)
            #expect(state["state"] == "held" && state["overwritten"] == true, "\(state)")
            #expect(try await consul.run("acquire", "x", "--id", "other", "--", "true").ending == .exited(1))
            try await holder.terminate()
            #expect(consul.session() == nil && consul.store.sessions == [] && !consul.store.isDelayed(consul.key()))
        }
    }

    @Test("a holder goes over to another agent when its own is killed or silent", arguments: [true, false])
    func anotherAgent(isKilled: Bool) async throws {
        try await onConsul(agents: ["client", "server2"]) { consul in
            let holder = try await consul.hold("x", "--id", "q", "--ttl", "10s", "--renew-every", "500ms", "--kill-after", "500ms")
            let session = try #require(consul.session())
            if isKilled { await consul.agents[0].kill() } else { consul.agents[0].isSilent = true }
            let renewals = consul.store.count(.renew)
            try await waitUntil("renewals at the other agent: \(holder.errors)") { consul.store.count(.renew) >= renewals + 3 }
            #expect(holder.child.isRunning && consul.session() == session && !holder.errors.contains("lost"), "\(holder.errors)")
            try await holder.terminate()
            #expect(consul.session() == nil && consul.store.sessions == [])
        }
    }

    @Test("a cluster without a leader costs no lease that it outlives, and waiters ride it out", arguments: [false, true])
    func withoutLeader(isSlot: Bool) async throws {
        let name = isSlot ? "x-slot-1-of-2" : "x"
        try await onConsul(agents: ["client", "server2"]) { consul in
            let holder = try await consul.hold(name, "--id", "q", "--ttl", "60s", "--renew-every", "500ms")
            let waiter = try consul.qq(consul.stamping(name, id: "next", work: ["--for", "5"]))
            try await consul.box.waitForWaiter(waiter)
            consul.store.loseLeader()
            // An agent without a leader answers after 7 s; a request that is given up before does not learn the reason.
            try await waitUntil("the waiter tells of it once: \(waiter.errors)") { waiter.errors.contains("; waiting until it works") }
            #expect(holder.child.isRunning && waiter.child.isRunning && consul.box.stamps().all.isEmpty, "\(holder.errors)")
            consul.store.electLeader("server2")
            let renewals = consul.store.count(.renew)
            try await waitUntil("renewals under the new leader: \(holder.errors)") { consul.store.count(.renew) >= renewals + 3 }
            #expect(holder.child.isRunning && !holder.errors.contains("lost \(name)"), "\(holder.errors)")
            try await holder.terminate()
            #expect(try await waiter.finish(within: .seconds(90)).ending == .exited(0), "\(waiter.errors)")
            #expect(waiter.errors.split(separator: "\n").count { $0.contains("; waiting until it works") } == 1, "\(waiter.errors)")
            #expect(consul.store.sessions == [])
        }
    }

    @Test("a machine that fails holds its election until its session and the lock-delay have ended", arguments: [false, true])
    func expired(isSlot: Bool) async throws {
        let name = isSlot ? "x-slot-1-of-2" : "x"
        try await onConsul { consul in
            let proxy = try Proxy(to: consul.agents[0].port, in: consul.box)
            let holder = try consul.qq(
                consul.stamping(name, id: "q", Self.timing + ["--wait"], work: Self.stubborn), at: consul.url([proxy.port]))
            try await waitUntil("all its processes run: \(holder.errors)") { consul.box.stamps().count("daemon") > 0 }
            let waiter = try consul.qq(consul.stamping(name, id: "next", Self.timing + ["--wait"], work: ["--for", "5"]))
            try await consul.box.waitForWaiter(waiter)
            // Neither the holder nor its guardian reaches the cluster again.
            let cut = bootNow()
            proxy.silence()
            #expect(try await waiter.finish(within: .seconds(120)).ending == .exited(0), "\(waiter.errors)")
            let stamps = consul.box.stamps()
            let (held, next) = (try #require(stamps.terms.first), try #require(stamps.terms.last))
            #expect(stamps.violations == [] && stamps.terms.count == 2 && held.last < cut + 10_500_000_000)
            // Twice the TTL from the last renewal, at most a third of the TTL before the cut, and the lock-delay of 10 s.
            #expect(next.first > cut + 25_000_000_000, "\(Double(next.first - cut) / 1e9) s")
            proxy.pass()
            #expect(try await holder.finish(within: .seconds(90)).ending == .exited(79), "\(holder.errors)")
        }
    }

    @Test("a lease outlasts the loss of the cluster's leader, and no other contender gets it in between") func leaderLost() async throws {
        try await onConsul(agents: ["client", "server2"]) { consul in
            let holder = try await consul.hold("x", "--id", "q", "--ttl", "10s", "--renew-every", "500ms", "--kill-after", "500ms")
            let session = try #require(consul.session())
            let waiter = try consul.qq(consul.stamping(id: "next", ["--wait", "--retries", "1000"], work: ["--for", "5"]))
            try await consul.box.waitForWaiter(waiter)
            consul.store.killLeader()
            // As long as real clusters take.
            try await Task.sleep(for: .seconds(3))
            #expect(holder.child.isRunning && !holder.errors.contains("lost"), "\(holder.errors)")
            consul.store.electLeader("server2")
            let renewals = consul.store.count(.renew)
            try await waitUntil("renewals under the new leader: \(holder.errors)") { consul.store.count(.renew) >= renewals + 3 }
            #expect(consul.session() == session && consul.box.stamps().all.isEmpty && waiter.child.isRunning, "\(waiter.errors)")
            try await holder.terminate()
            #expect(try await waiter.finish().ending == .exited(0), "\(waiter.errors)")
        }
    }
}
