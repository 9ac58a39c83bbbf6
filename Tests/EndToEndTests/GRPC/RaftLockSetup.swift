import Glibc
import QQCore
import Support
import Testing

@testable import QQCLI

/// The usual settings of a cluster with some changes.
func clusterSettings(_ change: (inout RaftLockCluster.Settings) -> Void) -> RaftLockCluster.Settings {
    var settings = RaftLockCluster.Settings()
    change(&settings)
    return settings
}

/// Runs a test on a cluster of its own.
func onRaftLock(
    _ load: Gate.Load = .light, _ settings: RaftLockCluster.Settings = .init(), _ body: (RaftPlace) async throws -> Void
) async throws {
    try await inSandbox(load) { box in
        try await body(RaftPlace(box: box, cluster: try await RaftLockCluster.start(settings, in: box)))
    }
}

extension RaftPlace {
    /// Starts `qq` on other endpoints than the cluster's own.
    func qq(_ words: [String], at url: String) throws -> Started {
        try box.start([Sandbox.binary] + words, environment: ["QQ_SERVER": url])
    }

    /// Starts `qq acquire` with work that leaves stamps, in a log of its own: versions are no names for terms, two in a row can have the same.
    func work(
        _ name: String = "x", id: String? = nil, _ options: [String] = ["--wait"], log: String = "stamps", _ work: [String] = [],
        at url: String? = nil
    ) throws -> Started {
        let identity = id.map { ["--id", $0] } ?? []
        return try qq(
            ["acquire", name, "--verbose"] + identity + options + ["--", Sandbox.stamp, box.path(log)] + work, at: url ?? cluster.url)
    }

    /// Waits until the work of `log` is under way.
    func waitForWork(_ qq: Started, log: String = "stamps") async throws {
        try await waitUntil("it works: \(qq.errors)") {
            guard qq.child.isRunning else { throw TimedOut("it ended instead: \(qq.child.ending as Any) \(qq.errors)") }
            return !box.stamps(log).all.isEmpty
        }
    }

    func waitForWaiter(_ qq: Started, id: String, _ name: String = "x") async throws {
        try await waitUntil("\(id) waits: \(qq.errors)") {
            guard qq.child.isRunning else { throw TimedOut("it ended instead: \(qq.child.ending as Any) \(qq.errors)") }
            return cluster.lock(name)?.waiters.contains(id) ?? false
        }
    }

    /// When the lease ends as the nodes have it, on the clock of the stamps.
    func leaseEnd(_ name: String = "x") -> UInt64 { bootNow() + UInt64((cluster.lock(name)?.remaining ?? .zero) / .nanoseconds(1)) }

    /// A proxy before each node, and the URL of the three.
    func proxies() throws -> (all: [Proxy], url: String) {
        let all = try cluster.ports.map { try Proxy(to: $0, in: box) }
        return (all, "raftlock://" + all.map { "127.0.0.1:\($0.port)" }.joined(separator: ","))
    }

    static let writes = ["Acquire", "Release", "Renew", "EnqueueWaiter", "CancelWait"]

    /// How many calls there were that change something, or would.
    var writes: Int { Self.writes.reduce(0) { $0 + cluster.calls($1) } }

    /// How many calls there were in all.
    var calls: Int { (0..<3).reduce(0) { $0 + cluster.calls(to: $1).all } }
}

/// Two at work at one time: each process of the stamps' log is one term's.
func overlaps(_ stamps: [Stamps]) -> [String] {
    var spans: [pid_t: (first: UInt64, last: UInt64)] = [:]
    for stamp in stamps.flatMap(\.all) {
        let span = spans[stamp.pid] ?? (stamp.at, stamp.at)
        spans[stamp.pid] = (min(span.first, stamp.at), max(span.last, stamp.at))
    }
    let terms = spans.sorted { $0.value.first < $1.value.first }
    return zip(terms, terms.dropFirst()).compactMap { one, next in
        guard next.value.first <= one.value.last else { return nil }
        return "\(next.key) began \(Double(one.value.last - next.value.first) / 1e6) ms before \(one.key) had ended"
    }
}

extension Stamps {
    /// When the first of it was at work; never, if nothing was.
    var first: UInt64 { all.map(\.at).min() ?? .max }
    /// When the last of it was at work.
    var last: UInt64 { all.map(\.at).max() ?? 0 }
    /// How many terms' work began.
    var begun: Int { all.count { $0.what == .start && $0.role == "main" } }
}
