import QQCore
import Support
import Testing

@Suite("A full or compacted database of etcd") struct EtcdDatabaseTests {
    private func onSmallEtcd(_ body: (EtcdPlace) async throws -> Void) async throws {
        try await inSandbox(.heavy) { box in
            let server = try await EtcdServer.start(in: box) { $0.quota = 1_000_000 }
            try await body(EtcdPlace(box: box, server: server, client: Etcdctl(server, in: box)))
        }
    }

    /// Discards old revisions.
    private func compact(_ etcd: EtcdPlace) async throws {
        let status = try await etcd.client.succeed("endpoint", "status", "--write-out", "json")
        let revision = try JSONValue.parse(Array(status.utf8)).arrayValue?.first?["Status"]?["header"]?["revision"]?.int64Value
        try await etcd.client.succeed("compact", "\(try #require(revision))")
    }

    @Test("while the database is full, holders keep their leases and release them, and nobody can begin to contend") func full()
        async throws
    {
        try await onSmallEtcd { etcd in
            let keeper = try etcd.qq("keepalive", "x", "--ttl", "6s", "--json")
            try await waitUntil("the lease: \(keeper.errors)") { keeper.output.contains("elected") }
            let large = String(repeating: "y", count: 100_000)
            var count = 0
            while try await etcd.client.run(["put", "large\(count)", large]).isSuccess {
                count += 1
                try #require(count < 100, "the database is never full")
            }
            func renewals() -> Int { keeper.output.components(separatedBy: #""event":"renewed""#).count }
            let before = renewals()
            for words in [["acquire", "y", "--retries", "0"], ["acquire", "y", "--retries", "0", "--", "true"]] {
                let run = try await etcd.qq(words).finish()
                #expect(run.ending == .exited(69), "\(words)")
                #expect(run.errors.contains("the cluster's database is full") && run.errors.contains("alarm disarm"), "\(run.errors)")
            }
            // Room can be made while it waits.
            let waiter = try etcd.qq(["keepalive", "y", "--retries", "0"])
            try await waitUntil("keepalive reports the outage: \(waiter.errors)") {
                waiter.errors.contains("the cluster's database is full") && waiter.errors.contains("; waiting until it works")
            }
            try await waiter.terminate()
            let cluster = try await etcd.run("cluster-status")
            #expect(cluster.ending == .exited(1) && cluster.text.contains("NOSPACE"), "\(cluster.text) \(cluster.errors)")
            #expect(try await etcd.run("status", "x").ending == .exited(0))
            try await waitUntil("two renewals: \(keeper.output)") { renewals() >= before + 2 }
            #expect(!keeper.output.contains("lost"), "\(keeper.output)")
            try await keeper.terminate()
            #expect(keeper.child.ending == .exited(0), "\(keeper.errors)")
            #expect(try await etcd.run("status", "x").ending == .exited(1))
            try await etcd.client.succeed("del", "--prefix", "large")
            try await compact(etcd)
            try await etcd.client.succeed("defrag")
            try await etcd.client.succeed("alarm", "disarm")
            let run = try await etcd.run("acquire", "y", "--", "true")
            #expect(run.ending == .exited(0), "\(run.errors)")
        }
    }

    @Test("watchers, holders and waiters go on after old revisions are discarded while their server was away") func compacted() async throws
    {
        try await onSmallEtcd { etcd in
            let proxy = try Proxy(to: etcd.server.port, in: etcd.box)
            let behind = ["QQ_SERVER": "etcd://127.0.0.1:\(proxy.port)"]
            let holder = try etcd.work(["--ttl", "60s", "--id", "one"])
            _ = try await etcd.box.waitForTerms(1)
            let watcher = try etcd.qq(["watch", "x", "--json"], environment: behind)
            try await waitUntil("the first line: \(watcher.errors)") { watcher.output.contains("one") }
            let waiter = try etcd.qq(
                ["acquire", "x", "--wait", "--verbose", "--ttl", "60s", "--id", "two", "--", Sandbox.stamp, etcd.box.path("stamps")],
                environment: behind)
            try await etcd.box.waitForWaiter(waiter)
            proxy.kill()
            try await holder.terminate()
            for number in 0..<5 { try await etcd.client.succeed("put", "other", "\(number)") }
            try await compact(etcd)
            proxy.pass()
            _ = try await etcd.box.waitForTerms(2, within: .seconds(90))
            try await waitUntil("the watcher saw the next: \(watcher.output) \(watcher.errors)", within: .seconds(90)) {
                watcher.output.contains(#""leader":"two""#)
            }
            try await waiter.terminate()
            try await watcher.terminate()
            #expect(etcd.box.stamps().offences == [])
        }
    }
}
