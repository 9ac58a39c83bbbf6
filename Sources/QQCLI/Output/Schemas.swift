import QQCore

/// The objects that `--json` prints. Their keys and types are declared once, in `Schemas.all`: qq-json(5) is generated from it, and tests compare the output
/// with it.
enum Schemas {
    static func acquired(_ grant: Grant, server: ServerURL, now: BootInstant) -> JSONValue {
        [
            "acquired": true, "name": .string(grant.name), "server": .string(server.description), "system": .string(server.system.name),
            "id": .string(grant.identity), "leader": .string(grant.identity), "token": Rendering.json(grant.token),
            "epoch": Rendering.json(grant.epoch), "ttl": Rendering.json(grant.ttl),
            "acquired_at": Rendering.json(grant.acquiredAt), "expires_at": Rendering.json(grant.expiresAt),
            "expires_in": Rendering.rounded(grant.deadline.duration(since: now)), "cooldown": .null,
        ]
    }

    static func refused(_ state: ElectionState, server: ServerURL) -> JSONValue {
        [
            "acquired": false, "name": .string(state.name), "server": .string(server.description), "system": .string(server.system.name),
            "id": .null,
            "leader": Rendering.json(state.isLed ? state.leader : nil), "token": Rendering.json(state.token),
            "epoch": Rendering.json(state.epoch), "ttl": Rendering.json(state.ttl),
            "acquired_at": Rendering.json(state.acquiredAt), "expires_at": Rendering.json(state.remaining.map { .now() + $0 }),
            "expires_in": Rendering.rounded(state.remaining), "cooldown": Rendering.rounded(state.cooldown),
        ]
    }

    static func released(_ name: String, _ released: Bool, _ state: ElectionState?, server: ServerURL) -> JSONValue {
        [
            "released": .bool(released), "name": .string(name), "server": .string(server.description),
            "system": .string(server.system.name),
            "leader": Rendering.json(state?.isLed == true ? state?.leader : nil),
        ]
    }

    static func steppedDown(_ done: Bool, _ state: ElectionState, server: ServerURL) -> JSONValue {
        [
            "stepped_down": .bool(done), "name": .string(state.name), "server": .string(server.description),
            "system": .string(server.system.name),
            "leader": Rendering.json(state.isLed ? state.leader : nil), "token": Rendering.json(state.token),
        ]
    }

    static func election(_ state: ElectionState, mine: Bool, advice: BackoffAdvice? = nil) -> JSONValue {
        let election: JSONValue = [
            "name": .string(state.name), "state": .string(state.phase.rawValue), "leader": Rendering.json(state.isLed ? state.leader : nil),
            "last_leader": Rendering.json(state.leader), "mine": .bool(mine), "token": Rendering.json(state.token),
            "epoch": Rendering.json(state.epoch), "revision": Rendering.json(state.revision),
            "acquired_at": Rendering.json(state.acquiredAt), "renewed_at": Rendering.json(state.renewedAt),
            "ttl": Rendering.json(state.ttl),
            "expires_in": state.isLed ? Rendering.rounded(state.remaining) : .null,
            "waiters": state.waiters.map { .integer(Int64($0)) } ?? .null,
            "alive": state.alive.map { .bool($0) } ?? .null, "host": Rendering.json(state.host),
            "step_down_asked_by": Rendering.json(state.stepDownAskedBy), "problem": Rendering.json(state.problem?.description),
        ]
        guard let advice, let members = election.objectValue?.members else { return election }
        let pace: JSONValue = [
            "initial": Rendering.json(advice.initial), "maximum": Rendering.json(advice.maximum), "multiplier": .double(advice.multiplier),
            "jitter": .double(advice.jitter),
        ]
        return .object(JSONObject(members + [.init(name: "advice", value: pace)]))
    }

    static func event(_ kind: String, _ state: ElectionState, at time: WallTime, server: ServerURL) -> JSONValue {
        [
            "time": Rendering.json(time), "event": .string(kind), "name": .string(state.name), "server": .string(server.description),
            "state": .string(state.phase.rawValue), "leader": Rendering.json(state.isLed ? state.leader : nil),
            "token": Rendering.json(state.token), "epoch": Rendering.json(state.epoch),
            "expires_in": state.isLed ? Rendering.rounded(state.remaining) : .null,
        ]
    }

    static func holding(
        _ kind: String, name: String, identity: String, token: FencingToken?, expiresIn: Duration?, reason: String?, address: String?,
        at time: WallTime, server: ServerURL
    ) -> JSONValue {
        var members: [JSONObject.Member] = [
            .init(name: "time", value: Rendering.json(time)), .init(name: "event", value: .string(kind)),
            .init(name: "name", value: .string(name)), .init(name: "server", value: .string(server.description)),
            .init(name: "id", value: .string(identity)), .init(name: "token", value: Rendering.json(token)),
            .init(name: "expires_in", value: Rendering.rounded(expiresIn)), .init(name: "reason", value: Rendering.json(reason)),
        ]
        if let address { members.append(.init(name: "address", value: .string(address))) }
        return .object(JSONObject(members))
    }

    static func cluster(_ report: ClusterReport, server: ServerURL) -> JSONValue {
        [
            "server": .string(server.description), "system": .string(server.system.name),
            "endpoints": .array(
                report.endpoints.map { endpoint in
                    var members: [JSONObject.Member] = [
                        .init(name: "endpoint", value: .string(endpoint.endpoint)),
                        .init(name: "reachable", value: .bool(endpoint.isReachable)),
                        .init(name: "can_grant", value: .bool(endpoint.canGrant)),
                        .init(name: "round_trip", value: Rendering.json(endpoint.roundTrip)),
                        .init(name: "problem", value: Rendering.json(endpoint.problem)),
                    ]
                    members += endpoint.details.map { .init(name: $0.key, value: $0.value) }
                    return .object(JSONObject(members))
                }),
            "members": .array(report.members.map { member($0) }),
        ]
    }

    private static func member(_ member: MemberStatus) -> JSONValue {
        [
            "id": .string(member.id), "election": .string(member.election), "role": .string(member.role.rawValue),
            "leader": Rendering.json(member.leader), "epoch": Rendering.json(member.epoch), "uptime": Rendering.rounded(member.uptime),
            "version": Rendering.json(member.version), "round_trip": Rendering.json(member.roundTrip),
            "problem": Rendering.json(member.problem),
        ]
    }
}
