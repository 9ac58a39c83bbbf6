import QQCore

/// A node's current knowledge of its cluster.
struct ClusterSnapshot: Sendable, Hashable {
    /// Empty while there is no leader.
    var leader = ""
    var epoch: UInt64 = 0
    var isLeader = false

    fileprivate var role: JSONValue { isLeader ? "PRIMARY" : "PASSIVE" }
}

/// A node's answers, with the same members as those of Go nodes.
enum NodeAnswer {
    static func status(_ snapshot: ClusterSnapshot, node: String, uptime: Duration, isConnected: Bool) -> JSONValue {
        [
            "nodeId": .string(node), "role": snapshot.role, "leader": .string(snapshot.leader), "epoch": .number(snapshot.epoch),
            "uptimeMs": milliseconds(uptime), "connected": .bool(isConnected),
        ]
    }

    static func ping(at now: WallTime) -> JSONValue { ["ok": true, "timestamp": .integer(now.milliseconds)] }

    static func steppedDown() -> JSONValue { ["ok": true] }

    static func notSteppedDown(_ reason: String) -> JSONValue { ["ok": false, "error": .string(reason)] }

    static let notLeader = "not the leader"
    static let busy = "too many ask for it already"

    /// Format v1.
    static func health(_ snapshot: ClusterSnapshot, node: String, uptime: Duration, at now: WallTime) -> JSONValue {
        [
            "nodeId": .string(node), "role": snapshot.role, "leader": .string(snapshot.leader), "uptimeMs": milliseconds(uptime),
            "timestamp": .integer(now.milliseconds),
        ]
    }

    private static func milliseconds(_ duration: Duration) -> JSONValue { .integer(duration.nanoseconds / 1_000_000) }
}
