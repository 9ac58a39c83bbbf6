import Support
import Testing

@Suite("TLS to RaftLock") struct RaftLockTLSTests {
    private func onTLS(
        verifiesClients: Bool = false, serverNames: String = "DNS:localhost,IP:127.0.0.1", serverDays: Int = 2,
        _ body: (RaftPlace, Certificates) async throws -> Void
    ) async throws {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box, serverNames: serverNames, serverDays: serverDays)
            var settings = RaftLockCluster.Settings()
            settings.connections.tls = .init(certificates, verifiesClients: verifiesClients)
            try await body(RaftPlace(box: box, cluster: try await RaftLockCluster.start(settings, in: box)), certificates)
        }
    }

    private func enter(_ raft: RaftPlace, _ options: [String], at url: String? = nil) async throws -> Run {
        try await raft.qq(["acquire", "x", "--id", "me", "--retries", "0"] + options + ["--", "true"], at: url ?? raft.cluster.url).finish()
    }

    @Test("TLS is used if the URL or a flag asks for it: to lead, read and wait, and when the Raft leader moves") func used() async throws {
        try await onTLS { raft, certificates in
            let trust = ["--tls-ca", certificates.authority]
            #expect(raft.cluster.url.hasPrefix("raftlocks://localhost:"))
            let ports = raft.cluster.ports.map { "127.0.0.1:\($0)" }.joined(separator: ",")
            for url in [raft.cluster.url, "raftlocks://" + ports, "raftlock://" + ports] {
                let run = try await enter(raft, trust, at: url)
                #expect(run.ending == .exited(0), "\(url): \(run.errors)")
            }
            let holder = try raft.work(id: "me", trust + ["--ttl", "30s", "--renew-every", "400ms"])
            try await raft.waitForWork(holder)
            raft.cluster.moveLeader(to: try #require(raft.cluster.followers.first))
            let before = raft.cluster.calls("Renew")
            try await waitUntil("the lease is renewed: \(holder.errors)") { raft.cluster.calls("Renew") >= before + 3 }
            let status = try await raft.qq(["status", "x"] + trust, at: raft.cluster.url).finish()
            #expect(status.ending == .exited(0), "\(status.errors)")
            let nodes = try await raft.qq(["cluster-status"] + trust, at: raft.cluster.url).finish()
            #expect(nodes.ending == .exited(0) && nodes.lines.count == 3, "\(nodes.errors)")
            try await holder.terminate()
        }
    }

    @Test("a node's certificate of an unknown authority is refused with 78 and the reason, and no call is made") func stranger()
        async throws
    {
        try await onTLS { raft, certificates in
            let strangers = try await Certificates(in: raft.box, name: "strangers")
            for options in [["--tls-ca", strangers.authority], []] {
                let run = try await enter(raft, options)
                #expect(run.ending == .exited(78) && run.errors.contains("trusted authority"), "\(run.errors)")
            }
            let nodes = try await raft.qq(["cluster-status", "--tls-ca", strangers.authority], at: raft.cluster.url).finish()
            #expect(nodes.code == 69 || nodes.code == 78, "\(nodes.ending) \(nodes.errors)")
            #expect(raft.calls == 0)
            // The right authority is trusted only where it is given.
            #expect(try await enter(raft, ["--tls-ca", certificates.authority]).ending == .exited(0))
        }
    }

    @Test("a node's certificate for another name is refused, unless that name is given") func wrongName() async throws {
        try await onTLS(serverNames: "DNS:elsewhere.example") { raft, certificates in
            let trust = ["--tls-ca", certificates.authority]
            let run = try await enter(raft, trust)
            #expect(run.ending == .exited(78), "\(run.errors)")
            #expect(
                run.errors.contains("not for localhost, but for elsewhere.example") && run.errors.contains("--tls-name"), "\(run.errors)")
            #expect(raft.calls == 0)
            let named = try await enter(raft, trust + ["--tls-name", "elsewhere.example"])
            #expect(named.ending == .exited(0), "\(named.errors)")
        }
    }

    @Test("a node's expired certificate is refused") func expired() async throws {
        try await onTLS(serverDays: -1) { raft, certificates in
            let run = try await enter(raft, ["--tls-ca", certificates.authority])
            #expect(run.ending == .exited(78) && run.errors.contains("expired"), "\(run.errors)")
        }
    }

    @Test("qq shows its client certificate if the nodes want one, and fails without a valid one") func mutual() async throws {
        try await onTLS(verifiesClients: true) { raft, certificates in
            let strangers = try await Certificates(in: raft.box, name: "strangers")
            let trust = ["--tls-ca", certificates.authority]
            let pair = certificates.client
            let run = try await enter(raft, trust + ["--tls-cert", pair.certificate, "--tls-key", pair.key])
            #expect(run.ending == .exited(0), "\(run.errors)")
            for own in [[], ["--tls-cert", strangers.client.certificate, "--tls-key", strangers.client.key]] {
                let run = try await enter(raft, trust + own)
                #expect([69, 77, 78].contains(run.code ?? 0), "\(run.ending)")
                #expect(run.errors.contains("certificate"), "\(run.errors)")
            }
            let mixed = try await enter(raft, trust + ["--tls-cert", pair.certificate, "--tls-key", strangers.client.key])
            #expect(mixed.ending == .exited(78), "\(mixed.errors)")
        }
    }

    @Test("plain text to TLS nodes, or TLS to plain-text nodes, fails and makes no call") func mismatch() async throws {
        try await onTLS { raft, _ in
            let plain = "raftlock://" + raft.cluster.ports.map { "127.0.0.1:\($0)" }.joined(separator: ",")
            let run = try await enter(raft, ["--timeout", "2s"], at: plain)
            #expect(run.code == 69 || run.code == 65, "\(run.ending) \(run.errors)")
            #expect(raft.calls == 0)
        }
        try await onRaftLock { raft in
            let run = try await enter(raft, ["--timeout", "2s"], at: "raftlocks://" + raft.cluster.url.dropFirst("raftlock://".count))
            #expect([65, 69, 78].contains(run.code ?? 0), "\(run.ending) \(run.errors)")
            #expect(raft.calls == 0)
        }
    }
}
