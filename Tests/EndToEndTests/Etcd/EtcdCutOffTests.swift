import Glibc
import Support
import Testing

@Suite("A holder cut off from etcd") struct EtcdCutOffTests {
    @Test(
        "a holder that is cut off has ended its processes before its lease ends, and the next one begins after that",
        arguments: CutOff.allCases)
    func holder(cutOff: CutOff) async throws {
        try await onEtcd { etcd in
            let proxy = try Proxy(to: etcd.server.port, in: etcd.box)
            let stamps = etcd.box.path("stamps")
            let holder = try etcd.qq(
                ["acquire", "x", "--ttl", "5s", "--", Sandbox.stamp, stamps, "--child", "--daemon", "--ignore-term"],
                environment: ["QQ_SERVER": "etcd://127.0.0.1:\(proxy.port)"])
            _ = try await etcd.box.waitForTerms(1)
            let next = try await etcd.inQueue { try etcd.work(["--ttl", "5s", "--wait"], ["--for", "50"]) }
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...1700)))
            cutOff.apply(to: proxy)
            let cut = bootNow()
            let run = try await holder.finish(within: .seconds(90))
            #expect(run.ending == .exited(79) && run.errors.contains("lost x while the command ran"), "\(run.errors)")
            #expect(try await next.finish(within: .seconds(120)).ending == .exited(0), "\(next.errors)")
            let found = etcd.box.stamps()
            #expect(found.offences == [] && found.terms.count == 2)
            #expect(found.terms[0].last < cut + 5_000_000_000)
        }
    }

    @Test("a holder is not disturbed by a connection that is cut again and again, and a waiter keeps its place") func restless()
        async throws
    {
        try await onEtcd(.heavy) { etcd in
            let proxy = try Proxy(to: etcd.server.port, in: etcd.box)
            let behind = ["QQ_SERVER": "etcd://127.0.0.1:\(proxy.port)"]
            let work = ["--", Sandbox.stamp, etcd.box.path("stamps")]
            let holder = try etcd.qq(["acquire", "x", "--ttl", "15s"] + work + ["--child"], environment: behind)
            _ = try await etcd.box.waitForTerms(1)
            let waiter = try await etcd.inQueue {
                try etcd.qq(["acquire", "x", "--ttl", "15s", "--wait"] + work + ["--for", "50"], environment: behind)
            }
            let keys = try await etcd.keys()
            for _ in 0..<40 {
                proxy.cut()
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...300)))
            }
            #expect(holder.child.isRunning && waiter.child.isRunning, "\(holder.errors) \(waiter.errors)")
            #expect(try await etcd.keys() == keys)
            try await holder.terminate()
            #expect(try await waiter.finish(within: .seconds(90)).ending == .exited(0), "\(waiter.errors)")
            #expect(etcd.box.stamps().offences == [] && etcd.box.stamps().terms.count == 2)
        }
    }
}
