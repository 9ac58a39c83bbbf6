import Glibc
import QQCore
import Support
import Testing

@testable import QQCLI

@Suite("watch on NATS")
struct NATSWatchTests {
    @Test("watch prints the state, then each change, one JSON object a line", arguments: GoNode.Format.allCases, NATSVersion.allCases)
    func changes(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            let run = try nats.qq("watch", "x", "--json")
            // There is no bucket yet, and watching creates none.
            try await run.event("state")
            #expect(try nats.raw.streamNames() == [])
            _ = try await nats.run("acquire", "x", "--id", "a", "--ttl", "60s")
            let elected = try await run.event("elected")
            #expect(elected["leader"] == "a" && elected["token"] == 1 && elected["epoch"] == 1)
            // A renewal is not a change.
            _ = try await nats.run("keepalive", "x", "--once")
            _ = try await nats.run("release", "x")
            let released = try await run.event("released")
            #expect(released["leader"]?.isNull == true && released["state"] == "free")
            _ = try await nats.run("acquire", "x", "--id", "b")
            #expect(try await run.event("elected", count: 2)["leader"] == "b")
            // Another node replaces the holder without a release, as after a partition.
            let stored = try #require(try nats.lease())
            let text = stored.text.replacingFirst("\"b\"", by: "\"c\"")
            try nats.raw.put(nats.leaseKey, text, in: nats.bucket())
            #expect(try await run.event("changed")["leader"] == "c")
            run.child.signal(SIGTERM)
            #expect(try await run.finish().ending == .exited(0))
            #expect(try run.events() == ["state", "elected", "released", "elected", "changed"])
            try checkSchema(run.output, Schemas.watch, lines: 5)
        }
    }

    @Test("watch reports an expiry when it is due", arguments: GoNode.Format.allCases, NATSVersion.allCases)
    func expired(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format, .heavy) { nats in
            let run = try nats.qq("watch", "x", "--json")
            try await run.event("state")
            _ = try await nats.run("acquire", "x", "--id", "a", "--ttl", "2s")
            try await run.event("elected")
            let written = try WallTime.parse(rfc3339: try #require(try nats.lease()).time)
            let expired = try await run.event("expired")
            let pause = try WallTime.parse(rfc3339: expired["time"]?.stringValue ?? "") - written
            #expect(pause >= .milliseconds(1999))
            #expect(pause < .seconds(3))
            #expect(expired["leader"]?.isNull == true)
            try await run.terminate()
        }
    }

    @Test(
        "watch --until exits with 0 when the condition becomes true, or is true already",
        arguments: ["led", "free", "mine", "changed", "leader=a"])
    func until(_ condition: String) async throws {
        try await onNATS(.latest, .v2) { nats in
            if condition == "free" { _ = try await nats.run("acquire", "x", "--id", "a", "--ttl", "60s") }
            let run = try nats.qq("watch", "x", "--until", condition)
            try await waitUntil("watch has started") { !run.output.isEmpty }
            #expect(run.child.isRunning)
            if condition == "free" { _ = try await nats.run("release", "x") } else { _ = try await nats.run("acquire", "x", "--id", "a") }
            #expect(try await run.finish(within: .seconds(90)).ending == .exited(0))
            if condition != "changed" { #expect(try await nats.run("watch", "x", "--until", condition).ending == .exited(0)) }
        }
    }

    @Test("watch --for ends with 75 if --until is still unmet, else with 0", arguments: GoNode.Format.allCases)
    func limited(_ format: GoNode.Format) async throws {
        try await onNATS(.latest, format) { nats in
            #expect(try await nats.run("watch", "x", "--for", "200ms").ending == .exited(0))
            _ = try await nats.run("acquire", "x", "--id", "a", "--ttl", "60s")
            #expect(try await nats.run("watch", "x", "--for", "200ms").ending == .exited(0))
            #expect(try await nats.run("watch", "x", "--until", "free", "--for", "200ms").ending == .exited(75))
        }
    }

    @Test("watch follows several elections, in both formats, some of them held by Go nodes", arguments: NATSVersion.allCases)
    func several(_ version: NATSVersion) async throws {
        try await onNATS(version, .v2) { nats in
            let both = ["QQ_SERVER": nats.server.url]
            let run = try nats.qq("watch", "a", "b", "--until", "led", environment: both)
            try await waitUntil("watch has started: \(run.errors)") { run.output.split(separator: "\n").count == 2 }
            _ = try await nats.run("acquire", "a", "--id", "me", environment: both)
            try await waitUntil("a is led") { run.output.contains("a\telected\tme") }
            #expect(run.child.isRunning)
            let node = try await GoNode.start(.init(.v1, cluster: "b", node: "go-1", port: nats.server.port), in: nats.box)
            #expect(try await run.finish().ending == .exited(0))
            #expect(run.output.contains("b\telected\tgo-1"))
            node.kill()
        }
    }

    @Test("watch --exec runs for each change, in order", arguments: GoNode.Format.allCases)
    func exec(_ format: GoNode.Format) async throws {
        try await onNATS(.latest, format) { nats in
            let run = try nats.qq("watch", "x", "--exec", "echo $QQ_NAME $QQ_EVENT [$QQ_LEADER] >>log")
            try await waitUntil("watch has started") { !run.output.isEmpty }
            _ = try await nats.run("acquire", "x", "--id", "a")
            try await waitUntil("the first change: \(nats.box.read("log"))") { nats.box.read("log").contains("elected") }
            _ = try await nats.run("release", "x")
            try await waitUntil("both changes arrive: \(nats.box.read("log"))") { nats.box.read("log") == "x elected [a]\nx released []\n" }
            try await run.terminate()
        }
    }
}

extension String {
    func replacingFirst(_ part: String, by other: String) -> String {
        firstRange(of: part).map { self[..<$0.lowerBound] + other + self[$0.upperBound...] } ?? self
    }
}
