import QQCore
import Support

extension ConsulReplay {
    static func id(_ number: Int) -> String {
        let digits = String(number)
        return "00000000-0000-0000-0000-" + String(repeating: "0", count: 12 - digits.count) + digits
    }

    private func session(_ number: Int, _ document: String, at agent: String? = nil) throws {
        try createSession(Self.id(number), document, at: agent)
    }

    private func acquire(_ key: String, _ number: Int, _ value: String = "alice") throws {
        try hidden("PUT", "/v1/kv/\(key)?acquire=\(Self.id(number))", value)
    }

    private static let agents = ["leader": "server3", "follower1": "server1", "follower2": "server2", "client": "client"]

    private func beginCluster() {
        begin(ConsulStore(clock: clock, servers: ["server3", "server1", "server2"]), agents: Self.agents)
    }

    /// What happened before a line and is not recorded.
    func hiddenSteps(before line: ConsulRecording.Line) throws {
        let sixty = #"{"TTL": "60s", "LockDelay": "0s", "Checks": []}"#
        switch line.number {
        case 1:
            beginCluster()
            try hidden("PUT", "/v1/kv/warm-up", "1")
        case 37:
            for id in store.sessions { try hidden("PUT", "/v1/session/destroy/" + id) }
        case 38:
            try session(13, #"{"Name": "alice", "TTL": "60s", "LockDelay": "0s", "Checks": []}"#)
            try session(14, #"{"Name": "bob", "TTL": "60s", "LockDelay": "0s", "Checks": []}"#)
        case 70:
            beginCluster()
            try session(1, sixty)
            try session(3, sixty)
            try acquire("d/count", 1, "x")
        case 71, 72:
            try hidden("PUT", "/v1/kv/d/count?release=" + Self.id(1), "x")
            try acquire("d/count", 1, "x")
        case 73:
            try session(2, sixty)
            try acquire("d/0s-release", 2)
        case 78:
            try session(4, #"{"TTL": "60s", "LockDelay": "2s", "Checks": []}"#)
            try acquire("d/2s-release", 4)
        case 83:
            try session(5, #"{"TTL": "60s", "LockDelay": "2s", "Behavior": "delete", "Checks": []}"#)
            try acquire("d/2s-delete", 5)
        case 88:
            try session(6, #"{"TTL": "60s", "LockDelay": "5s", "Checks": []}"#)
            try acquire("d/del", 6)
        case 90:
            try session(7, #"{"TTL": "60s", "LockDelay": "5s", "Checks": []}"#)
            try acquire("d/gone", 7)
            try hidden("PUT", "/v1/session/destroy/" + Self.id(7))
            try hidden("DELETE", "/v1/kv/d/gone")
        case 91:
            try session(8, #"{"TTL": "60s", "Checks": []}"#)
            try acquire("d/default", 8)
            try hidden("PUT", "/v1/session/destroy/" + Self.id(8))
        case 93:
            beginCluster()
            try session(15, #"{"TTL": "60s", "Checks": []}"#)
            try session(26, #"{"TTL": "60s", "LockDelay": "5s", "Checks": []}"#)
            try hidden("PUT", "/v1/kv/bq/a", "1")
        case 109: try session(20, sixty)
        case 273: try hidden("PUT", "/v1/kv/y/.lock", "by hand")
        case 278: try hidden("DELETE", "/v1/kv/y/.lock")
        // The lock-delay of the session that was destroyed.
        case 293: clock.pass(.seconds(16))
        case 336:
            let rights = [
                "TOKEN-READ": ConsulStore.Rights(keys: ["qq/": .read]),
                "TOKEN-LOCK": ConsulStore.Rights(keys: ["qq/": .write], session: .write),
            ]
            begin(ConsulStore(clock: clock, servers: ["acl"], clients: [], access: .init(rights)), agents: [:])
        case 380:
            store.useIDs([Self.id(43)])
            let token = [("X-Consul-Token", "TOKEN-LOCK")]
            let document = Array(#"{"TTL": "30s", "Checks": []}"#.utf8)
            _ = store.handle(.init("PUT", "/v1/session/create", headers: token, body: document), at: "acl")
        case 387: begin(ConsulStore(clock: clock, servers: ["tls"], clients: []), agents: [:])
        case 390: try beginLeaderLoss()
        case 408:
            begin(
                ConsulStore(clock: clock, servers: ["server2", "server1", "server3"]),
                agents: ["follower1": "server1", "follower2": "server3"])
            try session(3, #"{"TTL": "60s", "Checks": []}"#)
            try session(4, sixty)
            try acquire("f/d", 3)
        case 413:
            begin(ConsulStore(clock: clock, servers: ["server1", "server2", "server3"]), agents: ["leader": "server1"])
            try session(47, #"{"TTL": "30s", "LockDelay": "0s", "Checks": []}"#)
            try acquire("q/.lock", 47)
        case 418: store.loseLeader()
        case 429:
            try session(48, #"{"TTL": "60s", "LockDelay": "0s"}"#, at: "client")
            try session(49, sixty, at: "client")
            try acquire("g/with", 48)
            try acquire("g/without", 49)
        default: break
        }
    }

    private func beginLeaderLoss() throws {
        begin(
            ConsulStore(clock: clock, servers: ["server2", "server1", "server3"]), agents: ["follower1": "server1", "follower2": "server3"])
        try session(1, #"{"TTL": "10s", "LockDelay": "0s", "Checks": []}"#)
        try acquire("f/.lock", 1)
        clock.pass(.seconds(8))
    }

    /// Writes during a blocking query, by its line.
    static let writesWhileBlocked: [Int: [(method: String, target: String, body: String, wakes: Bool)]] = [
        99: [("PUT", "/v1/kv/bq/other", "1", false), ("PUT", "/v1/kv/bq/a", "2", true)],
        101: [
            ("PUT", "/v1/kv/unrelated", "1", false), ("PUT", "/v1/kv/bq/neighbour", "1", false), ("PUT", "/v1/kv/bq/absent", "1", true),
        ],
        103: [("DELETE", "/v1/kv/bq/neighbour", "", true)],
        109: [("PUT", "/v1/session/destroy/" + id(20), "", true)],
    ]
}
