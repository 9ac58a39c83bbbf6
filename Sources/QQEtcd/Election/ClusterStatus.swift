import QQCore

extension EtcdCoordinator {
    public func clusterStatus() async -> ClusterReport {
        let (api, clock, limit) = (api, clock, requestTimeout)
        let found = await withTaskGroup(of: (Int, EndpointStatus).self) { group in
            for (place, endpoint) in api.endpoints.enumerated() {
                group.addTask { (place, await ClusterStatus(api: api, clock: clock, limit: limit).endpoint(endpoint)) }
            }
            var found: [Int: EndpointStatus] = [:]
            for await (place, status) in group { found[place] = status }
            return found
        }
        return ClusterReport(endpoints: api.endpoints.indices.compactMap { found[$0] })
    }
}

/// Asks each member for its own state. The user need not be allowed to see all of it.
struct ClusterStatus: Sendable {
    let api: any EtcdCalling
    let clock: any LeaseClock
    /// The limit for everything together.
    let limit: Duration

    func endpoint(_ endpoint: ServerURL.Host) async -> EndpointStatus {
        let deadline = clock.now() + limit
        // The first request pays for the connection.
        var status = await ask { () throws(EtcdFailure) in try await api.status(of: endpoint, by: deadline) }
        var roundTrip: Duration?
        if case .success = status {
            let began = clock.now()
            let again = await ask { () throws(EtcdFailure) in try await api.status(of: endpoint, by: deadline) }
            if case .success = again { (status, roundTrip) = (again, clock.now().duration(since: began)) }
        }
        var alarms = Result<[EtcdAlarm], EtcdFailure>.success([])
        // Without a leader the alarms are not answered; the complaints in the status name that.
        if case .success(let found) = status, found.leader != 0 {
            alarms = await ask { () throws(EtcdFailure) in try await api.alarms(at: endpoint, by: deadline) }
        } else if case .failure(let failure) = status, failure.meaning == .denied {
            alarms = await ask { () throws(EtcdFailure) in try await api.alarms(at: endpoint, by: deadline) }
        }
        var told = Self.status(endpoint.description, status, alarms)
        told.roundTrip = roundTrip
        if case .success(let found) = status { told.details["name"] = await name(of: found.memberID, by: deadline).map { .string($0) } }
        return told
    }

    /// The name of a member; nil if the user is not allowed to see it.
    private func name(of member: UInt64, by deadline: BootInstant) async -> String? {
        guard case .success(let members) = await ask({ () throws(EtcdFailure) in try await api.members(by: deadline) }) else { return nil }
        return members.first { $0.id == member }.map { Printable.text($0.name) }
    }

    private func ask<Answer: Sendable>(_ body: () async throws(EtcdFailure) -> Answer) async -> Result<Answer, EtcdFailure> {
        do throws(EtcdFailure) { return .success(try await body()) } catch { return .failure(error) }
    }

    /// What the answers of a member show. Pure.
    static func status(
        _ endpoint: String, _ status: Result<EtcdStatus, EtcdFailure>, _ alarms: Result<[EtcdAlarm], EtcdFailure>
    ) -> EndpointStatus {
        var told = EndpointStatus(endpoint: endpoint, isReachable: false, canGrant: false)
        var raised: [EtcdAlarm] = []
        if case .success(let found) = alarms { raised = found }
        let isFull = raised.contains { $0.kind == .noSpace }
        var refused: [String] = []
        switch status {
        case .failure(let failure) where failure.meaning == .denied:
            // The member answers, and leases need no such permission.
            told.isReachable = true
            told.canGrant = !isFull
            refused.append("its status: \(failure.reason)")
        case .failure(let failure):
            told.isReachable = failure.meaning == .unsupported
            told.problem = failure.reason
            return told
        case .success(let found):
            told.isReachable = true
            let isFull = isFull || found.errors.contains { $0.contains("NOSPACE") }
            told.canGrant = found.leader != 0 && !isFull
            told.details = details(found)
            if found.leader == 0 {
                told.problem = "it sees no leader"
            } else if !isFull, let error = found.errors.first {
                told.problem = Printable.text(error)
            }
            if isFull { told.problem = "the database is full: holders keep their leases, and nobody else gets one" }
        }
        if case .failure(let failure) = alarms, failure.meaning == .denied { refused.append("the alarms: \(failure.reason)") }
        if told.problem == nil, isFull { told.problem = "the database is full: holders keep their leases, and nobody else gets one" }
        if case .success = alarms { told.details["alarms"] = .array(Set(raised.map { text($0) }).sorted().map { .string($0) }) }
        if !refused.isEmpty { told.details["refused"] = .string(refused.joined(separator: "; ")) }
        return told
    }

    private static func text(_ alarm: EtcdAlarm) -> String {
        switch alarm.kind {
        case .noSpace: "NOSPACE"
        case .corrupt: "CORRUPT"
        case .other(let number): "alarm \(number)"
        }
    }

    private static func details(_ found: EtcdStatus) -> [StatusDetail] {
        var details: [StatusDetail] = []
        details["member_id"] = .string(String(found.memberID, radix: 16))
        details["version"] = .string(Printable.text(found.version))
        details["role"] = .string(
            found.leader == 0 ? "unknown" : found.isLearner ? "learner" : found.leader == found.memberID ? "leader" : "follower")
        details["leader_id"] = found.leader == 0 ? .null : .string(String(found.leader, radix: 16))
        details["term"] = .number(found.raftTerm)
        details["raft_index"] = .number(found.raftIndex)
        details["applied_index"] = .number(found.raftAppliedIndex)
        // The applied index can be of a later moment.
        details["lag"] = .number(found.raftIndex - min(found.raftAppliedIndex, found.raftIndex))
        details["db_size"] = .number(UInt64(max(found.databaseSize, 0)))
        details["db_in_use"] = .number(UInt64(max(found.databaseSizeInUse, 0)))
        details["db_quota"] = found.databaseQuota.map { .number(UInt64(max($0, 0))) } ?? .null
        details["learner"] = .bool(found.isLearner)
        return details
    }
}
