import Glibc
import QQCore
import Support
import Testing

@testable import QQCLI

@Suite("keepalive on NATS")
struct NATSKeepaliveTests {
    @Test("keepalive resumes a saved grant with the same term and token", arguments: GoNode.Format.allCases, NATSVersion.allCases)
    func goesOn(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            let grant = try await nats.run("acquire", "x", "--id", "me", "--ttl", "3s", "--json").json()
            let run = try nats.qq("keepalive", "x", "--json", "--renew-every", "300ms")
            let elected = try await run.event("elected")
            #expect(elected["token"] == grant["token"])
            #expect(elected["id"] == "me")
            try await run.event("renewed", count: 3)
            let stored = try #require(try nats.lease())
            #expect(stored.json?["epoch"] == grant["epoch"])
            #expect(stored.sequence > 3)
            #expect(try await nats.run("status", "x", "--json").json()["token"] == grant["token"])
            #expect(try await nats.run("acquire", "x", "--id", "you", "--", "true").ending == .exited(1))
            run.child.signal(SIGTERM)
            #expect(try await run.finish().ending == .exited(0))
            #expect(try run.events().last == "released")
            try checkSchema(run.output, Schemas.keepalive, lines: try run.told().count)
            #expect(try nats.lease() == nil)
            #expect(names(in: nats.box.path("run/qq")) == [])
        }
    }

    @Test(
        "keepalive waits for its turn, and leads as soon as the lease is released", arguments: GoNode.Format.allCases, NATSVersion.allCases)
    func waits(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            _ = try await nats.run("acquire", "x", "--id", "first", "--ttl", "120s")
            let run = try nats.qq("keepalive", "x", "--id", "second", "--json", environment: nats.elsewhere)
            #expect(try await run.event("waiting")["reason"] == "first")
            #expect(try await nats.run("release", "x").ending == .exited(0))
            let elected = try await run.event("elected", within: .seconds(90))
            #expect((elected["token"]?.uint64Value ?? 0) > 1)
            try await run.terminate()
            #expect(try run.events().filter { $0 != "connected" } == ["waiting", "elected", "released"])
        }
    }

    @Test(
        "keepalive holds many elections over one connection, and releases all of them", arguments: GoNode.Format.allCases,
        NATSVersion.allCases)
    func many(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            let names = (1...20).map { "e\($0)" }
            let run = try nats.box.start(
                [Sandbox.binary, "keepalive"] + names + ["--id", "me", "--ttl", "5s"], environment: ["QQ_SERVER": nats.url])
            try await waitUntil("all leases are held: \(run.output) \(run.errors)") {
                run.output.split(separator: "\n").count { $0.contains("\telected\t") } == 20
            }
            let status = try await nats.box.start([Sandbox.binary, "status"] + names, environment: ["QQ_SERVER": nats.url]).finish()
            #expect(status.ending == .exited(0))
            #expect(status.records.count == 20 && status.records.allSatisfy { $0[1] == "held" && $0[2] == "me" })
            // The server might take a moment to notice that status has disconnected.
            try await waitUntil("only one connection is open") {
                try nats.server.page("/connz")["connections"]?.arrayValue?.count { $0["name"] == "qq" } == 1
            }
            run.child.signal(SIGINT)
            #expect(try await run.finish().ending == .exited(0))
            for name in names { #expect(try nats.lease(name) == nil, "\(name)") }
            #expect(try await nats.run("status", "--all", "--held").output.isEmpty)
        }
    }

    @Test(
        "keepalive --once renews a held lease, and exits with 1 if there is none", arguments: GoNode.Format.allCases, NATSVersion.allCases)
    func once(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            #expect(try await nats.run("keepalive", "x", "--once").ending == .exited(1))
            #expect(try nats.raw.streamNames() == [])
            _ = try await nats.run("acquire", "x", "--id", "me", "--ttl", "60s")
            let before = try #require(try nats.lease())
            let run = try await nats.run("keepalive", "x", "--once", "--json")
            #expect(run.ending == .exited(0))
            try checkSchema(run.text, Schemas.keepalive)
            let event = try run.json()
            #expect(event["event"] == "renewed")
            #expect(event["token"] == 1)
            let after = try #require(try nats.lease())
            #expect(after.sequence == before.sequence + 1)
            #expect(after.json?["epoch"] == before.json?["epoch"])
            #expect(after.json?["node_id"] == "me")
            // Again with the grant that the first one saved; and without a grant, by id.
            #expect(try await nats.run("keepalive", "x", "--once").ending == .exited(0))
            #expect(
                try await nats.run("keepalive", "x", "--once", "--id", "me", environment: nats.elsewhere).ending
                    == .exited(0))
            #expect(try await nats.run("status", "x", "--json").json()["token"] == 1)
            #expect(try await nats.run("release", "x").ending == .exited(0))
            #expect(try await nats.run("keepalive", "x", "y", "--once").ending == .exited(1))
        }
    }

    @Test("keepalive --pid holds the lease for as long as that process lives", arguments: GoNode.Format.allCases)
    func pid(_ format: GoNode.Format) async throws {
        try await onNATS(.latest, format) { nats in
            let process = try nats.box.start(["sleep", "600"])
            let run = try nats.qq("keepalive", "x", "--id", "me", "--pid", "\(process.pid)", "--json")
            try await run.event("elected")
            process.child.signal(SIGKILL)
            try await process.child.wait()
            #expect(try await run.finish().ending == .exited(0))
            #expect(try nats.lease() == nil)
        }
    }

    @Test(
        "a waiter follows a killed keepalive when its lease ends, not at a later tick", arguments: GoNode.Format.allCases,
        NATSVersion.allCases)
    func killed(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format, .heavy) { nats in
            let run = try nats.qq("keepalive", "x", "--id", "first", "--ttl", "4s", "--json")
            try await run.event("renewed")
            let next = try nats.qq("keepalive", "x", "--id", "second", "--json", environment: nats.elsewhere)
            try await next.event("waiting")
            let killed = bootNow()
            run.child.signal(SIGKILL)
            try await run.child.wait()
            let last = try WallTime.parse(rfc3339: try #require(try nats.lease()).time)
            try await next.event("elected")
            let taken = try #require(try nats.lease())
            #expect(taken.json?["node_id"] == "second")
            let pause = try WallTime.parse(rfc3339: taken.time) - last
            #expect(pause >= .seconds(4))
            #expect(pause < .seconds(5) + .nanoseconds(busyTime(since: killed)))
            try await next.terminate()
        }
    }

    @Test("keepalive runs its hooks, and campaigns again for a lease that was taken and deleted", arguments: GoNode.Format.allCases)
    func takenAway(_ format: GoNode.Format) async throws {
        try await onNATS(.latest, format) { nats in
            let run = try nats.qq(
                "keepalive", "x", "--id", "me", "--ttl", "120s", "--json", "--on-elected", "echo up $QQ_TOKEN >>log", "--on-lost",
                "echo down >>log")
            try await run.event("elected")
            try nats.raw.put(nats.leaseKey, other(format), in: nats.bucket())
            let lost = try await run.event("lost", within: .seconds(30))
            #expect(lost["reason"]?.stringValue?.contains("go-node") == true)
            try nats.raw.delete(nats.leaseKey, in: nats.bucket())
            let again = try await run.event("elected", count: 2)
            #expect(again["token"]?.uint64Value == 4)
            try await waitUntil("the hooks ran") { nats.box.read("log") == "up 1\ndown\nup 4\n" }
            try await run.terminate()
            #expect(nats.box.read("log") == "up 1\ndown\nup 4\ndown\n")
        }
    }

    @Test("keepalive notices a change even if it cannot be read yet when its message arrives", arguments: GoNode.Format.allCases)
    func storedLater(_ format: GoNode.Format) async throws {
        try await onNATS(.latest, format) { nats in
            let run = try nats.qq("keepalive", "x", "--id", "me", "--ttl", "120s", "--json")
            try await run.event("elected")
            let subject = JSONValue.string("$KV.\(nats.bucket()).\(nats.leaseKey)")
            try await waitUntil("qq watches the lease key") {
                let connections = try nats.server.page("/connz?subs=1")["connections"]?.arrayValue ?? []
                return connections.contains { $0["subscriptions_list"]?.arrayValue?.contains(subject) == true }
            }
            let reads = try nats.raw.subscribe("$JS.API.>")
            // Servers also deliver a message that their stream refuses, so there is nothing new to read.
            #expect(throws: (any Error).self) { try nats.raw.put(nats.leaseKey, other(format), in: nats.bucket(), expected: 999) }
            _ = try #require(try nats.raw.next(reads))
            // No client is notified of this.
            _ = try nats.raw.jetStream("STREAM.PURGE.KV_\(nats.bucket())")
            try await run.event("lost", within: .seconds(30))
            try await run.terminate()
        }
    }

    /// The lease of another node.
    private func other(_ format: GoNode.Format) -> String {
        let now = WallTime.now()
        return switch format {
        case .v1:
            "{\"node_id\":\"go-node\",\"epoch\":9,\"expires_at\":\"\((now + .seconds(30)).rfc3339Nano)\",\"acquired_at\":\"\(now.rfc3339Nano)\"}"
        case .v2: "{\"node_id\":\"go-node\",\"epoch\":9,\"acquired_at\":\(now.seconds * 1000)}"
        }
    }

    @Test("a cluster.json configures keepalive as it does the Go nodes", arguments: GoNode.Format.allCases)
    func clusterFile(_ format: GoNode.Format) async throws {
        try await onNATS(.latest, format) { nats in
            let interval = format == .v1 ? "renewIntervalMs" : "heartbeatIntervalMs"
            try nats.box.write(
                """
                {"clusterId": "prod", "nodeId": "web-1", "nats": {"servers": ["nats://127.0.0.1:\(nats.server.port)"]},
                 "election": {"leaseTtlMs": 4000, "\(interval)": 400}, "service": {"version": "3.2.1"}, "logging": {"level": "debug"}}
                """, to: "cluster.json")
            let none = ["QQ_SERVER": ""]
            let run = try nats.qq("keepalive", "--cluster-config", "cluster.json", "--json", "-v", environment: none)
            #expect(try await run.event("elected")["id"] == "web-1")
            #expect(run.errors.contains("logging"))
            try await run.event("renewed", count: 2)
            #expect(try nats.lease("prod")?.json?["node_id"] == "web-1")
            let age = try nats.raw.streamInfo(nats.stream("prod"))?["config"]?["max_age"]?.int64Value
            #expect(age == (format == .v1 ? 8_000_000_000 : 4_000_000_000))
            if format == .v2 { #expect(try nats.raw.request("$SRV.INFO.cluster_prod").json?["version"] == "3.2.1") }
            let status = try await nats.run("status", "--cluster-config", "cluster.json", environment: none)
            #expect(status.ending == .exited(0))
            #expect(status.records.first?.prefix(3) == ["prod", "held", "web-1"])
            try await run.terminate()
            let broken = #"{"clusterId": "prod", "election": {"leaseTtlMs": "soon"}}"#
            try nats.box.write(broken, to: "broken.json")
            let wrong = try await nats.run("status", "--cluster-config", "broken.json", environment: none)
            #expect(wrong.ending == .exited(78))
            #expect(wrong.errors.contains("election.leaseTtlMs"))
        }
    }
}
