import Glibc
import Support
import Testing

/// A system that a test takes away and brings back, with all that it has stored.
struct AwaySystem: Sendable {
    let environment: [String: String]
    let away: @Sendable () async throws -> Void
    let back: @Sendable () async throws -> Void

    enum Kind: String, Sendable, CaseIterable, CustomTestStringConvertible {
        case leaseFiles, nats, etcd, consul, kubernetes, raftLock, quorumQuest

        var testDescription: String { rawValue }

        /// A TTL that the system allows.
        var ttl: String { self == .consul ? "10s" : "4s" }
    }

    static func start(_ kind: Kind, in box: Sandbox) async throws -> AwaySystem {
        switch kind {
        case .leaseFiles:
            return AwaySystem(
                environment: [:], away: { #expect(rename(box.leases, box.path("unmounted")) == 0) },
                back: { #expect(rename(box.path("unmounted"), box.leases) == 0) })
        case .nats:
            let server = try await NATSServer.start(in: box)
            return AwaySystem(
                environment: ["QQ_SERVER": server.url + "?format=v2"], away: { server.kill() }, back: { try await server.start() })
        case .etcd:
            let server = try await EtcdServer.start(in: box)
            return AwaySystem(environment: ["QQ_SERVER": server.url], away: { server.kill() }, back: { try await server.start() })
        case .consul:
            let agent = try await ConsulServer.start(ConsulStore(), agent: "client", in: box)
            return AwaySystem(
                environment: ["QQ_SERVER": "consul://127.0.0.1:\(agent.port)/locks"], away: { await agent.kill() },
                back: { try await agent.restart() })
        case .kubernetes:
            let server = try await KubernetesServer.start(in: box)
            server.allow("ops", LeaseAPI.Grant.watching)
            let environment = ["QQ_SERVER": "k8s:///team", "KUBECONFIG": try await server.kubeconfig(for: "ops")]
            return AwaySystem(environment: environment, away: { await server.kill() }, back: { try await server.start() })
        case .raftLock:
            let cluster = try await RaftLockCluster.start(in: box)
            return AwaySystem(
                environment: ["QQ_SERVER": cluster.url], away: { for node in cluster.ports.indices { await cluster.kill(node) } },
                back: { for node in cluster.ports.indices { try await cluster.restart(node) } })
        case .quorumQuest:
            let server = try await QuorumQuestServer.start(in: box)
            return AwaySystem(environment: ["QQ_SERVER": server.url], away: { await server.kill() }, back: { try await server.start() })
        }
    }
}

extension Started {
    /// The number of times that the program has reported that an outage begins and ends.
    fileprivate var outages: [Int] {
        ["; waiting until it works", " works again, after "].map { errors.components(separatedBy: $0).count - 1 }
    }
}

@Suite("A waiter in an outage")
struct OutageTests {
    private static let patience: Duration = .seconds(90)

    @Test(
        "a waiter that starts before its system is up waits for it, reports the outage once, and leads",
        arguments: AwaySystem.Kind.allCases)
    func beforeItIsUp(_ kind: AwaySystem.Kind) async throws {
        try await inSandbox { box in
            let system = try await AwaySystem.start(kind, in: box)
            try await system.away()
            let waiter = try box.start(
                [
                    Sandbox.binary, "acquire", "x", "-v", "--wait", "--retries", "0", "--backoff", "20ms..100ms", "--timeout", "2s", "--",
                    "sh", "-c", "echo held; exec sleep 600",
                ], environment: system.environment)
            try await waitUntil("the waiter tries again and again: \(waiter.errors)", within: Self.patience) {
                guard waiter.child.isRunning else { throw TimedOut("the waiter ended: \(waiter.errors)") }
                return waiter.errors.components(separatedBy: " cannot ").count > 4
            }
            #expect(waiter.outages == [1, 0], "\(waiter.errors)")
            try await system.back()
            try await waitUntil("the waiter leads: \(waiter.errors)", within: Self.patience) {
                guard waiter.child.isRunning else { throw TimedOut("the waiter ended: \(waiter.errors)") }
                return waiter.output.contains("held")
            }
            #expect(waiter.outages == [1, 1], "\(waiter.errors)")
            try await waiter.terminate()
        }
    }

    @Test(
        "if a system is away for longer than the TTL, the holder ends with 79, the waiter waits on, and leads afterwards",
        arguments: AwaySystem.Kind.allCases)
    func longerThanTheTTL(_ kind: AwaySystem.Kind) async throws {
        try await inSandbox { box in
            let system = try await AwaySystem.start(kind, in: box)
            func work(_ id: String) throws -> Started {
                try box.start(
                    [
                        Sandbox.binary, "acquire", "x", "-v", "--id", id, "--ttl", kind.ttl, "--wait", "--retries", "0", "--timeout", "1s",
                        "--",
                        "sh", "-c", "echo held; QQ_TOKEN=${QQ_TOKEN:-1} exec \"$0\" \"$1\"", Sandbox.stamp, box.path("stamps-" + id),
                    ], environment: system.environment)
            }
            let holder = try work("a")
            try await waitUntil("a leads: \(holder.errors)", within: Self.patience) { holder.output.contains("held") }
            let waiter = try work("b")
            try await waitUntil("b waits: \(waiter.errors)", within: Self.patience) { waiter.errors.contains("waiting for x") }
            try await system.away()
            #expect(try await holder.finish(within: Self.patience).ending == .exited(79), "\(holder.errors)")
            try await waitUntil("b reports the outage: \(waiter.errors)", within: Self.patience) {
                guard waiter.child.isRunning else { throw TimedOut("the waiter ended: \(waiter.errors)") }
                return waiter.outages == [1, 0]
            }
            #expect(!waiter.output.contains("held"))
            try await system.back()
            try await waitUntil("b leads: \(waiter.errors)", within: Self.patience) {
                guard waiter.child.isRunning else { throw TimedOut("the waiter ended: \(waiter.errors)") }
                return waiter.output.contains("held")
            }
            #expect(waiter.outages == [1, 1], "\(waiter.errors)")
            try await waiter.terminate()
            let (first, second) = (box.stamps("stamps-a").all, box.stamps("stamps-b").all)
            #expect(first.map(\.at).max() ?? 0 < second.map(\.at).min() ?? .max)
        }
    }

    @Test("a wait that ends in an outage exits with 75 and the reason, whatever the exit code for another leader is")
    func timeIsOver() async throws {
        try await inSandbox { box in
            let system = try await AwaySystem.start(.leaseFiles, in: box)
            try await system.away()
            for options in [[], ["--skip-ok"], ["-E", "3"]] {
                let run = try await box.start([Sandbox.binary, "acquire", "x", "--wait=300ms"] + options + ["--", "touch", "ran"]).finish()
                #expect(run.ending == .exited(75), "\(run.errors)")
                #expect(
                    run.errors.contains("gave up waiting for x: cannot use the lease folder: No such file or directory"), "\(run.errors)")
            }
            #expect(access(box.path("ran"), F_OK) != 0)
            try await system.back()
        }
    }

    @Test("a signal ends a waiter in an outage", arguments: [SIGTERM, SIGINT, SIGHUP])
    func signalled(_ number: CInt) async throws {
        try await inSandbox { box in
            let system = try await AwaySystem.start(.leaseFiles, in: box)
            try await system.away()
            let waiter = try box.qq("acquire", "x", "--wait", "--", "touch", box.path("ran"))
            try await waitUntil("the outage is reported: \(waiter.errors)") { waiter.outages == [1, 0] }
            waiter.child.signal(number)
            #expect(try await waiter.finish().ending == .exited(128 + number))
            try await system.back()
        }
    }

    @Test("keepalive of several elections reports one outage once, and resumes its saved grant after it")
    func keepalive() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "a", "--ttl", "100s", "--id", "me")
            let system = try await AwaySystem.start(.leaseFiles, in: box)
            try await system.away()
            let keeper = try box.qq("keepalive", "a", "b", "c", "--id", "me", "--retries", "0", "--backoff", "20ms..100ms", "-v")
            try await waitUntil("all three try again: \(keeper.errors)") { keeper.errors.components(separatedBy: " cannot ").count > 8 }
            #expect(keeper.outages == [1, 0], "\(keeper.errors)")
            try await system.back()
            try await waitUntil("all three are held: \(keeper.output)") { keeper.output.components(separatedBy: "\telected").count == 4 }
            #expect(keeper.outages == [1, 1], "\(keeper.errors)")
            #expect(try object(try await box.run("status", "a", "--json").text)["token"]?.int64Value == 1)
            try await keeper.terminate()
        }
    }
}
