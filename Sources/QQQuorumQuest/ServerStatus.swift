import QQCore
import QQGRPC

extension QuorumQuestCoordinator {
    /// The status of every endpoint: whether it can be reached, the round-trip time, and the services that it offers, by reflection. The
    /// state of its store is not visible.
    public func clusterStatus() async -> ClusterReport {
        await withTaskGroup(of: (Int, EndpointStatus).self) { group in
            for (index, endpoint) in service.endpoints.enumerated() { group.addTask { (index, await self.status(of: endpoint)) } }
            var found: [(Int, EndpointStatus)] = []
            for await status in group { found.append(status) }
            return ClusterReport(endpoints: found.sorted { $0.0 < $1.0 }.map(\.1))
        }
    }

    private func status(of endpoint: any QuorumQuestCalling) async -> EndpointStatus {
        let start = clock.now()
        var status = EndpointStatus(endpoint: endpoint.host.description, isReachable: true, canGrant: true)
        do throws(GRPCFailure) {
            let services = try await endpoint.services(timeout: requestTimeout)
            status.roundTrip = clock.now().duration(since: start)
            status.canGrant = services.contains(QuorumQuestService.name)
            status.details = [.init("services", .array(services.map { .string($0) }))]
            if !status.canGrant { status.problem = "it does not offer \(QuorumQuestService.name)" }
        } catch {
            // A server that answers that it has no reflection is reachable.
            guard error.code == .unimplemented else {
                return EndpointStatus(endpoint: endpoint.host.description, isReachable: false, canGrant: false, problem: error.reason)
            }
            status.roundTrip = clock.now().duration(since: start)
        }
        return status
    }
}
