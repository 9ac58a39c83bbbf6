import QQCore

/// The state of a system, as `cluster-status` shows it. Pure.
enum ClusterText {
    static func record(of endpoint: EndpointStatus) -> [String?] {
        [endpoint.endpoint, endpoint.isReachable ? "reachable" : "unreachable", endpoint.roundTrip.map { Rendering.seconds($0) }]
            + endpoint.details.map { "\($0.key)=\(text($0.value))" }
    }

    /// The first field is `member`, to tell the record from an endpoint's, which begins with an address.
    static func record(of member: MemberStatus) -> [String?] {
        [
            "member", member.election, member.id, member.role.rawValue, member.leader, member.epoch.map { String($0) },
            member.uptime.map { Rendering.seconds($0) }, member.version, member.roundTrip.map { Rendering.seconds($0) }, member.problem,
        ] + (member.slot.map { [String($0.number), String($0.count)] } ?? [])
    }

    /// The lines for a terminal.
    static func lines(_ report: ClusterReport, _ output: Output) -> [String] {
        report.endpoints.flatMap { lines($0, output) } + (report.members.isEmpty ? [] : [""] + lines(report.members, output))
    }

    private static func lines(_ endpoint: EndpointStatus, _ output: Output) -> [String] {
        let state = endpoint.isReachable ? output.color("reachable", .good) : output.color("unreachable", .bad)
        let first =
            output.color(Printable.text(endpoint.endpoint), .strong) + "  " + state
            + (endpoint.roundTrip.map { " in " + DurationText.brief($0) } ?? "")
        let width = endpoint.details.map(\.key.count).max() ?? 0
        return [first]
            + endpoint.details.flatMap { detail in
                let isBad = detail.value == false && faults.contains(detail.key) || complaints.contains(detail.key)
                let label = detail.key.split(separator: "_").joined(separator: " ")
                let start = "  " + label + String(repeating: " ", count: max(width - label.count, 0) + 2)
                return texts(detail).enumerated().map { index, text in
                    (index == 0 ? start : String(repeating: " ", count: start.count)) + output.color(text, isBad ? .bad : nil)
                }
            }
    }

    /// Details that are faults if they are false.
    private static let faults: Set<String> = [
        "writable", "room", "locks", "jetstream", "ready", "live", "can_get", "can_create", "can_update",
    ]
    /// Details that are present only if something is wrong.
    private static let complaints: Set<String> = ["failing_checks", "refused"]

    /// Details that are lists, and whose elements are shown on a line each.
    private static let lists: Set<String> = ["failing_checks", "missing_rule", "missing_rules", "servers", "alarms"]

    private static func texts(_ detail: StatusDetail) -> [String] {
        guard lists.contains(detail.key), let lines = detail.value.arrayValue, !lines.isEmpty else { return [text(detail.value)] }
        return lines.map { text($0) }
    }

    private static func lines(_ members: [MemberStatus], _ output: Output) -> [String] {
        let hasProblems = members.contains { $0.problem != nil }
        let haveSlots = members.contains { $0.slot != nil }
        return output.lines(
            table: ["MEMBER", "ELECTION"] + (haveSlots ? ["SLOT"] : []) + ["ROLE", "LEADER", "EPOCH", "UPTIME", "VERSION", "ANSWERS"]
                + (hasProblems ? ["PROBLEM"] : []),
            members.map { member in
                let role: Output.Cell =
                    switch member.role {
                    case .leader: .init("leads", .good)
                    case .follower: .init("follows")
                    case .unknown: .init("unknown", .warning)
                    }
                let slot = member.slot.map { "\($0.number) of \($0.count)" }
                return [.init(member.id, .strong), .init(member.election)] + (haveSlots ? [.init(slot)] : []) + [
                    role, .init(member.leader), .init(member.epoch.map { String($0) }),
                    .init(member.uptime.map { DurationText.brief($0) }), .init(member.version),
                    .init(member.roundTrip.map { "in " + DurationText.brief($0) }),
                ] + (hasProblems ? [.init(member.problem, .bad)] : [])
            })
    }

    private static func text(_ value: JSONValue) -> String {
        switch value {
        case .string(let text): Printable.text(text)
        case .bool(let flag): flag ? "yes" : "no"
        case .null: "-"
        case .object(let object):
            object.members.map { "\($0.name.split(separator: "_").joined(separator: " ")) \(text($0.value))" }.joined(separator: ", ")
        default: Printable.text(JSONWriter.string(value))
        }
    }
}
