import QQCore

extension ConsulStore.State {
    private static let version = "1.8.7"

    func routeCluster(_ path: String, _ request: Request, at agent: String) -> ConsulStore.Action {
        func allowed(_ kind: KeyPath<ConsulStore.Rights, ConsulStore.Rights.Level>, _ state: Self) throws(Failure) {
            // The agent resolves tokens itself.
            guard try state.rights(request.token)[keyPath: kind] >= .read else {
                throw Failure(status: 403, text: "Permission denied", isLocal: true)
            }
        }
        switch path {
        case "/v1/status/leader":
            return .local { state in .json(.string(state.condition == .noLeader ? "" : "\(state.leader):8300")) }
        case "/v1/status/peers":
            return .local { state in .json(.array(state.servers.map { .string("\($0.name):8300") })) }
        case "/v1/agent/self":
            return .local { state throws(Failure) in
                try allowed(\.agent, state)
                return .json(state.own(agent))
            }
        case "/v1/agent/members":
            return .local { state throws(Failure) in
                let isVisible = try state.rights(request.token).node >= .read
                return .json(.array(isVisible ? state.agents.map(state.member) : []))
            }
        case "/v1/operator/raft/configuration":
            return .local { state throws(Failure) in
                try allowed(\.cluster, state)
                if !request.has("stale") { try state.reach(.read, from: agent) }
                return .json(["Servers": .array(state.servers.map(state.voter)), "Index": 0])
            }
        case "/v1/operator/autopilot/health":
            return .local { state throws(Failure) in
                try allowed(\.cluster, state)
                try state.reach(.read, from: agent)
                return .json(state.health)
            }
        case "/v1/catalog/datacenters": return .local { state in .json([.string(state.datacenter)]) }
        default: return .local { _ in .missing() }
        }
    }

    private var servers: [ConsulStore.Agent] { agents.filter(\.isServer) }

    private func member(_ agent: ConsulStore.Agent) -> JSONValue {
        var tags = JSONObject([
            .init(name: "build", value: .string(Self.version + ":")), .init(name: "dc", value: .string(datacenter)),
            .init(name: "role", value: agent.isServer ? "consul" : "node"), .init(name: "vsn", value: "2"),
        ])
        if agent.isServer {
            tags = JSONObject(
                tags.members + [.init(name: "expect", value: .string("\(servers.count)")), .init(name: "raft_vsn", value: "3")])
        }
        // 1 alive, 4 failed.
        return [
            "Name": .string(agent.name), "Addr": "127.0.0.1", "Port": 8301, "Tags": .object(tags), "Status": agent.isCritical ? 4 : 1,
        ]
    }

    private func own(_ name: String) -> JSONValue {
        guard let agent = agent(name) else { return .null }
        let isLeader = name == leader && condition != .noLeader
        var consul: JSONValue = [
            "acl": access == nil ? "disabled" : "enabled", "known_servers": .string("\(servers.count)"), "server": "false",
        ]
        var raft: JSONValue = .object(JSONObject())
        if agent.isServer {
            let index = JSONValue.string("\(contents.index)")
            consul = [
                "acl": access == nil ? "disabled" : "enabled", "bootstrap": "false", "known_datacenters": "1",
                "leader": .string("\(isLeader)"), "leader_addr": .string(condition == .noLeader ? "" : "\(leader):8300"), "server": "true",
            ]
            raft = [
                "applied_index": index, "commit_index": index, "fsm_pending": "0", "last_contact": isLeader ? "0" : "5.800988ms",
                "last_log_index": index, "last_log_term": .string("\(term)"), "last_snapshot_index": "0", "last_snapshot_term": "0",
                "num_peers": .string("\(servers.count - 1)"), "state": isLeader ? "Leader" : "Follower", "term": .string("\(term)"),
            ]
        }
        return [
            "Config": [
                "Datacenter": .string(datacenter), "NodeName": .string(name), "NodeID": .string(agent.nodeID), "Revision": "",
                "Server": .bool(agent.isServer), "Version": .string(Self.version),
            ],
            "Stats": ["consul": consul, "raft": raft], "Member": member(agent),
        ]
    }

    private func voter(_ agent: ConsulStore.Agent) -> JSONValue {
        [
            "ID": .string(agent.nodeID), "Node": .string(agent.name), "Address": .string("\(agent.name):8300"),
            "Leader": .bool(agent.name == leader && condition != .noLeader), "ProtocolVersion": "3", "Voter": true,
        ]
    }

    private var health: JSONValue {
        let alive = servers.filter(\.isAlive).count
        let tolerance = alive - (servers.count / 2 + 1)
        let list = servers.map { server -> JSONValue in
            [
                "ID": .string(server.nodeID), "Name": .string(server.name), "Address": .string("\(server.name):8300"),
                "SerfStatus": server.isCritical ? "failed" : "alive", "Version": .string(Self.version),
                "Leader": .bool(server.name == leader),
                "LastContact": server.name == leader ? "0s" : "54.972833ms", "LastTerm": .number(term),
                "LastIndex": .number(contents.index), "Healthy": .bool(server.isAlive), "Voter": true,
                "StableSince": "2026-11-29T15:53:42Z",
            ]
        }
        return [
            "Healthy": .bool(alive == servers.count), "FailureTolerance": .integer(Int64(max(tolerance, 0))), "Servers": .array(list),
        ]
    }
}
