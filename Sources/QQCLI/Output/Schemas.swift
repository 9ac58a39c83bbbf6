import QQCore

/// The objects that `--json` prints. Their keys and types are declared once, in `Schemas.all`: qq-json(5) is generated from it, and tests compare the output
/// with it.
enum Schemas {
    /// - Parameters:
    ///   - name: the name as it was asked for; nil for that of the grant.
    ///   - slot: the slot that was granted; nil without slots.
    static func acquired(_ grant: Grant, as name: String? = nil, slot: Slot? = nil, server: ServerURL, now: BootInstant) -> JSONValue {
        adding(
            slot, count: slot?.count,
            to: [
                "acquired": true, "name": .string(name ?? grant.name), "server": .string(server.description),
                "system": .string(server.system.name),
                "id": .string(grant.identity), "leader": .string(grant.identity), "token": Rendering.json(grant.token),
                "epoch": Rendering.json(grant.epoch), "ttl": Rendering.json(grant.ttl),
                "acquired_at": Rendering.json(grant.acquiredAt), "expires_at": Rendering.json(grant.expiresAt),
                "expires_in": Rendering.rounded(grant.deadline.duration(since: now)), "cooldown": .null,
            ])
    }

    /// Adds `slot` and `slots` to an object about a name with slots.
    /// - Parameters:
    ///   - slot: the slot that is held; nil if none is.
    ///   - count: the number of slots; nil without slots.
    static func adding(_ slot: Slot?, count: Int?, to object: JSONObject) -> JSONValue {
        guard let count else { return .object(object) }
        return .object(
            JSONObject(
                object.members + [
                    .init(name: "slot", value: slot.map { .integer(Int64($0.number)) } ?? .null),
                    .init(name: "slots", value: .integer(Int64(count))),
                ]))
    }

    static func refused(_ state: ElectionState, slots: Int? = nil, server: ServerURL) -> JSONValue {
        adding(
            nil, count: slots,
            to: [
                "acquired": false, "name": .string(state.name), "server": .string(server.description),
                "system": .string(server.system.name),
                "id": .null,
                "leader": Rendering.json(state.isLed ? state.leader : nil), "token": Rendering.json(state.token),
                "epoch": Rendering.json(state.epoch), "ttl": Rendering.json(state.ttl),
                "acquired_at": Rendering.json(state.acquiredAt), "expires_at": Rendering.json(state.remaining.map { .now() + $0 }),
                "expires_in": Rendering.rounded(state.remaining), "cooldown": Rendering.rounded(state.cooldown),
            ])
    }

    static func released(
        _ name: String, _ released: Bool, _ state: ElectionState?, slot: Slot? = nil, server: ServerURL
    ) -> JSONValue {
        adding(
            slot, count: slot?.count,
            to: [
                "released": .bool(released), "name": .string(name), "server": .string(server.description),
                "system": .string(server.system.name),
                "leader": Rendering.json(state?.isLed == true ? state?.leader : nil),
            ])
    }

    /// - Parameter slots: the numbers of the slots that were given up, if the name has slots.
    static func steppedDown(_ done: Bool, _ state: ElectionState, slots: Set<Int> = [], server: ServerURL) -> JSONValue {
        let usual: JSONObject = [
            "stepped_down": .bool(done), "name": .string(state.name), "server": .string(server.description),
            "system": .string(server.system.name),
            "leader": Rendering.json(state.isLed ? state.leader : nil), "token": Rendering.json(state.token),
        ]
        let holders = state.heldSlots.map { number, slot -> JSONValue in
            [
                "slot": .integer(Int64(number)), "leader": Rendering.json(slot.leader), "token": Rendering.json(slot.token),
                "stepped_down": .bool(slots.contains(number)),
            ]
        }
        return .object(JSONObject(usual.members + members(state, holders: holders)))
    }

    /// The members of an object about a name with slots that others do not have.
    private static func members(_ state: ElectionState, holders: [JSONValue]) -> [JSONObject.Member] {
        if state.slots.isEmpty { return [] }
        return [
            .init(name: "slots", value: .integer(Int64(state.slots.count))), .init(name: "holders", value: .array(holders)),
        ]
    }

