import QQCore
import Support
import Testing

@testable import QQCLI

/// What becomes of a write whose answer is an error.
enum LostAnswer: String, CaseIterable, CustomTestStringConvertible {
    case leadershipLostApplied, leadershipLost, leadershipLostLate, failedAgentApplied, failedAgent, closedApplied, closed

    var testDescription: String { rawValue }

    var fault: ConsulStore.Fault {
        switch self {
        case .leadershipLostApplied: .leadershipLost(applied: .yes)
        case .leadershipLost: .leadershipLost()
        case .leadershipLostLate: .leadershipLost(applied: .later(.milliseconds(100)))
        case .failedAgentApplied: .rpcError(applied: .yes)
        case .failedAgent: .rpcError()
        case .closedApplied: .closed(applied: .yes)
        case .closed: .closed()
        }
    }
}

@Suite("Consul's answers that leave the outcome open") struct ConsulFaultTests {
    @Test("an acquire with an unknown outcome runs the command once, under a lease, and leaves no session", arguments: LostAnswer.allCases)
    func acquire(lost: LostAnswer) async throws {
        try await onConsul { consul in
            consul.store.fail([.transaction], with: lost.fault)
            // A session that is ended because its lock is uncertain leaves a lock-delay.
            let qq = try consul.qq(consul.stamping(id: "q", ["--wait", "--ttl", "10s", "--kill-after", "500ms"], work: ["--for", "50"]))
            #expect(try await qq.finish(within: .seconds(120)).ending == .exited(0), "\(qq.errors)")
            #expect(consul.box.stamps().offences == [] && consul.box.stamps().terms.count == 1)
            #expect(consul.session() == nil && consul.store.sessions == [], "\(qq.errors)")
        }
    }

    @Test("a session whose creation was not answered is found again, or ends by itself", arguments: [true, false])
    func create(isApplied: Bool) async throws {
        try await onConsul { consul in
            consul.store.fail([.create], with: .closed(applied: isApplied ? .yes : .no))
            let qq = try consul.qq(consul.stamping(id: "q", work: ["--for", "5"]))
            #expect(try await qq.finish().ending == .exited(0), "\(qq.errors)")
            #expect(consul.box.stamps().terms.count == 1 && consul.session() == nil && consul.store.sessions == [])
        }
    }

    @Test("one bad answer to a renewal costs neither lease nor command", arguments: LostAnswer.allCases)
    func renew(lost: LostAnswer) async throws {
        try await onConsul { consul in
            let holder = try await consul.hold("x", "--id", "q", "--ttl", "10s", "--renew-every", "300ms", "--kill-after", "500ms")
            let session = try #require(consul.session())
            consul.store.fail([.renew], with: lost.fault)
            let renewals = consul.store.count(.renew)
            try await waitUntil("renewals: \(holder.errors)") { consul.store.count(.renew) >= renewals + 4 }
            #expect(holder.child.isRunning && consul.session() == session && !holder.errors.contains("lost x"), "\(holder.errors)")
            try await holder.terminate()
            #expect(consul.session() == nil && consul.store.sessions == [])
        }
    }

    @Test("too many requests are not a loss") func tooManyRequests() async throws {
        try await onConsul { consul in
            let holder = try await consul.hold("x", "--id", "q", "--ttl", "10s", "--renew-every", "300ms", "--kill-after", "500ms")
            consul.store.fail([.renew, .read, .blockingRead], times: 6, with: .tooManyRequests)
            let renewals = consul.store.count(.renew)
            try await waitUntil("renewals: \(holder.errors)") { consul.store.count(.renew) >= renewals + 8 }
            #expect(holder.child.isRunning && !holder.errors.contains("lost x"), "\(holder.errors)")
            try await holder.terminate()
        }
    }

    @Test("a release whose outcome is unknown is tried again, and the command's exit code stays", arguments: LostAnswer.allCases)
    func release(lost: LostAnswer) async throws {
        try await onConsul { consul in
            let holder = try consul.qq(
                "acquire", "x", "--id", "q", "--", "sh", "-c", "echo held; until [ -e go ]; do sleep 0.02; done; exit 3")
            try await waitUntil("it is held: \(holder.errors)") { holder.output.contains("held") || !holder.child.isRunning }
            consul.store.fail([.transaction], with: lost.fault)
            try consul.box.write("", to: "go")
            let run = try await holder.finish()
            #expect(run.ending == .exited(3), "\(run.errors)")
            try await waitUntil("the key is free: \(run.errors)") { consul.session() == nil }
        }
    }

    @Test("a cluster without a leader is named as the reason") func noLeader() async throws {
        try await onConsul { consul in
            consul.store.fail([.read], times: nil, with: .status(500, "No cluster leader"))
            let run = try await consul.run("acquire", "x", "--id", "q", "--retries", "0", "--", "true")
            #expect(run.ending == .exited(69) && run.errors.contains("the cluster has no leader"), "\(run.errors)")
            #expect(consul.store.sessions == [])
        }
    }

    @Test("--wait waits for an agent that has just started, and is not registered yet") func unregistered() async throws {
        try await onConsul { consul in
            consul.store.fail([.create], times: nil, with: .status(500, "Missing node registration"))
            let once = try await consul.run("acquire", "x", "--id", "q", "--retries", "0", "--", "true")
            #expect(once.ending == .exited(69) && once.errors.contains("has not registered its node"), "\(once.errors)")
            let waiter = try consul.qq("acquire", "x", "--id", "q", "--wait", "--", "true")
            try await waitUntil("it tells of the outage: \(waiter.errors)") { waiter.errors.contains("has not registered its node") }
            consul.store.clearFaults()
            let run = try await waiter.finish()
            #expect(run.ending == .exited(0), "\(run.errors)")
        }
    }
}
