import QQCore
import QQHTTP

extension ConsulCoordinator {
    public func clusterStatus() async -> ClusterReport {
        let status = ClusterStatus(api: api, clock: clock, limit: settings.requestTimeout)
        let found = await withTaskGroup(of: (Int, EndpointStatus).self) { group in
            for place in api.endpoints.indices { group.addTask { (place, await status.endpoint(place)) } }
            var found: [Int: EndpointStatus] = [:]
            for await (place, endpoint) in group { found[place] = endpoint }
            return found
        }
        return ClusterReport(endpoints: api.endpoints.indices.compactMap { found[$0] })
    }
}

/// Asks each agent for its own state and for what it knows of the cluster. The token need not allow all of it.
struct ClusterStatus: Sendable {
    let api: any ConsulCalling
    let clock: any LeaseClock
    /// The limit for everything together.
    let limit: Duration

    func endpoint(_ place: Int) async -> EndpointStatus {
        let deadline = clock.now() + limit
        var status = EndpointStatus(endpoint: api.endpoints[place], isReachable: false, canGrant: false)
        let leader: String?
        switch await ask("/v1/status/leader", place, until: deadline) {
        case .failure(let failure):
            status.isReachable = failure.status != nil
            status.problem = failure.message
            return status
        case .success(let answer): leader = answer.body.stringValue
        }
        status.isReachable = true
        // The first request paid for the connection.
        let began = clock.now()
        _ = await ask("/v1/status/leader", place, until: deadline)
        status.roundTrip = clock.now().duration(since: began)
        guard let leader else {
            status.problem = "its answer is not that of a Consul agent"
            return status
        }
        status.canGrant = !leader.isEmpty
        if leader.isEmpty { status.problem = "the cluster has no leader" }
        async let peers = ask("/v1/status/peers", place, until: deadline)
        async let own = ask("/v1/agent/self", place, until: deadline)
        async let health = ask("/v1/operator/autopilot/health", place, until: deadline)
        let answers = await (peers: peers, own: own, health: health)
        status.details = Self.details(leader: leader, peers: answers.peers, own: answers.own, health: answers.health)
        return status
    }

    typealias Answer = Result<ConsulAnswer, ConsulFailure>

    private func ask(_ path: String, _ place: Int, until deadline: BootInstant) async -> Answer {
        do throws(ConsulFailure) {
            return .success(try await api.call(.init(method: .get, path: path, isRepeatable: true), at: place, until: deadline))
        } catch { return .failure(error) }
    }

    static func details(leader: String, peers: Answer, own: Answer, health: Answer) -> [StatusDetail] {
        var details: [StatusDetail] = []
        details["leader"] = leader.isEmpty ? .null : .string(Printable.text(leader))
        details["peers"] = document(peers)?.arrayValue.map { .array($0.compactMap { $0.stringValue.map { .string(Printable.text($0)) } }) }
        if let own = document(own) { agent(own, &details) }
        if let servers = document(health)?["Servers"]?.arrayValue {
            details["servers"] = .array(servers.map { .object(server($0)) })
            details["failure_tolerance"] = document(health)?["FailureTolerance"]?.uint64Value.map { .number($0) }
        }
        let refused = [("agent:read", own), ("operator:read", health)].compactMap { rule, answer -> JSONValue? in
            guard case .failure(let failure) = answer, failure.meaning == .denied else { return nil }
            return .string(rule)
        }
        if !refused.isEmpty { details["missing_rules"] = .array(refused) }
        return details
    }

    private static func document(_ answer: Answer) -> JSONValue? {
        guard case .success(let answer) = answer, answer.status == 200 else { return nil }
        return answer.body
    }

    private static func agent(_ own: JSONValue, _ details: inout [StatusDetail]) {
        func text(_ value: JSONValue?) -> JSONValue? { value?.stringValue.map { .string(Printable.text($0)) } }
        let configuration = own["Config"]
        details["node"] = text(configuration?["NodeName"])
        details["version"] = text(configuration?["Version"])
        details["datacenter"] = text(configuration?["Datacenter"])
        details["is_server"] = configuration?["Server"]?.boolValue.map { .bool($0) }
        let raft = own["Stats"]?["raft"]
        details["role"] = text(raft?["state"])
        // The statistics are texts.
        for (key, name) in [
            ("term", "term"), ("applied_index", "applied_index"), ("commit_index", "commit_index"), ("last_log_index", "last_log_index"),
        ] {
            details[key] = raft?[name]?.stringValue.flatMap { UInt64($0) }.map { .number($0) }
        }
        // "never", "0" for the leader, or a duration.
        details["last_contact"] = raft?["last_contact"]?.stringValue.flatMap(contact)
    }

    private static func server(_ found: JSONValue) -> JSONObject {
        var made: JSONObject = [:]
        func text(_ name: String) -> JSONValue? { found[name]?.stringValue.map { .string(Printable.text($0)) } }
        made["name"] = text("Name")
        made["address"] = text("Address")
        made["version"] = text("Version")
        made["state"] = text("SerfStatus")
        made["leader"] = found["Leader"]?.boolValue.map { .bool($0) }
        made["voter"] = found["Voter"]?.boolValue.map { .bool($0) }
        made["healthy"] = found["Healthy"]?.boolValue.map { .bool($0) }
        made["term"] = found["LastTerm"]?.uint64Value.map { .number($0) }
        made["last_index"] = found["LastIndex"]?.uint64Value.map { .number($0) }
        made["last_contact"] = found["LastContact"]?.stringValue.flatMap(contact)
        return made
    }

    /// Seconds since the leader was heard of, of a duration in Go's form.
    private static func contact(_ text: String) -> JSONValue? {
        if text == "0" { return .double(0) }
        return (try? DurationText.parse(text)).map { .double($0.seconds) }
    }
}
