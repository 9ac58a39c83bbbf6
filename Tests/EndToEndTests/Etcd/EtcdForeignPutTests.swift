import Support
import Testing

@Suite("A holder's key that something else puts, on a real etcd") struct EtcdForeignPutTests {
    @Test("its holder ends its command, and the key ends with the lease") func bound() async throws {
        try await onEtcd { etcd in
            let holder = try etcd.work(["--ttl", "4s"], ["--child", "--ignore-term"])
            _ = try await etcd.box.waitForTerms(1)
            let key = try #require(try await etcd.keys().first { $0.hasPrefix("x/") })
            try await etcd.client.succeed("put", String(key), "by mistake")
            let run = try await holder.finish(within: .seconds(90))
            #expect(run.ending == .exited(79), "\(run.errors)")
            #expect(!etcd.box.living.contains { $0.name == "stamp" })
            let next = try await etcd.qq(["acquire", "x", "--wait=60s", "--", "true"]).finish(within: .seconds(120))
            #expect(next.ending == .exited(0), "\(next.errors)")
        }
    }

    @Test("without its holder it is told of, shown, and deleted by force") func endless() async throws {
        try await onEtcd { etcd in
            try await etcd.client.succeed("put", "x/1f", "gone")
            let refused = try await etcd.run("acquire", "x", "--", "true")
            #expect(refused.ending == .exited(1) && refused.errors.contains("without a lease"), "\(refused.errors)")
            let waiter = try etcd.qq("acquire", "x", "--wait", "--", "true")
            try await waitUntil("the waiter is told: \(waiter.errors)") { waiter.errors.contains("step-down --force") }
            let status = try await etcd.run("status", "x", "--json")
            #expect(status.ending == .exited(0) && status.text.contains(#""lease":null"#), "\(status.text)")
            #expect(try await etcd.run("step-down", "x", "--yes").ending != .exited(0))
            let forced = try await etcd.run("step-down", "x", "--yes", "--force")
            #expect(forced.ending == .exited(0), "\(forced.errors)")
            let run = try await waiter.finish(within: .seconds(120))
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(try await etcd.keys() == [])
        }
    }
}
