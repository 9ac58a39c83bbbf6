import Glibc
import QQCore
import Support
import Testing

@testable import QQCLI

@Suite("step-down on NATS")
struct NATSStepDownTests {
    @Test("step-down of this user's own lease needs no confirmation", arguments: GoNode.Format.allCases, NATSVersion.allCases)
    func own(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            _ = try await nats.run("acquire", "x", "--id", "me", "--ttl", "60s")
            let run = try await nats.run("step-down", "x", "--json")
            #expect(run.ending == .exited(0))
            try checkSchema(run.text, Schemas.stepDown)
            #expect(try run.json()["stepped_down"] == true)
            #expect(try run.json()["leader"] == "me")
            #expect(try nats.lease() == nil)
            #expect(names(in: nats.box.path("run/qq")) == [])
            // Stepping down lets others lead first, so it sets a cooldown for this node too.
            #expect(try nats.cooldown("me") != nil)
            let again = try await nats.run("acquire", "x", "--id", "me", "--json")
            #expect(again.ending == .exited(1))
            try checkSchema(again.text, Schemas.acquire)
            #expect((try again.json()["cooldown"]?.doubleValue).map { $0 > 30 && $0 <= 60 } == true)
            #expect(try await nats.run("acquire", "x", "--id", "you").ending == .exited(0))
            let nobody = try await nats.run("step-down", "y", "--json")
            #expect(nobody.ending == .exited(1))
            try checkSchema(nobody.text, Schemas.stepDown)
        }
    }

    @Test(
        "step-down of another holder's lease without confirmation is refused and changes nothing", arguments: GoNode.Format.allCases,
        NATSVersion.allCases)
    func denied(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            let holder = try nats.qq("keepalive", "x", "--id", "me", "--ttl", "60s", "--json")
            try await holder.event("elected")
            let before = try nats.lease()
            func stepDown(_ words: String...) async throws -> Run {
                try await nats.box.start(
                    [Sandbox.binary, "step-down", "x"] + words, environment: nats.elsewhere.merging(["QQ_SERVER": nats.url]) { $1 }
                ).finish()
            }
            let bare = try await stepDown()
            #expect(bare.ending == .exited(77))
            #expect(bare.errors.contains("--node me"))
            #expect(try await stepDown("--yes").ending == .exited(77))
            #expect(try await stepDown("--force").ending == .exited(77))
            #expect(try await stepDown("--node", "me").ending == .exited(77))
            #expect(try await stepDown("--node", "you", "--yes").ending == .exited(1))
            #expect(try await stepDown("--node", "me", "--token", "7", "--yes").ending == .exited(1))
            #expect(try nats.lease() == before)
            try await holder.terminate()
        }
    }

    @Test("step-down --node asks a qq, which releases, cools down and campaigns again", arguments: NATSVersion.allCases)
    func asked(_ version: NATSVersion) async throws {
        try await onNATS(version, .v2) { nats in
            let holder = try nats.qq("keepalive", "x", "--id", "me", "--ttl", "2s", "--json", "--on-lost", "echo down >>log")
            let first = try await holder.event("elected")
            let run = try await nats.run("step-down", "x", "--node", "me", "--yes", environment: nats.elsewhere)
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(run.text == "x\tstepped-down\tme\n")
            #expect(nats.box.read("log") == "down\n", "the hook has run by then")
            let released = try WallTime.parse(rfc3339: try await holder.event("released")["time"]?.stringValue ?? "")
            #expect(try nats.cooldown("me") != nil)
            let again = try await holder.event("elected", count: 2)
            #expect(try WallTime.parse(rfc3339: again["time"]?.stringValue ?? "") - released >= .milliseconds(1900))
            #expect((again["token"]?.uint64Value ?? 0) > (first["token"]?.uint64Value ?? 0))
            try await holder.terminate()
            #expect(
                try holder.events().filter { $0 != "renewed" && $0 != "connected" } == [
                    "elected", "step_down_asked", "released", "elected", "released",
                ])
        }
    }

    @Test("step-down --node asks a Go node, and a waiting qq leads immediately afterwards", arguments: NATSVersion.allCases)
    func goNode(_ version: NATSVersion) async throws {
        try await onNATS(version, .v2) { nats in
            var settings = GoNode.Settings(.v2, cluster: "x", node: "go-1", port: nats.server.port)
            settings.ttl = .seconds(9)
            let node = try await GoNode.start(settings, in: nats.box)
            try await waitUntil("the Go node leads") { node.isLeader }
            let next = try nats.qq("keepalive", "x", "--id", "me", "--json")
            try await next.event("waiting")
            #expect(try await nats.run("step-down", "x", "--node", "go-1", "--yes").ending == .exited(0))
            try await next.event("elected", within: .seconds(90))
            #expect(!node.isLeader)
            #expect(try nats.cooldown("go-1") != nil)
            try await next.terminate()
        }
    }

    @Test(
        "step-down --force deletes a lease whose node does not answer, and sets a cooldown for that node",
        arguments: GoNode.Format.allCases,
        NATSVersion.allCases)
    func forced(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            _ = try await nats.run("acquire", "x", "--id", "me", "--ttl", "60s")
            let asked = try await nats.run("step-down", "x", "--node", "me", "--yes", environment: nats.elsewhere)
            #expect(asked.ending == .exited(format == .v1 ? 80 : 69))
            #expect(asked.errors.contains("--force"))
            // A format that has no such request is told at once.
            #expect(asked.errors.contains("trying again") == (format == .v2), "\(asked.errors)")
            #expect(try nats.lease() != nil)
            let run = try await nats.run("step-down", "x", "--force", "--yes", "--node", "me", "--token", "1", environment: nats.elsewhere)
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(try nats.lease() == nil)
            let cooldown = try #require(try nats.cooldown("me"))
            let left = try #require(Int64(cooldown.text)) - WallTime.now().seconds * 1000
            #expect(left > 40_000 && left <= 61_000)
            #expect(try await nats.run("acquire", "x", "--id", "me").ending == .exited(1))
            #expect(try await nats.run("acquire", "x", "--id", "you").ending == .exited(0))
        }
    }

    @Test(
        "step-down --force of a Go node that does not answer sets its cooldown, and the next one leads", arguments: GoNode.Format.allCases)
    func forcedGoNode(_ format: GoNode.Format) async throws {
        try await onNATS(.latest, format) { nats in
            var settings = GoNode.Settings(format, cluster: "x", node: "go-1", port: nats.server.port)
            settings.ttl = .seconds(9)
            let node = try await GoNode.start(settings, in: nats.box)
            try await waitUntil("the Go node leads") { node.isLeader }
            node.pause()
            let next = try nats.qq("keepalive", "x", "--id", "me", "--json")
            try await next.event("waiting")
            let run = try await nats.run("step-down", "x", "--force", "--yes", "--timeout", "500ms")
            #expect(run.ending == .exited(0), "\(run.errors)")
            try await next.event("elected", within: .seconds(90))
            node.resume()
            try await next.event("renewed", count: 2)
            #expect(try nats.lease()?.json?["node_id"] == "me")
            try await next.terminate()
        }
    }

    @Test("step-down ends a guarded command and its processes first, then releases the lease", arguments: NATSVersion.allCases)
    func guarded(_ version: NATSVersion) async throws {
        try await onNATS(version, .v2) { nats in
            let holder = try nats.qq(
                "acquire", "x", "--id", "me", "--ttl", "60s", "--kill-after", "400ms", "--", Sandbox.stamp, nats.box.path("stamps"),
                "--daemon", "--ignore-term")
            _ = try await nats.box.waitForTerms(1)
            let next = try nats.qq(
                "acquire", "x", "--id", "you", "--wait", "--", Sandbox.stamp, nats.box.path("stamps"), "--for", "20",
                environment: nats.elsewhere)
            let run = try await nats.run("step-down", "x", "--node", "me", "--yes", "--json", environment: nats.elsewhere)
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(try run.json()["stepped_down"] == true)
            let end = try await holder.finish()
            #expect(end.ending == .exited(79))
            #expect(end.errors.contains("to step down from x: ending the command"))
            #expect(try await next.finish().ending == .exited(0))
            #expect(nats.box.stamps().violations == [])
            #expect(nats.box.stamps().terms.count == 2)
            #expect(try nats.cooldown("me") != nil)
        }
    }
}
