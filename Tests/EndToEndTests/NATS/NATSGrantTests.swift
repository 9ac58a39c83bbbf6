import Glibc
import QQCore
import Support
import Testing

@testable import QQCLI

@Suite("A lease on NATS, acquired without a command")
struct NATSGrantTests {
    @Test("acquire stores a lease as a Go node does, and it stays held", arguments: GoNode.Format.allCases, NATSVersion.allCases)
    func acquired(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            let run = try await nats.run("acquire", "x", "--id", "me", "--ttl", "60s")
            #expect(run.ending == .exited(0))
            #expect(run.text == "x\tme\t1\t60\n")
            let stored = try #require(try nats.lease())
            #expect(stored.sequence == 1)
            let value = try #require(stored.json?.objectValue)
            #expect(value["node_id"] == "me")
            #expect(value["epoch"] == 1)
            switch format {
            case .v1:
                #expect(value.members.map(\.name) == ["node_id", "epoch", "expires_at", "acquired_at"])
                let (began, ends) = (try time(value["acquired_at"]), try time(value["expires_at"]))
                #expect(ends - began == .seconds(60))
            case .v2:
                #expect(value.members.map(\.name) == ["node_id", "epoch", "acquired_at"])
                let age = WallTime.now() - WallTime(seconds: 0) - .milliseconds(value["acquired_at"]?.int64Value ?? 0)
                #expect(age >= .zero && age < .seconds(20))
            }
            let configuration = try nats.raw.streamInfo(nats.stream())?["config"]
            #expect(configuration?["max_age"]?.int64Value == (format == .v1 ? 120_000_000_000 : 60_000_000_000))
            #expect(configuration?["num_replicas"] == 1)
            // Held: even a process with the same identity does not get it without the saved grant.
            #expect(try await nats.run("acquire", "x", "--id", "you").ending == .exited(1))
            #expect(try await nats.run("acquire", "x", "--id", "me", environment: nats.elsewhere).ending == .exited(1))
            #expect(try await nats.run("status", "x", "--mine").ending == .exited(0))
            #expect(mode(nats.box.path("run/qq")) == 0o700)
        }
    }

    private func time(_ value: JSONValue?) throws -> WallTime { try WallTime.parse(rfc3339: value?.stringValue ?? "") }

    @Test("acquire prints documented JSON when granted and refused", arguments: GoNode.Format.allCases, NATSVersion.allCases)
    func json(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            let granted = try await nats.run("acquire", "x", "--id", "me", "--ttl", "60s", "--json")
            try checkSchema(granted.text, Schemas.acquire)
            let grant = try granted.json()
            #expect(grant["acquired"] == true)
            #expect(grant["token"] == 1)
            #expect(grant["epoch"] == 1)
            #expect(grant["ttl"]?.doubleValue == 60)
            #expect(grant["server"]?.stringValue == nats.url)
            #expect(grant["system"] == "nats")
            let refused = try await nats.run("acquire", "x", "--id", "you", "--json")
            #expect(refused.ending == .exited(1))
            try checkSchema(refused.text, Schemas.acquire)
            let answer = try refused.json()
            #expect(answer["acquired"] == false)
            #expect(answer["leader"] == "me")
            #expect(answer["epoch"] == 1)
            #expect((answer["expires_in"]?.doubleValue ?? 0) > 30)
            #expect(try await nats.run("acquire", "x", "--id", "you", "--wait=300ms").ending == .exited(75))
            #expect(try await nats.run("acquire", "x", "--id", "you", "--skip-ok").ending == .exited(0))
            #expect(try await nats.run("acquire", "x", "--id", "you", "-E", "200").ending == .exited(200))
            let released = try await nats.run("release", "x", "--json")
            try checkSchema(released.text, Schemas.release)
            #expect(try released.json()["released"] == true)
            let again = try await nats.run("release", "x", "--json")
            #expect(again.ending == .exited(1))
            try checkSchema(again.text, Schemas.release)
        }
    }

    @Test("release gives a lease up once, and the next lease has a greater token", arguments: GoNode.Format.allCases, NATSVersion.allCases)
    func release(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            _ = try await nats.run("acquire", "x", "--id", "me", "--ttl", "60s")
            let run = try await nats.run("release", "x")
            #expect(run.ending == .exited(0))
            #expect(run.text == "x\treleased\n")
            #expect(try nats.raw.key(nats.leaseKey, in: nats.bucket())?.isDeletion == true)
            #expect(try nats.cooldown("me") == nil, "a release does not set a cooldown")
            #expect(names(in: nats.box.path("run/qq")) == [])
            let again = try await nats.run("release", "x")
            #expect(again.ending == .exited(1))
            #expect(again.output.isEmpty)
            let next = try await nats.run("acquire", "x", "--id", "me", "--json").json()
            #expect(next["token"] == 3)
            #expect((next["epoch"]?.uint64Value ?? 0) > 1)
        }
    }

    @Test(
        "another user releases a lease only with --id, and with the right --token if one is given", arguments: GoNode.Format.allCases,
        NATSVersion.allCases)
    func releaseByIdentity(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            _ = try await nats.run("acquire", "x", "--id", "me", "--ttl", "60s")
            func release(_ words: String...) async throws -> Ending {
                try await nats.box.start(
                    [Sandbox.binary, "release", "x"] + words, environment: nats.elsewhere.merging(["QQ_SERVER": nats.url]) { $1 }
                ).finish().ending
            }
            #expect(try await release() == .exited(1))
            #expect(try await release("--id", "you") == .exited(1))
            #expect(try await release("--id", "me", "--token", "2") == .exited(1))
            #expect(try nats.lease()?.sequence == 1)
            #expect(try await release("--id", "me", "--token", "1") == .exited(0))
            #expect(try nats.lease() == nil)
            _ = try await nats.run("acquire", "x", "--id", "me")
            #expect(try await release("--id", "me") == .exited(0))
        }
    }

    @Test(
        "a lease ends after its TTL: a waiter gets it then, and a release comes too late", arguments: GoNode.Format.allCases,
        NATSVersion.allCases)
    func ends(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            _ = try await nats.run("acquire", "x", "--id", "me", "--ttl", "4s")
            let written = try WallTime.parse(rfc3339: try #require(try nats.lease()).time)
            let next = try await nats.run("acquire", "x", "--id", "next", "--wait=20s", "--json").json()
            let taken = try WallTime.parse(rfc3339: try #require(try nats.lease()).time)
            #expect(taken - written >= .seconds(4), "taken before it ended")
            #expect(taken - written < .seconds(5), "taken too long after it ended")
            #expect((next["token"]?.uint64Value ?? 0) > 1)
            #expect((next["epoch"]?.uint64Value ?? 0) > 1)
            #expect(try await nats.run("release", "x", "--id", "me", "--token", "1").ending == .exited(1))
            #expect(try nats.lease()?.json?["node_id"] == "next")
        }
    }

    @Test("a lease is released if its grant cannot be printed", arguments: GoNode.Format.allCases)
    func outputFull(_ format: GoNode.Format) async throws {
        try await onNATS(.latest, format) { nats in
            var launch = nats.box.launch([Sandbox.binary, "acquire", "x", "--id", "me"], environment: ["QQ_SERVER": nats.url])
            launch.output = .file("/dev/full")
            let run = try await Started(launch, in: nats.box).finish()
            #expect(run.ending == .exited(69))
            #expect(try nats.lease() == nil)
        }
    }

    @Test("a lease has its bucket's TTL: another one is refused with 78, and changes nothing", arguments: GoNode.Format.allCases)
    func otherTTL(_ format: GoNode.Format) async throws {
        try await onNATS(.latest, format) { nats in
            try nats.raw.createBucket(nats.bucket(), ttl: format == .v1 ? .seconds(40) : .seconds(20))
            let run = try await nats.run("acquire", "x", "--ttl", "5s")
            #expect(run.ending == .exited(78))
            #expect(run.errors.contains("20s") && run.errors.contains("--ttl"))
            #expect(try nats.lease() == nil)
            let grant = try await nats.run("acquire", "x", "--json").json()
            #expect(grant["ttl"]?.doubleValue == 20)
        }
    }

    @Test("names, ids and TTLs that a Go node could not use are refused")
    func names64() async throws {
        try await onNATS(.latest, .v2) { nats in
            for (name, identity, ttl) in [
                ("a.b", "me", "5s"), ("a b", "me", "5s"), ("x", "a b", "5s"), ("x", "a..b", "5s"), ("x", "*", "5s"), ("x", "me", "500ms"),
            ] {
                let run = try await nats.run("acquire", name, "--id", identity, "--ttl", ttl)
                #expect(run.ending == .exited(64), "\(name) \(identity) \(ttl): \(run.errors)")
            }
            #expect(try nats.raw.streamNames() == [])
        }
    }
}

