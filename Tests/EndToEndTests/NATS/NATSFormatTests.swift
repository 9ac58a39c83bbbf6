import QQCore
import Support
import Testing

@Suite("Format of a cluster on NATS")
struct NATSFormatTests {
    /// Acquires without naming a format. Returns the buckets that hold the lease.
    private func leads(_ nats: NATSPlace, _ query: String = "", ttl: String = "20s") async throws -> [String] {
        let server = ["QQ_SERVER": nats.server.url + query]
        let run = try await nats.run("acquire", "x", "--id", "me", "--ttl", ttl, environment: server)
        #expect(run.ending == .exited(0), "\(run.errors)")
        var found: [String] = []
        for (bucket, key) in [("cluster-x", "lease"), ("KV_CLUSTER_x", "leader")] {
            if try nats.raw.streamInfo("KV_" + bucket) != nil, try nats.raw.key(key, in: bucket)?.json?["node_id"] == "me" {
                found.append(bucket)
            }
        }
        // Reading finds the lease as well, and release gives it up.
        #expect(try await nats.run("status", "x", environment: server).records.first?[2] == "me")
        #expect(try await nats.run("release", "x", environment: server).ending == .exited(0))
        return found
    }

    private func makeV1(_ nats: NATSPlace) throws { try nats.raw.createBucket("cluster-x", ttl: .seconds(40)) }
    private func makeV2(_ nats: NATSPlace) throws { try nats.raw.createBucket("KV_CLUSTER_x", ttl: .seconds(20)) }

    @Test("the format is that of the existing bucket, or v2 if there is none", arguments: NATSVersion.allCases)
    func detected(_ version: NATSVersion) async throws {
        try await onNATS(version, .v2) { nats in
            let found = try await leads(nats)
            #expect(found == ["KV_CLUSTER_x"])
            #expect(try nats.raw.streamNames() == ["KV_KV_CLUSTER_x"])
        }
        try await onNATS(version, .v1) { nats in
            try makeV1(nats)
            #expect(try await leads(nats) == ["cluster-x"])
            #expect(try nats.raw.streamNames() == ["KV_cluster-x"])
        }
        try await onNATS(version, .v2) { nats in
            try makeV2(nats)
            #expect(try await leads(nats) == ["KV_CLUSTER_x"])
            #expect(try nats.raw.streamNames() == ["KV_KV_CLUSTER_x"])
        }
    }

    @Test("if both buckets exist, the format is v2 unless a v1 lease is held", arguments: NATSVersion.allCases)
    func both(_ version: NATSVersion) async throws {
        try await onNATS(version, .v2) { nats in
            try makeV1(nats)
            try makeV2(nats)
            #expect(try await leads(nats) == ["KV_CLUSTER_x"])
            let older = ["QQ_SERVER": nats.server.url + "?format=v1"]
            _ = try await nats.run("acquire", "x", "--id", "older", environment: older)
            let either = ["QQ_SERVER": nats.server.url]
            #expect(try await nats.run("status", "x", environment: either).records.first?[2] == "older")
            #expect(try await nats.run("acquire", "x", "--id", "me", environment: either).ending == .exited(1))
            #expect(try nats.lease() == nil, "a lease in the other format would make two leaders")
            _ = try await nats.run("release", "x", environment: older)
            #expect(try await leads(nats) == ["KV_CLUSTER_x"])
        }
    }

    @Test("the URL sets the format, and invalid options exit with 78", arguments: NATSVersion.allCases)
    func named(_ version: NATSVersion) async throws {
        try await onNATS(version, .v1) { nats in
            #expect(try await leads(nats, "?format=v1") == ["cluster-x"])
            #expect(try nats.raw.streamNames() == ["KV_cluster-x"])
            #expect(try await leads(nats, "?format=v2") == ["KV_CLUSTER_x"])
            for query in [
                "?format=v3", "?replicas=6", "?replicas=0", "?nonsense=1", "?format=v1&format=v2", "?domain=a.b", "?domain=a&js-prefix=b",
            ] {
                let run = try await nats.run("status", "x", environment: ["QQ_SERVER": nats.server.url + query])
                #expect(run.ending == .exited(78), "\(query): \(run.errors)")
            }
        }
    }

