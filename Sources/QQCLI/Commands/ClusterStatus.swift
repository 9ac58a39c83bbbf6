import QQCore

extension Context {
    /// `cluster-status`: how the system itself does.
    func clusterStatus() async throws -> Int32 {
        let endpoints = await coordinator.clusterStatus()
        switch output.form {
        case .json: try output.print(json: Schemas.cluster(endpoints, server: server))
        case .plain:
            for endpoint in endpoints {
                try output.print(
                    record: [
                        endpoint.endpoint, endpoint.isReachable ? "reachable" : "unreachable",
                        endpoint.roundTrip.map { Rendering.seconds($0) },
                    ] + endpoint.details.map { "\($0.key)=\(Self.text($0.value))" })
            }
        case .terminal:
            for endpoint in endpoints {
                let state = endpoint.isReachable ? output.color("reachable", .good) : output.color("unreachable", .bad)
                try output.print(
                    output.color(endpoint.endpoint, .strong) + "  " + state
                        + (endpoint.roundTrip.map { " in " + DurationText.brief($0) } ?? ""))
                let width = endpoint.details.map(\.key.count).max() ?? 0
                for detail in endpoint.details {
                    let isBad = detail.value == false && ["writable", "locks"].contains(detail.key)
                    let label = detail.key.split(separator: "_").joined(separator: " ")
                    try output.print(
                        "  " + label + String(repeating: " ", count: width - label.count + 2)
                            + output.color(Self.text(detail.value), isBad ? .bad : nil))
                }
            }
        }
        if let problem = endpoints.first(where: { !$0.isReachable })?.problem, !endpoints.contains(where: \.isReachable) {
            throw CoordinationError(.unavailable, "nothing answers", because: problem, at: server.description)
        }
        return endpoints.contains { $0.isReachable && $0.canGrant } ? ExitCode.yes : ExitCode.no
    }

    private static func text(_ value: JSONValue) -> String {
        switch value {
        case .string(let text): Printable.text(text)
        case .bool(let flag): flag ? "yes" : "no"
        default: JSONWriter.string(value)
        }
    }
}
