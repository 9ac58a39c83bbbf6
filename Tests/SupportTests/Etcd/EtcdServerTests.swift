import Support
import Testing

@Suite("Real servers of etcd") struct EtcdServerTests {
    @Test("etcdctl lock and elect of one name exclude each other on a server that keeps its data over a kill")
    func contenders() async throws {
        try await inSandbox { box in
            let server = try await EtcdServer.start(in: box)
            let client = Etcdctl(server, in: box)
            let first = try client.lock("jobs")
            try await waitUntil("the lock") { first.output.contains("jobs/") }
            let second = try client.elect("jobs", "alice")
            try await server.restart(killed: true)
            let keys = try await client.succeed("get", "--prefix", "--keys-only", "jobs/")
            #expect(keys.contains("jobs/"))
            #expect(!second.output.contains("alice"))
            first.child.signal(2)
            try await waitUntil("the election after the lock") { second.output.contains("alice") }
        }
    }

    @Test("a server of etcd with TLS serves clients with a certificate and rejects others")
    func certificates() async throws {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box)
            let server = try await EtcdServer.start(in: box) { ($0.tls, $0.verifiesClients) = (certificates, true) }
            try await Etcdctl(server, in: box).succeed("put", "x", "y")
            var stranger = server.settings
            stranger.verifiesClients = false
            let outcome = try await Etcdctl([server], as: stranger, in: box).run(["--command-timeout", "2s", "get", "x"])
            #expect(!outcome.isSuccess)
        }
    }

    @Test("with authentication, a role for qq/ can write there and nowhere else")
    func authentication() async throws {
        try await inSandbox { box in
            let server = try await EtcdServer.start(in: box)
            var client = Etcdctl(server, in: box)
            try await client.enableAuth()
            #expect(try await !client.run(["put", "qq/x", "1"]).isSuccess)
            client.user = "qq:qqpw"
            try await client.succeed("put", "qq/x", "1")
            #expect(try await client.run(["put", "x", "1"]).output.contains("permission denied"))
        }
    }

    @Test("a cluster of three elects another leader after a kill, and the killed member returns")
    func failover() async throws {
        try await inSandbox(.heavy) { box in
            let cluster = try await EtcdCluster.start(in: box)
            let old = try await cluster.waitForLeader()
            try await Etcdctl(cluster.servers, in: box).succeed("put", "x", "1")
            old.kill()
            let new = try await cluster.waitForLeader(otherThan: old)
            #expect(try await Etcdctl(new, in: box).succeed("get", "x").contains("1"))
            try await old.start()
            #expect(try await Etcdctl(old, in: box).succeed("get", "x").contains("1"))
        }
    }

    @Test("a leader that is cut off from the others is one no more, and follows the next one once it is joined with them")
    func partition() async throws {
        try await inSandbox(.heavy) { box in
            let cluster = try await EtcdCluster.start(in: box, isDivisible: true)
            let old = try await cluster.waitForLeader()
            cluster.isolate(old)
            let new = try await cluster.waitForLeader(otherThan: old)
            try await Etcdctl(new, in: box).succeed("put", "x", "1")
            let alone = Etcdctl(old, in: box)
            #expect(try await !alone.run(["get", "x"]).isSuccess)
            #expect(try await !alone.run(["get", "--consistency", "s", "x"]).output.contains("1"))
            cluster.join()
            let end = ContinuousClock.now + .seconds(40)
            while try await !alone.run(["get", "x"]).output.contains("1") {
                try #require(ContinuousClock.now < end, "\(old.log.suffix(2000))")
            }
        }
    }
}
