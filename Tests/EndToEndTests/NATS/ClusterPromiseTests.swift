import Glibc
import QQCore
import Support
import Testing

/// Elections in both formats at the same time, on three servers that keep three copies.
@Suite("Never two over NATS, on a cluster", .serialized) struct ClusterPromiseTests {
    private static let elections = [
        ObservedElection(.v1, name: "one", ttl: .seconds(3)), ObservedElection(.v2, name: "two", ttl: .seconds(3)),
    ]

    private func contenders(_ count: Int, _ cluster: NATSCluster, in box: Sandbox) throws -> [Started] {
        try Self.elections.flatMap { election in
            try box.contenders(count, election, at: cluster.url + "?replicas=3", work: "--for 400 --daemon", log: election.name)
        }
    }

    /// Waits until each election has `terms` more terms than at the call.
    private func progress(_ terms: Int, in box: Sandbox, within limit: Duration = .seconds(60), _ what: String) async throws {
        for election in Self.elections {
            let before = box.stamps(election.name).terms.count
            try await waitUntil("\(terms) more terms of \(election.name) \(what)", within: limit) {
                box.stamps(election.name).terms.count >= before + terms
            }
        }
    }

    private func end(_ shells: [Started], in box: Sandbox) async throws {
        try box.write("", to: "stop")
        for shell in shells { _ = try await shell.finish(within: .seconds(120)) }
        for election in Self.elections { #expect(box.stamps(election.name).offences == [], "\(election.name)") }
        // 69: no server answered for as long as a campaign continues without one.
        #expect(Set(box.codes.keys).isSubset(of: [0, 69, 79]), "\(box.codes)")
    }

    private func healed(_ cluster: NATSCluster) async throws {
        try await waitUntil("all copies are current", within: .seconds(120)) {
            guard let client = try? RawNATS(cluster.servers[0].port) else { return false }
            return Self.elections.allSatisfy { election in
                let replicas = try? client.streamInfo(election.stream, within: .seconds(3))?["cluster"]?["replicas"]?.arrayValue
                return replicas?.count == 2 && replicas?.allSatisfy { $0["current"]?.boolValue == true } == true
            }
        }
    }

    @Test("holders take turns while stream leaders move, a server is killed, and all servers go down and return") func storm() async throws
    {
        try await inSandbox { box in
            let cluster = try await NATSCluster.start(in: box)
            let shells = try contenders(3, cluster, in: box)
            try await progress(2, in: box, "at first")
            for election in Self.elections {
                #expect(try RawNATS(cluster.servers[0].port).streamInfo(election.stream)?["config"]?["num_replicas"] == 3)
            }
            for _ in 0..<3 {
                for election in Self.elections {
                    try await cluster.moveLeader(of: election.stream, asking: try RawNATS(cluster.servers[0].port))
                }
            }
            try await progress(2, in: box, "after the moves")
            let client = try RawNATS(cluster.servers[0].port)
            let leader = try await waitFor("a leader") { cluster.leader(of: Self.elections[1].stream, asking: client) }
            leader.kill()
            try await progress(2, in: box, "with two servers")
            try await leader.start()
            try await healed(cluster)
            for server in cluster.servers { server.kill() }
            try await Task.sleep(for: .seconds(1))
            for server in cluster.servers { try await server.start() }
            try await progress(2, in: box, "after the restart")
            try await end(shells, in: box)
        }
    }

    /// `qq` tries the servers in any order, so this starts it until it has chosen `server`.
    private func keepalive(_ name: String, connectedTo server: NATSServer, of cluster: NATSCluster, in box: Sandbox) async throws -> Started
    {
        for _ in 0..<40 {
            let holder = try box.qq(["keepalive", name, "--id", "mover"], at: cluster.url, .v2)
            try await waitUntil("qq holds the lease: \(holder.output) \(holder.errors)") { holder.output.contains("elected") }
            if holder.output.contains("127.0.0.1:\(server.port)") { return holder }
            try await holder.terminate()
        }
        throw TimedOut("never connected to \(server.name)")
    }

    @Test("with the holder in the minority, its command is dead before its lease ends, and the majority continues") func minority()
        async throws
    {
        try await inSandbox { box in
            let cluster = try await NATSCluster.start(in: box) { $0.announcesOthers = false }
            let client = try RawNATS(cluster.servers[1].port)
            for election in Self.elections { try election.createBucket(client, replicas: 3) }
            // The stream's leader, if there is one: the hardest case.
            let few = try await waitFor("a leader") { cluster.leader(of: Self.elections[1].stream, asking: client) }
            let many = cluster.servers.filter { $0 !== few }
            let outside = "nats://" + many.map { "127.0.0.1:\($0.port)" }.joined(separator: ",")
            let tree = ["--daemon", "--ignore-term"]
            // A process that knows the other servers moves to them instead of staying with the minority.
            let free = ObservedElection(.v2, name: "free", ttl: .seconds(3))
            try free.createBucket(client, replicas: 3)
            let mover = try await keepalive("free", connectedTo: few, of: cluster, in: box)
            var runs: [(ObservedElection, holder: Started, next: Started)] = []
            for election in Self.elections {
                let log = box.path(election.name)
                let holder = try box.qq(election.acquire(id: "few", log: log, work: tree), at: few.url, election.format)
                _ = try await box.waitForTerms(1, log: election.name)
                let next = try box.qq(
                    election.acquire(["--wait", "--retries", "50"], id: "many", log: log, work: ["--for", "50"]), at: outside,
                    election.format)
                runs.append((election, holder, next))
            }
            try await Task.sleep(for: .seconds(2))
            cluster.part(few)
            let parted = bootNow()
            for (election, holder, next) in runs {
                #expect(try await holder.finish().ending == .exited(79))
                #expect(box.stamps(election.name).terms[0].last < parted + election.nanoseconds)
                #expect(try await next.finish(within: .seconds(120)).ending == .exited(0), "\(next.errors)")
                #expect(box.stamps(election.name).offences == [])
                #expect(box.stamps(election.name).terms.count == 2)
            }
            let outsider = try RawNATS(many[0].port)
            let before = try await waitFor("the bucket in the majority", within: .seconds(90)) {
                try? free.lease(outsider)?.revision ?? 0
            }
            try await waitUntil("qq leads there: \(mover.output) \(mover.errors)", within: .seconds(90)) {
                guard let lease = try? free.lease(outsider) else { return false }
                return lease.node == "mover" && lease.revision > before
            }
            try await mover.terminate()
        }
    }

    @Test("clients of a server in lame-duck mode move to another and keep their leases") func lameDuck() async throws {
        try await inSandbox { box in
            let cluster = try await NATSCluster.start(in: box) {
                $0.lameDuckDuration = .seconds(30)
                $0.lameDuckGrace = .seconds(1)
            }
            let duck = cluster.servers[2]
            let rest = try RawNATS(cluster.servers[0].port)
            let election = Self.elections[1]
            try election.createBucket(rest, replicas: 3)
            // The URL names only this server; the others are announced.
            let holder = try box.qq(["keepalive", election.name, "--id", "q"], at: duck.url, .v2)
            try await waitUntil("qq holds the lease: \(holder.output) \(holder.errors)") { holder.output.contains("elected") }
            let token = try election.lease(rest)?.revision
            try await Task.sleep(for: .seconds(1))
            duck.lameDuck()
            try await waitUntil("qq moves to another server: \(holder.output)", within: .seconds(90)) {
                holder.output.contains("shutting down") && holder.output.components(separatedBy: "connected").count > 2
            }
            try await Task.sleep(for: election.ttl * 2)
            #expect(!holder.output.contains("lost"), "\(holder.output)")
            let lease = try #require(try election.lease(rest))
            #expect(lease.node == "q" && lease.revision > token ?? 0)
            try await holder.terminate()
        }
    }
}
