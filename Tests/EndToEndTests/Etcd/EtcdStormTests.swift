import Glibc
import Support
import Testing

/// Faults at random: one member at a time, and any number of contenders.
private struct Storm {
    let etcd: EtcdClusterPlace
    private(set) var kills = 0
    private var struck: (fault: MemberFault, server: EtcdServer, until: ContinuousClock.Instant)?
    private var stopped: [(pid: pid_t, until: ContinuousClock.Instant)] = []

    init(_ etcd: EtcdClusterPlace) { self.etcd = etcd }

    mutating func rage(for time: Duration) async throws {
        let end = ContinuousClock.now + time
        while ContinuousClock.now < end || kills == 0 && ContinuousClock.now < end + waitingTime {
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...700)))
            try await calm(before: .now)
            if struck == nil, Int.random(in: 0..<4) == 0 { try await strikeMember() } else { strikeContender() }
        }
        try await calm(before: nil)
    }

    private mutating func strikeMember() async throws {
        guard let fault = MemberFault.allCases.randomElement(), let server = etcd.cluster.servers.randomElement() else { return }
        try await fault.strike(server, of: etcd.cluster)
        struck = (fault, server, .now + .milliseconds(Int.random(in: 300...2500)))
    }

    private mutating func strikeContender() {
        guard let victim = etcd.box.contending.randomElement() else { return }
        if Bool.random() {
            kill(victim.pid, SIGKILL)
            kills += 1
        } else {
            kill(victim.pid, SIGSTOP)
            stopped.append((victim.pid, .now + .milliseconds(Int.random(in: 50...4000))))
        }
    }

    /// Ends the faults whose time is over; all, without a time.
    private mutating func calm(before time: ContinuousClock.Instant?) async throws {
        for (pid, until) in stopped where time.map({ until <= $0 }) ?? true { kill(pid, SIGCONT) }
        stopped = stopped.filter { stop in time.map { stop.until > $0 } ?? false }
        guard let (fault, server, until) = struck, time.map({ until <= $0 }) ?? true else { return }
        struck = nil
        try await fault.end(server, of: etcd.cluster)
    }
}

@Suite("Never two over etcd in a storm") struct EtcdStormTests {
    /// `qq` again and again, until there is a file named `stop`.
    private func contenders(_ count: Int, _ etcd: EtcdClusterPlace) throws -> [Started] {
        try (0..<count).map { number in
            try etcd.box.start(
                [
                    "sh", "-c",
                    """
                    while ! [ -e stop ]; do
                        "$0" acquire x --id node-\(number) --wait --ttl 3s -- "$1" stamps --for 150 --child --daemon --ignore-term
                        echo $? >>codes
                    done
                    """, Sandbox.binary, Sandbox.stamp,
                ], environment: ["QQ_SERVER": etcd.cluster.url])
        }
    }

    /// `etcdctl lock` again and again. Nothing happens to it: if it is killed or stopped, its command runs on beside the next one.
    private func peers(_ count: Int, _ etcd: EtcdClusterPlace) throws -> [Started] {
        let etcdctl = try #require(Etcdctl.path)
        let endpoints = etcd.cluster.servers.map(\.endpoint).joined(separator: ",")
        return try (0..<count).map { _ in
            try etcd.box.start(
                [
                    "sh", "-c",
                    """
                    while ! [ -e stop ]; do
                        "$0" --endpoints \(endpoints) lock --ttl 15 x -- \
                            sh -c 'QQ_TOKEN=$ETCD_LOCK_REV exec "$0" stamps --for 100' "$1"
                        echo $? >>peer-codes
                        sleep 0.2
                    done
                    """, etcdctl, Sandbox.stamp,
                ], environment: ["ETCDCTL_API": "3"])
        }
    }

    @Test(
        "qq and etcdctl lock take turns, one at a time and with growing tokens, while contenders and members are killed, stopped and cut off"
    )
    func storm() async throws {
        try await onEtcdCluster(isDivisible: true) { etcd in
            let all = try contenders(3, etcd) + peers(2, etcd)
            var storm = Storm(etcd)
            try await storm.rage(for: .seconds(20))
            try etcd.box.write("", to: "stop")
            for contender in all { _ = try await contender.finish(within: .seconds(120)) }
            let stamps = etcd.box.stamps()
            #expect(stamps.offences == [])
            #expect(storm.kills > 0)
            let codes = etcd.box.codes
            #expect(Set(codes.keys).isSubset(of: [0, 79, 128 + SIGKILL]) && codes[0] != nil, "\(codes) \(all.map(\.errors))")
            #expect(etcd.box.read("peer-codes").contains("0"))
            // What was killed leaves leases behind.
            try await etcd.waitForNoKeys()
        }
    }
}
