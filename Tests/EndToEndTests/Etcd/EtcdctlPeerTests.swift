import Glibc
import Support
import Testing

extension EtcdPlace {
    /// Number of contenders for x.
    func contenders() async throws -> Int { try await keys().count { $0.hasPrefix("x/") } }

    /// Starts a contender and waits until it has its place.
    func inQueue<Contender>(_ start: () throws -> Contender) async throws -> Contender {
        let before = try await contenders()
        let contender = try start()
        let end = ContinuousClock.now + .seconds(20)
        while try await contenders() <= before {
            guard ContinuousClock.now < end else { throw TimedOut("waited in vain for a contender's key") }
        }
        return contender
    }
}

extension Etcdctl.Contender {
    var leads: Bool { output.contains("x/") }

    /// Ends the contender as an operator does.
    func interrupt() async throws {
        child.signal(SIGINT)
        try await child.wait("the end of etcdctl")
    }
}

/// How `etcdctl` contends.
enum PeerKind: String, CaseIterable, CustomTestStringConvertible {
    case lock, elect

    var testDescription: String { rawValue }

    func start(_ etcd: EtcdPlace) throws -> Etcdctl.Contender {
        self == .lock ? try etcd.client.lock("x") : try etcd.client.elect("x", "alice")
    }
}

@Suite("Beside etcdctl") struct EtcdctlPeerTests {
    @Test("while etcdctl leads, qq refuses, shows who leads, and waits until it ends", arguments: PeerKind.allCases)
    func etcdctlFirst(kind: PeerKind) async throws {
        try await onEtcd { etcd in
            let peer = try kind.start(etcd)
            try await waitUntil("etcdctl leads: \(peer.output)") { peer.leads }
            let refused = try await etcd.run("acquire", "x", "--", "touch", etcd.box.path("ran"))
            #expect(refused.ending == .exited(1) && refused.errors.contains(kind == .lock ? "lease " : "alice"), "\(refused.errors)")
            let status = try await etcd.run("status", "x", "--json")
            #expect(status.text.contains(#""kind":"\#(kind == .lock ? "lock" : "election")""#), "\(status.text)")
            let waiter = try await etcd.inQueue { try etcd.work(["--wait"]) }
            #expect(waiter.child.isRunning && etcd.box.stamps().all.isEmpty, "\(waiter.errors)")
            try await peer.interrupt()
            _ = try await etcd.box.waitForTerms(1)
            waiter.child.signal(SIGTERM)
            #expect(try await waiter.finish().ending == .exited(128 + SIGTERM))
            #expect(access(etcd.box.path("ran"), F_OK) != 0)
            #expect(try await etcd.keys() == [])
        }
    }

    @Test("while qq leads, etcdctl waits until its command is dead", arguments: PeerKind.allCases)
    func qqFirst(kind: PeerKind) async throws {
        try await onEtcd { etcd in
            let holder = try etcd.work(["--ttl", "60s"], ["--child", "--daemon"])
            _ = try await etcd.box.waitForTerms(1)
            let peer = try await etcd.inQueue { try kind.start(etcd) }
            #expect(!peer.leads)
            holder.child.signal(SIGTERM)
            try await waitUntil("etcdctl leads", within: .seconds(90)) { peer.leads }
            #expect(!etcd.box.living.contains { $0.name == "stamp" })
            #expect(try await holder.finish().ending == .exited(128 + SIGTERM))
            try await peer.interrupt()
        }
    }

