import QQCore
import Support
import Testing

/// Everything that JetStream stores and that reading could change.
private struct StoredState: Equatable {
    var streams: [String] = []
    var consumers = 0

    init(_ raw: RawNATS) throws {
        let list = try raw.jetStream("STREAM.LIST")["streams"]?.arrayValue ?? []
        for stream in list {
            let state = stream["state"]
            consumers += Int(state?["consumer_count"]?.int64Value ?? 0)
            let kept = ["messages", "bytes", "first_seq", "last_seq", "last_ts"].map { state?[$0].map { JSONWriter.string($0) } ?? "" }
            streams.append(
                ([JSONWriter.string(stream["config"] ?? .null), JSONWriter.string(stream["created"] ?? .null)] + kept).joined(
                    separator: " "))
        }
        streams.sort()
    }
}

@Suite("Reading on NATS changes nothing")
struct NATSReadingTests {
    private static let reads: [[String]] = [
        ["status", "x"], ["status", "x", "free", "never", "--json"], ["status", "--all"], ["status", "--all", "--mine", "--id", "me"],
        ["watch", "x", "never", "--for", "300ms"], ["watch", "x", "--until", "led", "--for", "300ms"], ["cluster-status"],
        ["cluster-status", "--json"], ["__complete", "elections"], ["__complete", "grants"], ["release", "never"], ["step-down", "x"],
        ["step-down", "x", "--force"], ["step-down", "x", "--node", "me"], ["step-down", "never", "--force", "--yes"],
        ["keepalive", "never", "--once"], ["acquire", "x", "--require-token", "--ttl", "nonsense"], ["acquire", "x", "--help"],
    ]

    private func readAll(_ nats: NATSPlace, _ environment: [String: String]) async throws {
        let before = try StoredState(nats.raw)
        for words in Self.reads {
            let run = try await nats.box.start([Sandbox.binary] + words, environment: environment).finish()
            #expect(run.code.map { $0 < 64 || $0 == 64 || $0 == 75 || $0 == 77 } == true, "\(words): \(run.errors)")
            #expect(try StoredState(nats.raw).streams == before.streams, "\(words)")
        }
        // The server removes the consumer of a watch that has ended once it notices that the subscriber is gone.
        try await waitUntil("no consumer is left", within: .seconds(90)) { try StoredState(nats.raw).consumers == before.consumers }
    }

    @Test("reading changes nothing on a server in use", arguments: GoNode.Format.allCases, NATSVersion.allCases)
    func inUse(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            _ = try await nats.run("acquire", "x", "--id", "me", "--ttl", "1000s")
            _ = try await nats.run("acquire", "free", "--ttl", "1000s", "--", "true")
            for server in [nats.url, nats.server.url] {
                try await readAll(nats, ["QQ_SERVER": server, "XDG_RUNTIME_DIR": nats.box.path("home")])
            }
            #expect(try nats.lease()?.sequence == 1)
        }
    }

    @Test("reading changes nothing on a server that has not been used yet", arguments: NATSVersion.allCases)
    func unused(_ version: NATSVersion) async throws {
        try await onNATS(version, .v2) { nats in
            try await readAll(nats, ["QQ_SERVER": nats.server.url])
            #expect(try nats.raw.streamNames() == [])
        }
    }

    @Test(
        "a process that reads is not a node, and does not lead when the lease is free", arguments: GoNode.Format.allCases,
        NATSVersion.allCases)
    func noNode(_ format: GoNode.Format, _ version: NATSVersion) async throws {
        try await onNATS(version, format) { nats in
            _ = try await nats.run("acquire", "x", "--id", "me", "--ttl", "5s")
            let watch = try nats.qq("watch", "x", "never", "--id", "watcher", "--json")
            try await watch.event("state", count: 2)
            #expect(try nats.services() == 0)
            #expect(try nats.raw.request("cluster.x.health.watcher").status == 503)
            let taken = try nats.raw.streamInfo(nats.stream())?["state"]?["last_seq"]
            try await watch.event("expired")
            #expect(try nats.raw.streamInfo(nats.stream())?["state"]?["last_seq"] == taken)
            try await watch.terminate()
            #expect(try nats.raw.streamNames() == [nats.stream()])
            try await waitUntil("no consumer is left") { try StoredState(nats.raw).consumers == 0 }
        }
    }

    @Test("neither a waiting nor a refused acquire leaves anything behind", arguments: GoNode.Format.allCases)
    func waiting(_ format: GoNode.Format) async throws {
        try await onNATS(.latest, format) { nats in
            _ = try await nats.run("acquire", "x", "--id", "me", "--ttl", "1000s")
            let before = try StoredState(nats.raw)
            #expect(try await nats.run("acquire", "x", "--id", "you").ending == .exited(1))
            #expect(try await nats.run("acquire", "x", "--id", "you", "--wait=400ms", "--", "true").ending == .exited(75))
            #expect(try StoredState(nats.raw).streams == before.streams)
            try await waitUntil("no consumer is left") { try StoredState(nats.raw).consumers == 0 }
        }
    }
}
