import QQEtcd

/// Members, status, alarms and logins.
extension EtcdStore {
    package mutating func memberList(
        _ request: Etcdserverpb_MemberListRequest, _ caller: Caller = Caller()
    ) throws(EtcdServerError) -> Etcdserverpb_MemberListResponse {
        try admit("Cluster/MemberList", caller)
        // 3.4 knows no linearizable list.
        if request.linearizable, version != .v34 { try confirm("Cluster/MemberList", caller) }
        if version != .v34 { _ = try login(caller) }
        var response = Etcdserverpb_MemberListResponse()
        (response.header, response.members) = (header(caller.member, nil), members)
        return response
    }

    package mutating func status(
        _ request: Etcdserverpb_StatusRequest, _ caller: Caller = Caller()
    ) throws(EtcdServerError) -> Etcdserverpb_StatusResponse {
        try admit("Maintenance/Status", caller)
        if let fault = faults.take("Maintenance/Status") { throw fault.failure }
        switch version {
        case .v34: break
        case .v35: try checkRoot(login(caller))
        case .v36: _ = try login(caller)
        }
        var response = Etcdserverpb_StatusResponse()
        response.header = header(caller.member)
        response.version = version.rawValue
        (response.dbSize, response.dbSizeInUse) = (databaseSize.total, databaseSize.used)
        response.raftIndex = isolated[caller.member]?.raftIndex ?? raftIndex
        response.raftAppliedIndex = response.raftIndex
        response.raftTerm = response.header.raftTerm
        if members.indices.contains(caller.member) { response.isLearner = members[caller.member].isLearner }
        if seesLeader(caller.member), let leader {
            response.leader = members[leader].id
        } else {
            response.errors.append(EtcdServerError.noLeader.message)
        }
        response.errors += alarms.map { "memberID:\($0.memberID) alarm:\($0.alarm == .corrupt ? "CORRUPT" : "NOSPACE") " }
        if version == .v36 {
            (response.storageVersion, response.dbSizeQuota) = ("3.6.0", databaseSize.quota)
            response.downgradeInfo = Etcdserverpb_DowngradeInfo()
        }
        return response
    }

    package mutating func alarm(
        _ request: Etcdserverpb_AlarmRequest, _ caller: Caller = Caller()
    ) throws(EtcdServerError) -> Etcdserverpb_AlarmResponse {
        try admit("Maintenance/Alarm", caller)
        return try propose("Maintenance/Alarm", caller, timeout: .deadline(version)) { store throws(EtcdServerError) in
            if store.version != .v34 { _ = try store.login(caller) }
            var response = Etcdserverpb_AlarmResponse()
            // 3.4 answers without a header.
            if store.version != .v34 { response.header = store.header(caller.member) }
            let matching = store.alarms.filter { alarm in
                (request.memberID == 0 || alarm.memberID == request.memberID) && (request.alarm == .none || alarm.alarm == request.alarm)
            }
            switch request.action {
            case .get: response.alarms = matching
            case .activate:
                var alarm = Etcdserverpb_AlarmMember()
                (alarm.memberID, alarm.alarm) = (request.memberID, request.alarm)
                if !store.alarms.contains(alarm) { store.alarms.append(alarm) }
                response.alarms = [alarm]
            case .deactivate: store.alarms.removeAll { alarm in matching.contains(alarm) }
            case .UNRECOGNIZED: break
            }
            return response
        }
    }

    /// Maintenance/MoveLeader, for which `qq` has no messages. Only the leader hands over.
    /// - Parameter target: the id of the next leader.
    package mutating func moveLeader(to target: UInt64, _ caller: Caller) throws(EtcdServerError) {
        try admit("Maintenance/MoveLeader", caller)
        if caller.member != leader { throw .notLeader }
        guard let next = members.firstIndex(where: { $0.id == target }), isolated[next] == nil else { throw .badTransferee }
        lead(next)
    }

    /// Auth/AuthStatus, for which `qq` has no messages.
    package mutating func authStatus(_ caller: Caller = Caller()) throws(EtcdServerError) -> (isEnabled: Bool, revision: UInt64) {
        try admit("Auth/AuthStatus", caller)
        if version == .v34 { throw .unknownMethod("AuthStatus", of: "etcdserverpb.Auth") }
        try checkRoot(login(caller))
        return (auth.isEnabled, auth.revision)
    }

    package mutating func authenticate(
        _ request: Etcdserverpb_AuthenticateRequest, _ caller: Caller = Caller()
    ) throws(EtcdServerError) -> Etcdserverpb_AuthenticateResponse {
        try admit("Auth/Authenticate", caller)
        if let fault = faults.take("Auth/Authenticate") { throw fault.failure }
        var response = Etcdserverpb_AuthenticateResponse()
        response.token = try auth.authenticate(request.name, request.password, at: now)
        response.header = header(caller.member)
        return response
    }
}
