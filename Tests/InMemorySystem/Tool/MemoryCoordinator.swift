#if DEBUG
    import QQCore
    import Synchronization

    /// Elections in the memory of this process. There is one store for all coordinators, as there is one server for all clients.
    struct MemoryCoordinator: Coordinator, ElectionLister {
        let server: ServerURL
        let shelf: String
        let clock: any LeaseClock
        static let capabilities = Capabilities(lacking: [
            .priority: "memory has no queue", .askNodeToStepDown: "memory has no nodes", .cancelWait: "memory has no queue",
            .backoffAdvice: "memory gives no advice", .members: "memory has no members", .waiterCount: "memory has no queue",
            .note: "memory carries no note",
        ])
        var capabilities: Capabilities { Self.capabilities }

        private struct Record: Sendable {
            var holder: String?
            var token: UInt64
            var ttl: Duration
            var deadline: BootInstant
            var acquiredAt: WallTime
        }

        private static let records = Mutex<[String: Record]>([:])

        private var prefix: String { "\(shelf)\(server.path)/" }

        func validate(name: String, identity: String, ttl: Duration) throws(CoordinationError) {
            guard !name.isEmpty, name.utf8.allSatisfy({ UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 }) else {
                throw CoordinationError(
                    .usage, "cannot use the name \(Printable.text(name))", because: "a name in memory has small letters only",
                    at: server.description, hint: "write it with a to z")
            }
        }

        func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
            let now = clock.now()
            let granted: Record? = Self.records.withLock { records in
                let found = records[prefix + request.name]
                let isOurs = found?.holder == request.identity
                if let found, found.holder != nil, found.deadline > now, !isOurs { return nil }
                let record = Record(
                    holder: request.identity, token: (found?.token ?? 0) + 1, ttl: request.ttl, deadline: now + request.ttl,
                    acquiredAt: .now())
                records[prefix + request.name] = record
                return record
            }
            guard let granted else { return .refused(state(request.name)) }
            return .granted(grant(request.name, granted), nil)
        }

        func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer {
            let deadline = clock.now() + grant.ttl
            let isOurs = change(grant) { $0.deadline = deadline }
            return isOurs ? .renewed(grant.extended(to: deadline)) : .lost(state(grant.name))
        }

        func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer {
            change(grant) { $0.holder = nil } ? .released : .notHeld(state(grant.name))
        }

        func read(_ name: String) async throws(CoordinationError) -> ElectionState { state(name) }

        func list(_ filter: ElectionFilter) async throws(CoordinationError) -> [ElectionState] {
            Self.records.withLock { $0.keys }.filter { $0.hasPrefix(prefix) }.sorted().map { state(String($0.dropFirst(prefix.count))) }
        }

        func waitForTurn(
            _ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant
        ) async throws(CoordinationError) {
            while state(request.name).isLed, clock.now() < deadline {
                guard (try? await clock.sleep(for: .milliseconds(5))) != nil else { return }
            }
        }

        func leaveQueue(_ request: AcquireRequest) async -> CoordinationError? { nil }

        func changes(of names: [String], withRenewals: Bool) -> AsyncThrowingStream<ElectionState, any Error> {
            AsyncThrowingStream { continuation in
                let task = Task {
                    var shown: [String: ElectionState] = [:]
                    while !Task.isCancelled {
                        for state in names.map({ self.state($0) }) where shown[state.name]?.isAlike(state) != true {
                            shown[state.name] = state
                            continuation.yield(state)
                        }
                        try await clock.sleep(for: .milliseconds(5))
                    }
                }
                continuation.onTermination = { _ in task.cancel() }
            }
        }

        func askToStepDown(
            _ state: ElectionState, by identity: String, byForce: Bool
        ) async throws(CoordinationError) -> StepDownAnswer {
            Self.records.withLock { $0[prefix + state.name]?.holder = nil }
            return .done
        }

        func clusterStatus() async -> ClusterReport {
            let count = Self.records.withLock { $0.count }
            return ClusterReport(endpoints: [
                EndpointStatus(
                    endpoint: server.description, isReachable: true, canGrant: true, roundTrip: .zero,
                    details: [.init("elections_kept", .integer(Int64(count)))])
            ])
        }

        /// Changes the record of a lease, if it is the grant's.
        private func change(_ grant: Grant, _ body: (inout Record) -> Void) -> Bool {
            let now = clock.now()
            return Self.records.withLock { records in
                guard var record = records[prefix + grant.name], record.holder == grant.identity, record.token == grant.token?.value,
                    record.deadline > now
                else { return false }
                body(&record)
                records[prefix + grant.name] = record
                return true
            }
        }

        private func state(_ name: String) -> ElectionState {
            let now = clock.now()
            guard let record = Self.records.withLock({ $0[prefix + name] }), let holder = record.holder else {
                return ElectionState(name: name, phase: .free)
            }
            var state = ElectionState(name: name, phase: record.deadline > now ? .held : .expired)
            state.leader = holder
            state.token = FencingToken(record.token)
            state.termID = "term-\(record.token)"
            state.acquiredAt = record.acquiredAt
            state.ttl = record.ttl
            state.remaining = max(record.deadline.duration(since: now), .zero)
            return state
        }

        private func grant(_ name: String, _ record: Record) -> Grant {
            Grant(
                name: name, identity: record.holder ?? "", token: FencingToken(record.token), termID: "term-\(record.token)",
                ttl: record.ttl, deadline: record.deadline, acquiredAt: record.acquiredAt, expiresAt: record.acquiredAt + record.ttl)
        }
    }
#endif
