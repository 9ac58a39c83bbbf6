import QQCore

// The status of servers and members.
extension NATSCoordinator {
    /// How long to wait for another answer of a service after the last one.
    private static let discoveryPause: Duration = .milliseconds(300)

    public func clusterStatus() async -> ClusterReport {
        let limit = min(requestTimeout, .seconds(2))
        var report = ClusterReport(endpoints: [])
        var addresses = settings.options.servers
        var asked: Set<NATSOptions.Address> = []
        var serverIDs: Set<String> = []
        // The configured servers, and then those that they announce.
        while !addresses.isEmpty, asked.count < ServerPool.mostAnnounced {
            let round = addresses.prefix(ServerPool.mostAnnounced - asked.count).filter { asked.insert($0).inserted }
            addresses = []
            await withTaskGroup(of: Endpoint.self) { group in
                for address in round { group.addTask { await self.endpoint(address, timeout: limit) } }
                var found: [Endpoint] = []
                for await endpoint in group { found.append(endpoint) }
                for address in round {
                    guard let endpoint = found.first(where: { $0.address == address }) else { continue }
                    // A server that announces itself under another address is not a second one.
                    let isNew = endpoint.info.map { serverIDs.insert($0.serverID).inserted } ?? true
                    guard isNew || settings.options.servers.contains(address) else { continue }
                    report.endpoints.append(endpoint.status)
                    addresses += ServerPool.addresses(endpoint.info?.connectURLs ?? [])
                }
            }
        }
        if report.endpoints.contains(where: \.isReachable) { report.members = await members(timeout: limit) }
        return report
    }

    private struct Endpoint: Sendable {
        var address: NATSOptions.Address
        var status: EndpointStatus
        var info: ServerInfo?
    }

    private func endpoint(_ address: NATSOptions.Address, timeout: Duration) async -> Endpoint {
        var options = settings.options
        options.servers = [address]
        let client = NATSClient(options, clock: clock)
        let jetStream = JetStream(client: client, api: self.jetStream.api)
        let found = await endpoint(address, client, jetStream, timeout: timeout)
        await client.close()
        return found
    }

    private func endpoint(
        _ address: NATSOptions.Address, _ client: NATSClient, _ jetStream: JetStream, timeout: Duration
    ) async -> Endpoint {
        var status = EndpointStatus(endpoint: address.description, isReachable: false, canGrant: false)
        do throws(NATSError) { try await client.roundTrip(timeout: timeout) } catch {
            status.problem = error.reason
            return Endpoint(address: address, status: status, info: nil)
        }
        // The first request paid for the connection.
        let began = clock.now()
        do throws(NATSError) {
            try await client.roundTrip(timeout: timeout)
            status.roundTrip = clock.now().duration(since: began)
        } catch { status.problem = error.reason }
        guard let info = await client.connectedServer()?.info else { return Endpoint(address: address, status: status, info: nil) }
        status.isReachable = true
        func add(_ key: String, _ value: JSONValue?) { status.details.append(.init(key, value ?? .null)) }
        add("server_name", .string(info.serverName))
        add("version", .string(info.version))
        add("cluster", info.cluster.map { .string($0) })
        add("domain", info.domain.map { .string($0) })
        let account = await accountInfo(jetStream, timeout: timeout)
        switch account {
        case .success(let account):
            status.canGrant = true
            add("jetstream", true)
            add("streams", account.streams)
        case .failure(let error):
            add("jetstream", .bool(false))
            status.problem = error
        }
        add("meta_leader", await metaLeader(client, timeout: timeout).map { .string($0) })
        return Endpoint(address: address, status: status, info: info)
    }

    private enum Account: Sendable {
        case success((streams: JSONValue?, Void))
        case failure(String)
    }

    private func accountInfo(_ jetStream: JetStream, timeout: Duration) async -> Account {
        do throws(JetStreamFailure) {
            let answer = try JetStreamAnswer(await jetStream.ask(jetStream.api.accountInfo, isRepeatable: true, timeout: timeout))
            return .success((answer.object["streams"], ()))
        } catch { return .failure("JetStream: " + error.description) }
    }