    @Test("qq, etcdctl lock and etcdctl elect are served in the order of their arrival, one at a time") func order() async throws {
        try await onEtcd(.heavy) { etcd in
            let holder = try await etcd.inQueue { try etcd.qq("acquire", "x", "--ttl", "60s", "--", "sleep", "600") }
            let log = etcd.box.path("order")
            func script(_ name: String) -> [String] {
                ["sh", "-c", "echo \(name) begins >>'\(log)'; sleep 0.1; echo \(name) ends >>'\(log)'"]
            }
            var (locks, waiters): ([Etcdctl.Contender], [Started]) = ([], [])
            for number in 0..<3 {
                locks.append(try await etcd.inQueue { try etcd.client.lock("x", script("lock\(number)")) })
                waiters.append(
                    try await etcd.inQueue { try etcd.qq(["acquire", "x", "--ttl", "60s", "--wait", "--"] + script("qq\(number)")) })
            }
            let last = try await etcd.inQueue { try etcd.client.elect("x", "carol") }
            let status = try await etcd.run("status", "x", "--json")
            #expect(status.text.contains(#""waiters":7"#), "\(status.text)")
            holder.child.signal(SIGTERM)
            try await waitUntil("the last one leads", within: .seconds(120)) { last.output.contains("carol") }
            let expected = (0..<3).flatMap { ["lock\($0)", "qq\($0)"] }.flatMap { ["\($0) begins", "\($0) ends"] }
            #expect(etcd.box.read("order").split(separator: "\n").map(String.init) == expected)
            for waiter in waiters { #expect(try await waiter.finish().ending == .exited(0), "\(waiter.errors)") }
            for lock in locks { #expect(try await lock.child.wait() == .exited(0), "\(lock.output)") }
            try await last.interrupt()
            _ = try await holder.finish()
        }
    }

    @Test(
        "an etcdctl lock that is killed or stopped is followed by qq when its lease has ended, and not sooner",
        arguments: [SIGKILL, SIGSTOP])
    func etcdctlFails(signal: CInt) async throws {
        try await onEtcd { etcd in
            let lock = try etcd.client.lock("x", ttl: 4)
            try await waitUntil("the lock") { lock.leads }
            let waiter = try await etcd.inQueue { try etcd.work(["--ttl", "15s", "--wait"]) }
            let began = bootNow()
            lock.child.signal(signal)
            let stamps = try await etcd.box.waitForTerms(1, within: .seconds(90))
            // It renews its lease every 1.3 s, on a busy machine a little later.
            #expect(stamps.terms[0].first > began + 1_000_000_000)
            // A process that goes on finds its lease gone, and takes nothing from qq.
            lock.child.signal(SIGCONT)
            try await waitUntil("etcdctl has ended: \(lock.output)", within: .seconds(90)) { !lock.child.isRunning }
            #expect(waiter.child.isRunning, "\(waiter.errors)")
            try await waiter.terminate()
        }
    }

    @Test("a killed qq is followed by etcdctl as soon as its guardian has ended the command", arguments: PeerKind.allCases)
    func qqKilled(kind: PeerKind) async throws {
        try await onEtcd { etcd in
            let holder = try etcd.work(["--ttl", "300s"], ["--child", "--daemon", "--ignore-term"])
            try await waitUntil("all its processes run: \(holder.errors)") { etcd.box.stamps().count("daemon") > 0 }
            let peer = try await etcd.inQueue { try kind.start(etcd) }
            holder.child.signal(SIGKILL)
            try await waitUntil("etcdctl leads", within: .seconds(120)) { peer.leads }
            #expect(!etcd.box.living.contains { $0.name == "stamp" })
            try await peer.interrupt()
        }
    }

    @Test("qq killed together with its guardian is followed when its lease has ended, and its command is dead by then") func bothKilled()
        async throws
    {
        try await onEtcd { etcd in
            let holder = try etcd.work(["--ttl", "5s"])
            _ = try await etcd.box.waitForTerms(1)
            let guardian = try await etcd.box.guardian(of: holder)
            let lock = try await etcd.inQueue { try etcd.client.lock("x") }
            let began = bootNow()
            // Otherwise qq could see the end of its guardian and release in between.
            holder.child.signal(SIGSTOP)
            kill(guardian.pid, SIGKILL)
            holder.child.signal(SIGKILL)
            try await waitUntil("the lock", within: .seconds(90)) { lock.leads }
            #expect(bootNow() > began + 1_500_000_000, "the lease was not waited for")
            #expect(!etcd.box.living.contains { $0.name == "stamp" })
            try await lock.interrupt()
        }
    }

    @Test("a lock whose lease is revoked loses its place to qq, and one that qq makes step down by force ends") func forced() async throws {
        try await onEtcd { etcd in
            let first = try etcd.client.lock("x", ttl: 60)
            try await waitUntil("the lock") { first.leads }
            let second = try await etcd.inQueue { try etcd.work(["--ttl", "60s", "--wait"]) }
            let forced = try await etcd.run("step-down", "x", "--yes", "--force")
            #expect(forced.ending == .exited(0), "\(forced.errors)")
            _ = try await etcd.box.waitForTerms(1)
            #expect(second.child.isRunning)
            try await second.terminate()
            first.child.signal(SIGKILL)
            try await first.child.wait()
        }
    }

    @Test("a stopped qq has its command ended before its lease is etcdctl's, and finds that out when it goes on") func qqStopped()
        async throws
    {
        try await onEtcd { etcd in
            let holder = try etcd.work(["--ttl", "4s"], ["--child", "--daemon", "--ignore-term"])
            try await waitUntil("all its processes run: \(holder.errors)") { etcd.box.stamps().count("daemon") > 0 }
            let lock = try await etcd.inQueue { try etcd.client.lock("x", ["sh", "-c", "exec \(Sandbox.stamp) after --for 1500"]) }
            holder.child.signal(SIGSTOP)
            let after = try await waitFor("the lock's command", within: .seconds(40)) { etcd.box.stamps("after").all.first?.at }
            #expect((etcd.box.stamps().all.map(\.at).max() ?? .max) < after)
            holder.child.signal(SIGCONT)
            let run = try await holder.finish(within: .seconds(40))
            #expect(run.ending == .exited(79) && run.errors.contains("lost x while the command ran"), "\(run.errors)")
            #expect(try await lock.child.wait() == .exited(0), "\(lock.output)")
            #expect((etcd.box.stamps().all.map(\.at).max() ?? .max) < after)
        }
    }

    @Test("a prefix in the URL is the beginning of etcdctl's name, and other names are other elections") func prefix() async throws {
        try await onEtcd { etcd in
            func environment(_ prefix: String) -> [String: String] { ["QQ_SERVER": etcd.server.url + prefix] }
            let lock = try etcd.client.lock("locks/deep/x")
            try await waitUntil("the lock") { lock.output.contains("locks/deep/x/") }
            let refused = try await etcd.run("acquire", "x", "--", "true", environment: environment("/locks/deep"))
            #expect(refused.ending == .exited(1), "\(refused.errors)")
            let list = try await etcd.run("status", "--all", environment: environment("/locks"))
            #expect(list.text.hasPrefix("deep/x\theld\tlease "), "\(list.text)")
            for (name, prefix) in [("y", "/locks/deep"), ("x", "/locks"), ("deep", "/locks"), ("x", "/locks/dee")] {
                let other = try await etcd.run("acquire", name, "--", "true", environment: environment(prefix))
                #expect(other.ending == .exited(0), "\(prefix) \(name): \(other.errors)")
            }
            try await lock.interrupt()
        }
    }

    @Test("a qq that is asked to step down ends its command, and then etcdctl leads") func askedToStepDown() async throws {
        try await onEtcd { etcd in
            let holder = try etcd.work(["--ttl", "60s", "--id", "me"], ["--child"])
            _ = try await etcd.box.waitForTerms(1)
            let lock = try await etcd.inQueue { try etcd.client.lock("x") }
            let asked = try await etcd.run("step-down", "x", "--node", "me", "--yes")
            #expect(asked.ending == .exited(0), "\(asked.errors)")
            try await waitUntil("the lock", within: .seconds(40)) { lock.leads }
            #expect(!etcd.box.living.contains { $0.name == "stamp" })
            #expect(try await holder.finish().ending == .exited(79), "\(holder.errors)")
            try await lock.interrupt()
        }
    }
}
