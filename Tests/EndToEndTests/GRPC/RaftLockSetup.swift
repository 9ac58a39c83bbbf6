import Glibc
import QQCore
import Support
import Testing

@testable import QQCLI

/// A cluster's default settings with some changes.
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
    /// Starts `qq` with other endpoints than the cluster's own.
    func qq(_ words: [String], at url: String) throws -> Started {
        try box.start([Sandbox.binary] + words, environment: ["QQ_SERVER": url])
    }

    /// Starts `qq acquire` with a command that leaves stamps in a log of its own. Versions do not identify terms: two successive terms
    /// can have the same.
    func work(
        _ name: String = "x", id: String? = nil, _ options: [String] = ["--wait"], log: String = "stamps", _ work: [String] = [],
        at url: String? = nil
    ) throws -> Started {
        let identity = id.map { ["--id", $0] } ?? []
        return try qq(
            ["acquire", name, "--verbose"] + identity + options + ["--", Sandbox.stamp, box.path(log)] + work, at: url ?? cluster.url)
    }

    /// Waits until the command that writes `log` runs.
    func waitForWork(_ qq: Started, log: String = "stamps") async throws {
        try await waitUntil("the command runs: \(qq.errors)") {
            guard qq.child.isRunning else { throw TimedOut("qq ended instead: \(qq.child.ending as Any) \(qq.errors)") }
            return !box.stamps(log).all.isEmpty
        }
    }

    func waitForWaiter(_ qq: Started, id: String, _ name: String = "x") async throws {
        try await waitUntil("\(id) waits: \(qq.errors)") {
            guard qq.child.isRunning else { throw TimedOut("qq ended instead: \(qq.child.ending as Any) \(qq.errors)") }
            return cluster.lock(name)?.waiters.contains(id) ?? false
        }
    }

    /// When the lease ends by the nodes' count, on the clock of the stamps.
    func leaseEnd(_ name: String = "x") -> UInt64 { bootNow() + UInt64((cluster.lock(name)?.remaining ?? .zero) / .nanoseconds(1)) }

    /// A proxy in front of each node, and the URL of all three.
    func proxies() throws -> (all: [Proxy], url: String) {
        let all = try cluster.ports.map { try Proxy(to: $0, in: box) }
        return (all, "raftlock://" + all.map { "127.0.0.1:\($0.port)" }.joined(separator: ","))
    }

    static let writes = ["Acquire", "Release", "Renew", "EnqueueWaiter", "CancelWait"]

    /// Number of calls that change something, or would.
    var writes: Int { Self.writes.reduce(0) { $0 + cluster.calls($1) } }

    /// Number of all calls.
    var calls: Int { (0..<3).reduce(0) { $0 + cluster.calls(to: $1).all } }
}

/// Terms that overlap. Each process in the stamps' logs belongs to a term of its own.
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
    /// Time of the first stamp; `.max` if there is none.
    var first: UInt64 { all.map(\.at).min() ?? .max }
    /// Time of the last stamp; 0 if there is none.
    var last: UInt64 { all.map(\.at).max() ?? 0 }
    /// Number of terms whose command began.
    var begun: Int { all.count { $0.what == .start && $0.role == "main" } }
}