    @Test("a bucket with more replicas than servers is refused with a reason", arguments: NATSVersion.allCases)
    func replicas(_ version: NATSVersion) async throws {
        try await onNATS(version, .v2) { nats in
            let run = try await nats.run("acquire", "x", environment: ["QQ_SERVER": nats.server.url + "?replicas=3"])
            #expect(run.ending == .exited(78), "\(run.errors)")
            #expect(run.errors.contains("replicas"))
            #expect(try nats.raw.streamNames() == [])
        }
    }

    @Test("JetStream in a domain is used under its prefix", arguments: ["?domain=hub", "?js-prefix=%24JS.hub.API"], NATSVersion.allCases)
    func domain(_ query: String, _ version: NATSVersion) async throws {
        try await inSandbox { box in
            var settings = NATSSettings()
            settings.domain = "hub"
            let server = try await NATSServer.start(version, settings, in: box)
            let tap = try LineTap(to: server.port, in: box)
            let nats = try NATSPlace(box, server, .v2)
            let here = ["QQ_SERVER": "nats://127.0.0.1:\(tap.port)" + query]
            let watch = try nats.qq("watch", "x", "--json", environment: here)
            try await watch.event("state")
            let holder = try nats.qq("keepalive", "x", "--id", "me", "--ttl", "1500ms", "--json", environment: here)
            try await holder.event("renewed", count: 2)
            try await watch.event("elected")
            #expect(try nats.lease()?.json?["node_id"] == "me")
            #expect(try await nats.run("status", "--all", environment: here).records.first?.prefix(3) == ["x", "held", "me"])
            try await holder.terminate()
            try await watch.event("released")
            try await watch.terminate()
            let outside = tap.lines.filter { $0.from == .client && $0.words.dropFirst().first?.hasPrefix("$JS.API") == true }
            #expect(outside.isEmpty)
            let wrong = try await nats.run(
                "acquire", "x", "--retries", "0", environment: ["QQ_SERVER": server.url + "?domain=elsewhere"])
            #expect(wrong.ending == .exited(69))
            #expect(wrong.errors.contains("JetStream"))
        }
    }

    @Test(
        "JetStream of another account is used under its import prefix, with and without direct reads",
        arguments: [true, false], NATSVersion.allCases)
    func imported(_ isDirect: Bool, _ version: NATSVersion) async throws {
        try await inSandbox { box in
            var settings = NATSSettings()
            settings.extra = """
                accounts {
                    hub {
                        jetstream: enabled, users: [ { user: hub, password: hub } ]
                        exports: [ { service: "$JS.API.>" }, { service: "$KV.>" } ]
                    }
                    guest {
                        users: [ { user: guest, password: guest } ]
                        imports: [
                            { service: { account: hub, subject: "$JS.API.STREAM.>" }, to: "JS.hub.API.STREAM.>" }
                            { service: { account: hub, subject: "$KV.>" }, to: "JS.hub.API.$KV.>" }
                            \(isDirect ? "{ service: { account: hub, subject: \"$JS.API.DIRECT.>\" }, to: \"JS.hub.API.DIRECT.>\" }" : "")
                        ]
                    }
                }
                no_auth_user: hub
                """
            let server = try await NATSServer.start(version, settings, in: box)
            let nats = try NATSPlace(box, server, .v2)
            let guest = [
                "QQ_SERVER": server.url + "?js-prefix=JS.hub.API", "QQ_NATS_USER": "guest", "QQ_NATS_PASSWORD": "guest",
            ]
            let run = try await nats.run("acquire", "x", "--id", "me", "--ttl", "30s", environment: guest)
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(try nats.lease()?.json?["node_id"] == "me")
            #expect(try await nats.run("keepalive", "x", "--once", environment: guest).ending == .exited(0))
            #expect(try await nats.run("status", "x", "--mine", environment: guest).ending == .exited(0))
            #expect(try await nats.run("release", "x", environment: guest).ending == .exited(0))
            #expect(try nats.lease() == nil)
        }
    }
}