    static func election(_ row: StatusRow) -> JSONValue {
        let state = row.state
        let usual: JSONObject = [
            "name": .string(state.name), "state": .string(state.phase.rawValue), "leader": Rendering.json(state.isLed ? state.leader : nil),
            "last_leader": Rendering.json(state.leader), "note": Rendering.json(state.isLed ? state.note : nil), "mine": .bool(row.isMine),
            "token": Rendering.json(state.token),
            "epoch": Rendering.json(state.epoch), "revision": Rendering.json(state.revision),
            "acquired_at": Rendering.json(state.acquiredAt), "renewed_at": Rendering.json(state.renewedAt),
            "ttl": Rendering.json(state.ttl),
            "expires_in": state.isLed ? Rendering.rounded(state.remaining) : .null,
            "waiters": state.waiters.map { .integer(Int64($0)) } ?? .null,
            "alive": state.alive.map { .bool($0) } ?? .null, "host": Rendering.json(state.host),
            "step_down_asked_by": Rendering.json(state.stepDownAskedBy), "problem": Rendering.json(state.problem?.description),
        ]
        // Details that only this system has.
        let others = state.details.filter { usual[$0.key] == nil && $0.key != "cooldown" }
        var members = usual.members + others.map { .init(name: $0.key, value: $0.value) }
        if let slot = row.slot { members.insert(.init(name: "slot", value: .integer(Int64(slot))), at: 0) }
        members += Self.members(state, holders: row.slots.filter(\.state.isLed).map { election($0) })
        guard let advice = row.advice else { return .object(JSONObject(members)) }
        let pace: JSONValue = [
            "initial": Rendering.json(advice.initial), "maximum": Rendering.json(advice.maximum), "multiplier": .double(advice.multiplier),
            "jitter": .double(advice.jitter),
        ]
        return .object(JSONObject(members + [.init(name: "advice", value: pace)]))
    }

    static func event(_ change: Change, server: ServerURL) -> JSONValue {
        let state = change.changed
        let usual: JSONObject = [
            "time": Rendering.json(change.time), "event": .string(change.kind.rawValue), "name": .string(change.state.name),
            "server": .string(server.description),
            "state": .string(state.phase.rawValue), "leader": Rendering.json(state.isLed ? state.leader : nil),
            "token": Rendering.json(state.token), "epoch": Rendering.json(state.epoch),
            "expires_in": state.isLed ? Rendering.rounded(state.remaining) : .null, "note": Rendering.json(state.isLed ? state.note : nil),
        ]
        if change.state.slots.isEmpty { return .object(usual) }
        let holders = change.state.heldSlots.map { number, slot -> JSONValue in
            [
                "slot": .integer(Int64(number)), "leader": Rendering.json(slot.leader), "token": Rendering.json(slot.token),
                "epoch": Rendering.json(slot.epoch), "ttl": Rendering.json(slot.ttl), "expires_in": Rendering.rounded(slot.remaining),
                "note": Rendering.json(slot.note),
            ]
        }
        let slot = JSONObject.Member(name: "slot", value: change.slot.map { .integer(Int64($0)) } ?? .null)
        return .object(JSONObject(usual.members + [slot] + members(change.state, holders: holders)))
    }

    static func holding(
        _ kind: String, name: String, slot: Slot? = nil, slots: Int? = nil, identity: String, token: FencingToken?, expiresIn: Duration?,
        reason: String?, address: String?,
        at time: WallTime, server: ServerURL
    ) -> JSONValue {
        var members: [JSONObject.Member] = [
            .init(name: "time", value: Rendering.json(time)), .init(name: "event", value: .string(kind)),
            .init(name: "name", value: .string(name)), .init(name: "server", value: .string(server.description)),
            .init(name: "id", value: .string(identity)), .init(name: "token", value: Rendering.json(token)),
            .init(name: "expires_in", value: Rendering.rounded(expiresIn)), .init(name: "reason", value: Rendering.json(reason)),
        ]
        if let address { members.append(.init(name: "address", value: .string(address))) }
        return adding(slot, count: slots ?? slot?.count, to: JSONObject(members))
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
        let usual: JSONObject = [
            "id": .string(member.id), "election": .string(member.election), "role": .string(member.role.rawValue),
            "leader": Rendering.json(member.leader), "epoch": Rendering.json(member.epoch), "uptime": Rendering.rounded(member.uptime),
            "version": Rendering.json(member.version), "round_trip": Rendering.json(member.roundTrip),
            "problem": Rendering.json(member.problem),
        ]
        guard let slot = member.slot else { return .object(usual) }
        return .object(
            JSONObject(
                usual.members + [
                    .init(name: "slot", value: .integer(Int64(slot.number))), .init(name: "slots", value: .integer(Int64(slot.count))),
                ]))
    }
}
