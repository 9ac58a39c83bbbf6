import Glibc
import Support
import Testing

@Suite("Never two over a cluster of etcd") struct EtcdClusterPromiseTests {
    @Test(
        "when the cluster's leader fails, holders keep their leases and waiters their places, and the next term begins after the first",
        arguments: MemberFault.allCases)
    func leader(fault: MemberFault) async throws {
        try await onEtcdCluster(isDivisible: fault == .cutOff) { etcd in
            let leader = try await etcd.cluster.waitForLeader()
            // The member that fails is the one that is asked first.
            let servers = [leader] + etcd.others(than: leader)
            let holder = try etcd.work(["--ttl", "15s"], ["--child", "--daemon"], at: servers)
            _ = try await etcd.box.waitForTerms(1)
            let waiter = try etcd.work(["--ttl", "15s", "--wait"], ["--for", "50"], at: servers)
            try await etcd.box.waitForWaiter(waiter)
            let keeper = try etcd.qq(["keepalive", "y", "--ttl", "15s", "--json"], at: servers)
            try await waitUntil("the lease of y: \(keeper.errors)") { keeper.output.contains("elected") }
            try await fault.strike(leader, of: etcd.cluster)
            _ = try await etcd.cluster.waitForLeader(otherThan: leader)
            func renewals() -> Int { keeper.output.components(separatedBy: #""event":"renewed""#).count }
            let before = renewals()
            try await waitUntil("a renewal by the next leader: \(keeper.output) \(keeper.errors)", within: .seconds(120)) {
                renewals() > before
            }
            #expect(!keeper.output.contains("lost"), "\(keeper.output)")
            #expect(holder.child.isRunning, "\(holder.errors)")
            #expect(waiter.child.isRunning, "\(waiter.errors)")
            try await fault.end(leader, of: etcd.cluster)
            holder.child.signal(SIGTERM)
            #expect(try await holder.finish(within: .seconds(90)).ending == .exited(128 + SIGTERM), "\(holder.errors)")
            #expect(try await waiter.finish(within: .seconds(120)).ending == .exited(0), "\(waiter.errors)")
            keeper.child.signal(SIGTERM)
            #expect(try await keeper.finish(within: .seconds(90)).ending == .exited(0), "\(keeper.errors)")
            let stamps = etcd.box.stamps()
            #expect(stamps.offences == [] && stamps.terms.count == 2)
            try await etcd.waitForNoKeys()
        }
    }

    @Test(
        "a holder that knows only the leader is dead before the others give its lease to the next",
        arguments: [MemberFault.stopped, .cutOff])
    func alone(fault: MemberFault) async throws {
        try await onEtcdCluster(isDivisible: fault == .cutOff) { etcd in
            let leader = try await etcd.cluster.waitForLeader()
            let holder = try etcd.work(["--ttl", "5s"], ["--child", "--daemon", "--ignore-term"], at: [leader])
            _ = try await etcd.box.waitForTerms(1)
            let waiter = try etcd.work(["--ttl", "5s", "--wait"], ["--for", "50"], at: etcd.others(than: leader))
            try await etcd.box.waitForWaiter(waiter)
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...1700)))
            try await fault.strike(leader, of: etcd.cluster)
            let struck = bootNow()
            #expect(try await holder.finish(within: .seconds(90)).ending == .exited(79), "\(holder.errors)")
            #expect(holder.errors.contains("lost x while the command ran"), "\(holder.errors)")
            #expect(try await waiter.finish(within: .seconds(120)).ending == .exited(0), "\(waiter.errors)")
            let stamps = etcd.box.stamps()
            #expect(stamps.offences == [] && stamps.terms.count == 2)
            // A leader that is cut off goes on answering keep-alives for more than a second. They prove nothing.
            #expect(stamps.terms[0].last < struck + 5_000_000_000)
            // It comes back with what it knew.
            try await fault.end(leader, of: etcd.cluster)
            try await etcd.waitForNoKeys()
            #expect(etcd.box.stamps().offences == [])
        }
    }

    @Test("without a majority the holder ends in time, the waiter waits on, and leads once there is a majority again") func majority()
        async throws
    {
        try await onEtcdCluster { etcd in
            let leader = try await etcd.cluster.waitForLeader()
            let servers = [leader] + etcd.others(than: leader)
            let holder = try etcd.work(["--ttl", "5s"], ["--child", "--daemon", "--ignore-term"], at: servers)
            _ = try await etcd.box.waitForTerms(1)
            let waiter = try etcd.work(["--ttl", "5s", "--wait"], ["--for", "50"], at: servers)
            try await etcd.box.waitForWaiter(waiter)
            servers[1].kill()
            leader.kill()
            let struck = bootNow()
            #expect(try await holder.finish(within: .seconds(90)).ending == .exited(79), "\(holder.errors)")
            #expect((etcd.box.stamps().all.map(\.at).max() ?? .max) < struck + 5_000_000_000)
            // Longer than the lease of the waiter.
            try await Task.sleep(for: .seconds(6))
            #expect(waiter.child.isRunning, "\(waiter.errors)")
            #expect(etcd.box.stamps().terms.count == 1)
            try leader.launch()
            try await servers[1].start()
            #expect(try await waiter.finish(within: .seconds(120)).ending == .exited(0), "\(waiter.errors)")
            #expect(etcd.box.stamps().offences == [] && etcd.box.stamps().terms.count == 2)
        }
    }

    @Test("the guardian of a killed qq gives the lease up at another member", arguments: MemberFault.allCases) func guardian(
        fault: MemberFault
    )
        async throws
    {
        try await onEtcdCluster(isDivisible: fault == .cutOff) { etcd in
            let leader = try await etcd.cluster.waitForLeader()
            let holder = try etcd.work(
                ["--ttl", "300s"], ["--child", "--daemon", "--ignore-term"], at: [leader] + etcd.others(than: leader))
            try await waitUntil("all its processes run: \(holder.errors)") { etcd.box.stamps().count("daemon") > 0 }
            let waiter = try etcd.work(["--ttl", "60s", "--wait"], ["--for", "50"], at: etcd.others(than: leader))
            try await etcd.box.waitForWaiter(waiter)
            try await fault.strike(leader, of: etcd.cluster)
            holder.child.signal(SIGKILL)
            #expect(try await waiter.finish(within: .seconds(120)).ending == .exited(0), "\(waiter.errors)")
            #expect(etcd.box.stamps().offences == [] && etcd.box.stamps().terms.count == 2)
            try await fault.end(leader, of: etcd.cluster)
        }
    }
}
