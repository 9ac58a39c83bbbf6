internal import QQCore

extension Election {
    /// - Parameter lease: the lease of this process, if it has one.
    func readLeader(lease: Lease?) async throws(ElectionError) -> Leader? {
        let coordinator = system.coordinator
        do throws(CoordinationError) {
            try coordinator.capabilities.require(.readLeader, for: "read who leads \(name)", at: coordinator.server)
            let state = try await withTaskExecutorPreference(system.executor) { () throws(CoordinationError) in
                try await options.retry.applied(to: system.retry).retrying(on: system.clock, report: { _, _ in }) {
                    () throws(CoordinationError) in try await coordinator.read(name)
                }
            }
            guard var leader = Leader(state, identity: identity) else { return nil }
            if let lease, lease.isHeld, state.isTerm(of: lease.term.grant) { leader.isUs = true }
            return leader
        } catch {
            var error = ElectionError(error)
            // The core's hints for what a system cannot do are flags of the command line.
            if error.kind == .unsupported { error.hint = nil }
            throw error
        }
    }
}
