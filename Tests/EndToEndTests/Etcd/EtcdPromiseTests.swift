import Glibc
import Support
import Testing

@Suite("Never two over etcd", .serialized) struct EtcdPromiseTests {
    @Test("contenders take their terms one at a time, in order, with growing tokens") func contenders() async throws {
        try await onEtcd(.heavy) { etcd in
            let all = try (0..<6).map { _ in try etcd.work(["--ttl", "5s", "--wait"], ["--for", "100"]) }
            for contender in all {
                let run = try await contender.finish(within: .seconds(120))
                #expect(run.ending == .exited(0), "\(run.errors)")
            }
            let stamps = etcd.box.stamps()
            #expect(stamps.violations == [])
            #expect(stamps.terms.count == 6)
            #expect(try await etcd.keys() == [])
        }
    }

    @Test("etcdctl lock keeps qq out, and qq keeps etcdctl lock out") func beside() async throws {
        try await onEtcd { etcd in
            let lock = try etcd.client.lock("x")
            try await waitUntil("the lock") { lock.output.contains("x/") }
            #expect(try await etcd.run("acquire", "x", "--", "true").ending == .exited(1))
            let waiter = try etcd.work(["--wait"])
            try await waitUntil("two contenders", within: .seconds(120)) { etcd.box.living.contains { $0.pid == waiter.pid } }
            #expect(etcd.box.stamps().all.isEmpty)
            lock.child.signal(SIGINT)
            _ = try await etcd.box.waitForTerms(1, within: .seconds(120))
            let second = try etcd.client.lock("x")
            try await Task.sleep(for: .milliseconds(500))
            #expect(!second.output.contains("x/"))
            waiter.child.signal(SIGTERM)
            _ = try await waiter.finish()
            try await waitUntil("the second lock", within: .seconds(120)) { second.output.contains("x/") }
        }
    }

    @Test("a killed qq's guardian ends the command and gives the lease up") func killed() async throws {
        try await onEtcd { etcd in
            let holder = try etcd.work(["--ttl", "120s"], ["--child", "--daemon", "--ignore-term"])
            try await waitUntil("all its processes run: \(holder.errors)") { etcd.box.stamps().count("daemon") > 0 }
            let next = try etcd.work(["--ttl", "120s", "--wait"], ["--for", "50"])
            holder.child.signal(SIGKILL)
            let run = try await next.finish(within: .seconds(120))
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(etcd.box.stamps().violations == [])
        }
    }

    @Test("a lease that an operator revokes is a loss that is heard at once") func revoked() async throws {
        try await onEtcd { etcd in
            let holder = try etcd.work(["--ttl", "60s"], ["--child", "--ignore-term"])
            _ = try await etcd.box.waitForTerms(1)
            let key = try #require(try await etcd.keys().first { $0.hasPrefix("x/") })
            try await etcd.client.succeed("lease", "revoke", String(key.dropFirst(2)))
            let run = try await holder.finish(within: .seconds(120))
            #expect(run.ending == .exited(79), "\(run.errors)")
            #expect(!etcd.box.living.contains { $0.name == "stamp" })
        }
    }

    @Test("a holder whose server does not answer any more is dead before its lease ends", arguments: ["stopped", "killed"])
    func serverAway(how: String) async throws {
        try await onEtcd(.heavy) { etcd in
            let holder = try etcd.work(["--ttl", "4s"], ["--child", "--daemon", "--ignore-term"])
            _ = try await etcd.box.waitForTerms(1)
            let cut = bootNow()
            if how == "stopped" { try await etcd.server.pause() } else { etcd.server.kill() }
            let run = try await holder.finish(within: .seconds(120))
            #expect(run.ending == .exited(79), "\(run.errors)")
            #expect((etcd.box.stamps().all.map(\.at).max() ?? .max) < cut + 4_000_000_000)
            etcd.server.resume()
        }
    }
}
