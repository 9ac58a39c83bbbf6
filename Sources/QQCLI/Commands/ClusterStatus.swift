import QQCore
import QQNetwork

extension Setup {
    /// `cluster-status`: shows the state of the system itself.
    func clusterStatus() async throws -> Int32 {
        var report = await coordinator.clusterStatus()
        for index in report.members.indices {
            guard let slot = coordinator.slot(named: report.members[index].election) else { continue }
            report.members[index].election = slot.election
            report.members[index].slot = slot
        }
        let endpoints = report.endpoints
        switch output.form {
        case .json: try output.print(json: Schemas.cluster(report, server: server))
        case .plain:
            for endpoint in endpoints { try output.print(record: ClusterText.record(of: endpoint)) }
            for member in report.members { try output.print(record: ClusterText.record(of: member)) }
        case .terminal: for line in ClusterText.lines(report, output) { try output.print(line) }
        }
        if let problem = endpoints.first(where: { !$0.isReachable })?.problem, !endpoints.contains(where: \.isReachable) {
            let hint =
                system.unreachableHint ?? ConnectFailure.hint(problem)
                ?? "check that the URL names the right servers: qq context show --effective"
            throw CoordinationError(.unavailable, "nothing answers", because: problem, at: server.description, hint: hint)
        }
        return endpoints.contains { $0.isReachable && $0.canGrant } ? ExitCode.yes : ExitCode.no
    }
}