    /// The meta leader of JetStream. Only the system account can read it.
    private func metaLeader(_ client: NATSClient, timeout: Duration) async -> String? {
        let question = Array(#"{"leader_only":true}"#.utf8)
        guard
            let answer = try? await client.request(
                "$SYS.REQ.SERVER.PING.JSZ", payload: question, isRepeatable: true, timeout: min(timeout, Self.discoveryPause)),
            let object = try? JSONValue.parse(answer.payload)
        else { return nil }
        return object["data"]?["meta_cluster"]?["leader"]?.stringValue
    }

    // MARK: Members

    private func members(timeout: Duration) async -> [MemberStatus] {
        let answers = (try? await client.collect("$SRV.INFO", pause: Self.discoveryPause, timeout: timeout)) ?? []
        let nodes = Set(answers.flatMap { Self.nodes($0.payload) })
        let older = await olderLeaders()
        return await withTaskGroup(of: MemberStatus.self) { group in
            for node in nodes { group.addTask { await self.member(node, timeout: timeout) } }
            for node in older { group.addTask { await self.olderMember(node, timeout: timeout) } }
            var members: [MemberStatus] = []
            for await member in group { members.append(member) }
            return members.sorted { ($0.election, $0.id) < ($1.election, $1.id) }
        }
    }

    struct Node: Sendable, Hashable {
        var cluster: String
        var id: String
        var version: String?
    }

    /// The node that a service description belongs to; empty if the description is not that of a node.
    static func nodes(_ payload: [UInt8]) -> [Node] {
        guard let object = (try? JSONValue.parse(payload))?.objectValue, let name = object["name"]?.stringValue, name.hasPrefix("cluster_")
        else { return [] }
        let cluster = String(name.dropFirst("cluster_".count))
        let prefix = NodeSubject.status(cluster, "")
        let endpoints = object["endpoints"]?.arrayValue ?? []
        return endpoints.compactMap { endpoint in
            guard let subject = endpoint["subject"]?.stringValue, subject.hasPrefix(prefix) else { return nil }
            let id = String(subject.dropFirst(prefix.count))
            guard LeaseFormat.problem(withCluster: cluster) == nil, LeaseFormat.problem(withNode: id) == nil else { return nil }
            return Node(cluster: cluster, id: id, version: object["version"]?.stringValue)
        }
    }

    private func member(_ node: Node, timeout: Duration) async -> MemberStatus {
        await ask(node, NodeSubject.status(node.cluster, node.id), timeout: timeout)
    }

    /// Nodes of format v1 cannot be discovered. The leader of each election is asked instead.
    private func olderLeaders() async -> Set<Node> {
        guard let buckets = try? await jetStream.buckets(timeout: requestTimeout) else { return [] }
        var nodes: Set<Node> = []
        for (bucket, _) in buckets {
            guard let election = LeaseFormat.election(inBucket: bucket), election.format == .v1,
                let entry = try? await jetStream.entry(
                    bucket: bucket, key: election.format.leaseKey, direct: false, timeout: requestTimeout),
                let node = LeaseEntry(entry, format: .v1).value?.nodeID, LeaseFormat.problem(withNode: node) == nil
            else { continue }
            nodes.insert(Node(cluster: election.cluster, id: node, version: nil))
        }
        return nodes
    }

    private func olderMember(_ node: Node, timeout: Duration) async -> MemberStatus {
        await ask(node, NodeSubject.health(node.cluster, node.id), timeout: timeout)
    }

    private func ask(_ node: Node, _ subject: String, timeout: Duration) async -> MemberStatus {
        var member = MemberStatus(election: node.cluster, id: node.id, version: node.version)
        let began = clock.now()
        do throws(NATSError) {
            let answer = try await client.request(subject, isRepeatable: true, timeout: timeout)
            member.roundTrip = clock.now().duration(since: began)
            member.answered(answer.payload)
        } catch { member.problem = error.reason }
        return member
    }
}

extension MemberStatus {
    /// Adds the node's own report.
    mutating func answered(_ payload: [UInt8]) {
        guard let object = (try? JSONValue.parse(payload))?.objectValue else {
            problem = "its answer cannot be parsed"
            return
        }
        switch object["role"]?.stringValue {
        case "PRIMARY": role = .leader
        case "PASSIVE": role = .follower
        default: break
        }
        leader = object["leader"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
        epoch = object["epoch"]?.uint64Value
        uptime = object["uptimeMs"]?.int64Value.map { .milliseconds(saturating: $0) }
    }
}
