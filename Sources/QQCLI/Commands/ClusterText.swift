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
        ]
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
            + endpoint.details.map { detail in
                let isBad = detail.value == false && ["writable", "locks", "jetstream"].contains(detail.key)
                let label = detail.key.split(separator: "_").joined(separator: " ")
                return "  " + label + String(repeating: " ", count: max(width - label.count, 0) + 2)
                    + output.color(text(detail.value), isBad ? .bad : nil)
            }
    }

    private static func lines(_ members: [MemberStatus], _ output: Output) -> [String] {
        let hasProblems = members.contains { $0.problem != nil }
        return output.lines(
            table: ["MEMBER", "ELECTION", "ROLE", "LEADER", "EPOCH", "UPTIME", "VERSION", "ANSWERS"] + (hasProblems ? ["PROBLEM"] : []),
            members.map { member in
                let role: Output.Cell =
                    switch member.role {
                    case .leader: .init("leads", .good)
                    case .follower: .init("follows")
                    case .unknown: .init("unknown", .warning)
                    }
                return [
                    .init(member.id, .strong), .init(member.election), role, .init(member.leader), .init(member.epoch.map { String($0) }),
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
        default: Printable.text(JSONWriter.string(value))
        }
    }
}
