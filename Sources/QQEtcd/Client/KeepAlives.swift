import QQCore
import QQGRPC
import Synchronization

/// Keep-alives for all leases of the process over one stream. Keep-alives that are sent while others are being written go out with them.
final class KeepAlives: Sendable {
    private typealias Stream = GRPCStream<Etcdserverpb_LeaseKeepAliveRequest>
    private typealias Outcome = Result<EtcdRenewal, EtcdFailure>

    private struct Open {
        var index: Int
        /// nil until `open` has returned.
        var stream: Stream?
    }

    private struct State {
        var table = KeepAliveTable()
        var open: Open?
        /// Counts the streams: reports about earlier ones are ignored.
        var generation: UInt64 = 0
        var waiting: [KeepAliveTable.RequestID: FirstAnswer<Outcome>] = [:]
    }

    private let members: Members
    private let state = Mutex(State())
    /// Number of requests that can wait to be written.
    private static let limit = 20_000

    init(_ members: Members) { self.members = members }

    /// Renews a lease. Tries at one member after another until the deadline.
    /// - Parameter term: the lowest Raft term in which an answer counts.
    func renew(_ lease: Int64, atLeast term: UInt64, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdRenewal {
        var attempts = CallAttempts(first: members.preferred, count: members.endpoints.count, isChange: false)
        return try await members.attempt(&attempts, only: nil, isAuthenticated: true, by: deadline) {
            (index, token, tryDeadline) throws(EtcdFailure) in
            do throws(EtcdFailure) { return try await self.ask(lease, at: index, token, atLeast: term, until: tryDeadline) } catch {
                // The answer to one lease's request ends the stream of all. Alone it concerns this lease.
                guard error.meaning == .denied else { throw error }
                return try await self.askAlone(lease, at: index, token, atLeast: term, until: tryDeadline)
            }
        }
    }

    /// Asks over the stream that is open, or opens one.
    private func ask(
        _ lease: Int64, at index: Int, _ token: String?, atLeast term: UInt64, until deadline: BootInstant
    ) async throws(EtcdFailure) -> EtcdRenewal {
        let (answer, began) = (FirstAnswer<Outcome>(), members.clock.now())
        let (request, generation, place, isSent, idle) = state.withLock { state in
            // Another member has answered a call since. That of the stream might be cut off from the others, and answer keep-alives all the same.
            var idle: Stream?
            if let open = state.open, open.index != index, state.waiting.isEmpty {
                (idle, state.open) = (open.stream, nil)
                state.table.reset()
            }
            let open = state.open ?? begin(&state, at: index, token, until: deadline)
            let request = state.table.sent(lease)
            state.waiting[request] = answer
            return (request, state.generation, open.index, open.stream?.send(.with { $0.id = lease }) ?? false, idle)
        }
        idle?.cancel()
        defer { state.withLock { $0.waiting[request] = nil } }
        if !isSent { end(generation, EtcdFailure(.notApplied(retry: .afterPause), "too many keep-alives are waiting"), cut: true) }
        let late = EtcdFailure(
            .mayHaveBeenApplied, "no answer in time", at: members.endpoints[place].host.description, wasSent: true)
        let outcome = await members.wait(
            for: answer, until: deadline, late: .failure(late), interrupted: .failure(EtcdFailure(.cancelled, "interrupted")))
        switch outcome {
        case .success(let renewal):
            if let outdated = Self.outdated(renewal, term, at: members.endpoints[place].host) {
                members.failed(place, since: members.clock.now())
                end(generation, outdated, cut: true)
                throw outdated
            }
            members.answered(place)
            return renewal
        case .failure(let failure):
            if failure == late {
                members.failed(place, since: began)
                end(generation, late, cut: true)
            }
            throw failure
        }
    }

    /// Why an answer does not count: the member that gave it still believes in a leader that has a successor.
    private static func outdated(_ renewal: EtcdRenewal, _ term: UInt64, at host: ServerURL.Host) -> EtcdFailure? {
        guard case .renewed(_, let answered) = renewal, answered < term else { return nil }
        return EtcdFailure(
            .notApplied(retry: .immediately), "the member does not know of the cluster's new leader", at: host.description, wasSent: true)
    }

    /// Opens a stream. Its callbacks come later, from the network's thread or after the lock.
    private func begin(_ state: inout State, at index: Int, _ token: String?, until deadline: BootInstant) -> Open {
        state.generation += 1
        let generation = state.generation
        let stream: Stream = open(
            at: index, token, until: deadline,
            receive: { [weak self] in self?.received($0, generation) }, ended: { [weak self] in self?.ended($0, generation, at: index) })
        let open = Open(index: index, stream: stream)
        state.open = open
        return open
    }

    private func open(
        at index: Int, _ token: String?, until deadline: BootInstant,
        receive: @escaping @Sendable (Etcdserverpb_LeaseKeepAliveResponse) -> Void, ended: @escaping @Sendable (GRPCFailure) -> Void
    ) -> Stream {
        members.endpoints[index].open(
            EtcdMethod.keepAlive.descriptor, sending: Etcdserverpb_LeaseKeepAliveRequest.self,
            metadata: EtcdMethod.metadata(needsLeader: true, token: token), limit: Self.limit, answerBy: deadline, receive: receive,
            ended: ended)
    }

    private func received(_ response: Etcdserverpb_LeaseKeepAliveResponse, _ generation: UInt64) {
        let answer = state.withLock { state in
            guard generation == state.generation, let request = state.table.answered(response.id) else {
                return nil as FirstAnswer<Outcome>?
            }
            return state.waiting[request]
        }
        answer?.give(.success(EtcdRenewal(response)))
    }

    private func ended(_ failure: GRPCFailure, _ generation: UInt64, at index: Int) {
        if !failure.isAnswer { members.failed(index, since: members.clock.now()) }
        end(generation, EtcdFailure(failure), cut: false)
    }

    /// Ends a stream, unless another is open by now. All requests that wait for it fail.
    private func end(_ generation: UInt64, _ failure: EtcdFailure, cut: Bool) {
        let (waiting, stream) = state.withLock { state -> ([FirstAnswer<Outcome>], Stream?) in
            guard generation == state.generation, state.open != nil else { return ([], nil) }
            defer { (state.open, state.waiting) = (nil, [:]) }
            state.generation += 1
            state.table.reset()
            return (Array(state.waiting.values), state.open?.stream)
        }
        if cut { stream?.cancel() }
        for answer in waiting { answer.give(.failure(failure)) }
    }

    /// Asks over a stream of its own.
    private func askAlone(
        _ lease: Int64, at index: Int, _ token: String?, atLeast term: UInt64, until deadline: BootInstant
    ) async throws(EtcdFailure) -> EtcdRenewal {
        let answer = FirstAnswer<Outcome>()
        let stream = open(
            at: index, token, until: deadline, receive: { if $0.id == lease { answer.give(.success(EtcdRenewal($0))) } },
            ended: { answer.give(.failure(EtcdFailure($0))) })
        defer { stream.cancel() }
        _ = stream.send(.with { $0.id = lease })
        let renewal = try await members.wait(
            for: answer, until: deadline,
            late: .failure(EtcdFailure(.mayHaveBeenApplied, "no answer in time", at: stream.endpoint, wasSent: true)),
            interrupted: .failure(EtcdFailure(.cancelled, "interrupted"))
        ).get()
        if let outdated = Self.outdated(renewal, term, at: members.endpoints[index].host) { throw outdated }
        return renewal
    }

    func close() {
        let generation = state.withLock { $0.generation }
        end(generation, EtcdFailure(.cancelled, "interrupted"), cut: true)
    }
}

extension EtcdRenewal {
    package init(_ response: Etcdserverpb_LeaseKeepAliveResponse) {
        self = response.ttl > 0 ? .renewed(seconds: response.ttl, term: response.header.raftTerm) : .gone
    }
}
