import QQCore
import QQNetwork

extension Context {
    /// `cluster-status`: how the system itself does.
    func clusterStatus() async throws -> Int32 {
        let report = await coordinator.clusterStatus()
        let endpoints = report.endpoints
        switch output.form {
        case .json: try output.print(json: Schemas.cluster(report, server: server))
        case .plain:
            for endpoint in endpoints {
                try output.print(
                    record: [
                        endpoint.endpoint, endpoint.isReachable ? "reachable" : "unreachable",
                        endpoint.roundTrip.map { Rendering.seconds($0) },
                    ] + endpoint.details.map { "\($0.key)=\(Self.text($0.value))" })
            }
            for member in report.members { try output.print(record: record(of: member)) }
        case .terminal:
            for endpoint in endpoints {
                let state = endpoint.isReachable ? output.color("reachable", .good) : output.color("unreachable", .bad)
                try output.print(
                    output.color(endpoint.endpoint, .strong) + "  " + state
                        + (endpoint.roundTrip.map { " in " + DurationText.brief($0) } ?? ""))
                let width = endpoint.details.map(\.key.count).max() ?? 0
                for detail in endpoint.details {
                    let isBad = detail.value == false && ["writable", "locks", "jetstream"].contains(detail.key)
                    let label = detail.key.split(separator: "_").joined(separator: " ")
                    try output.print(
                        "  " + label + String(repeating: " ", count: width - label.count + 2)
                            + output.color(Self.text(detail.value), isBad ? .bad : nil))
                }
            }
            try show(report.members)
        }
        if let problem = endpoints.first(where: { !$0.isReachable })?.problem, !endpoints.contains(where: \.isReachable) {
            let hint =
                server.system == .file
                ? "see that the folder is the right one, and that we may use it: ls -ld DIR"
                : ConnectFailure.hint(problem) ?? "see that the URL names the right servers: qq context show --effective"
            throw CoordinationError(.unavailable, "nothing answers", because: problem, at: server.description, hint: hint)
        }
        return endpoints.contains { $0.isReachable && $0.canGrant } ? ExitCode.yes : ExitCode.no
    }

    /// The first field tells it from an endpoint, which is named there.
    private func record(of member: MemberStatus) -> [String?] {
        [
            "member", member.election, member.id, member.role.rawValue, member.leader, member.epoch.map { String($0) },
            member.uptime.map { Rendering.seconds($0) }, member.version, member.roundTrip.map { Rendering.seconds($0) }, member.problem,
        ]
    }

    private func show(_ members: [MemberStatus]) throws(CoordinationError) {
        guard !members.isEmpty else { return }
        try output.print("")
        let hasProblems = members.contains { $0.problem != nil }
        try output.print(
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
        default: JSONWriter.string(value)
        }
    }
}