@Suite("A command guarded by a lease on NATS")
struct NATSGuardedTests {
    @Test(
        "a guarded command runs while the lease is held, and qq passes its exit code on", arguments: GoNode.Format.allCases,
        NATSVersion.allCases)
    func guarded(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            let run = try await nats.run(
                "acquire", "x", "--id", "me", "--ttl", "30s", "--", "sh", "-c",
                "echo \"$QQ_NAME $QQ_ID $QQ_TOKEN $QQ_SERVER $QQ_TTL $QQ_EVENT $QQ_LEADER\"; \"$0\" status x --mine >/dev/null && exit 7",
                Sandbox.binary)
            #expect(run.ending == .exited(7))
            #expect(run.text == "x me 1 \(nats.url) 30 elected me\n")
            #expect(try nats.lease() == nil)
        }
    }

    @Test(
        "a guarded command does not run while another holder leads, and waits for its turn with --wait", arguments: GoNode.Format.allCases,
        NATSVersion.allCases)
    func waits(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            let holder = try await nats.hold("x", "--id", "first", "--ttl", "120s")
            let refused = try await nats.run("acquire", "x", "--id", "second", "--", "touch", nats.box.path("ran"))
            #expect(refused.ending == .exited(1))
            #expect(refused.errors.hasPrefix("qq: x is held by first, token 1"))
            #expect(access(nats.box.path("ran"), F_OK) != 0)
            let limited = try await nats.run("acquire", "x", "--id", "second", "--wait=400ms", "--", "touch", nats.box.path("ran"))
            #expect(limited.ending == .exited(75))
            let waiter = try nats.qq("acquire", "x", "--id", "second", "--wait", "-v", "--", "echo", "my turn")
            try await waitUntil("qq waits: \(waiter.errors)") { waiter.errors.contains("waiting for x") }
            #expect(waiter.output.isEmpty)
            try await holder.terminate()
            let run = try await waiter.finish(within: .seconds(90))
            #expect(run.ending == .exited(0))
            #expect(run.text == "my turn\n")
        }
    }

    @Test("a lease is renewed for as long as its command runs", arguments: GoNode.Format.allCases, NATSVersion.allCases)
    func renewed(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            let holder = try await nats.hold("x", "--id", "me", "--ttl", "3s")
            let began = try #require(try nats.lease()?.json)
            let later = try await waitFor("renewals for two TTLs", within: .seconds(90)) {
                guard holder.child.isRunning else { throw TimedOut("qq ended: \(holder.errors)") }
                return try nats.lease().flatMap { $0.sequence >= 7 ? $0 : nil }
            }
            #expect(later.json?["node_id"] == "me")
            #expect(later.json?["epoch"] == began["epoch"])
            if format == .v1 { #expect(later.json?["acquired_at"] == began["acquired_at"], "the term began once") }
            try await holder.terminate()
            #expect(try nats.lease() == nil)
        }
    }
}
