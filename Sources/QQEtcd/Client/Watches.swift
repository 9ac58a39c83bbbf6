import QQCore
import QQGRPC
import QQNetwork
import Synchronization

/// All watches of the process over one stream, which is opened again at another member when it ends.
final class Watches: Sendable {
    private typealias Stream = GRPCStream<Etcdserverpb_WatchRequest>

    private struct Open {
        var index: Int
        var stream: Stream
        /// Number of the token that it was opened with.
        var token: Int
        var openedAt: BootInstant
        var heardAt: BootInstant
        /// Waits for the first answer.
        var isAnswered: FirstAnswer<Result<Void, EtcdFailure>>
        var hasAnswered = false
    }

    private struct State {
        var table = WatchTable()
        var open: Open?
        /// Whether a task opens a stream.
        var isOpening = false
        var generation: UInt64 = 0
        var readers: [WatchTable.Subscription: AsyncStream<EtcdWatch.Event>.Continuation] = [:]
        var isClosed = false
    }

    private let members: Members
    private let state = Mutex(State())
    /// Number of events that can wait for one reader.
    static let room = 1024
    /// Number of requests that can wait to be written.
    private static let limit = 20_000
    /// Shortest time from one stream to the next.
    private static let pause = Duration.milliseconds(100)

    init(_ members: Members) { self.members = members }

    func watch(_ keys: [EtcdKeys], from revision: Int64) -> EtcdWatch {
        // One more, for the event that tells a slow reader of the loss.
        let (events, reader) = AsyncStream<EtcdWatch.Event>.makeStream(bufferingPolicy: .bufferingOldest(Self.room + 1))
        let subscription = state.withLock { state in
            let (subscription, actions) = state.table.subscribe(keys, from: revision, isOpen: state.open != nil)
            state.readers[subscription] = reader
            _ = send(actions, &state)
            return subscription
        }
        reader.onTermination = { [weak self] _ in self?.unsubscribe(subscription) }
        openIfNeeded(after: nil)
        return EtcdWatch(events)
    }

    private func unsubscribe(_ subscription: WatchTable.Subscription) {
        state.withLock { state in
            state.readers[subscription] = nil
            _ = send(state.table.unsubscribe(subscription, isOpen: state.open != nil), &state)
        }
    }

    /// Sends what is to be sent, in order, and returns the rest. To be called under the lock: the server answers in the order of the table.
    private func send(_ actions: [WatchTable.Action], _ state: inout State) -> [WatchTable.Action] {
        actions.filter { action in
            guard case .send(let request) = action else { return true }
            // A stream that takes no more is stuck. Ending it asks for all watches again on another.
            if let open = state.open, !open.stream.send(request) { cut(&state) }
            return false
        }
    }

    /// Ends the stream under the lock; another is opened by a task.
    private func cut(_ state: inout State) {
        state.open?.stream.cancel()
        state.open = nil
        state.generation += 1
        NetworkThread.eventLoop.execute { [weak self] in self?.openIfNeeded(after: nil) }
    }

    private func deliver(_ actions: [WatchTable.Action]) {
        for action in actions {
            switch action {
            case .send, .logIn: break
            case .deliver(let event, let subscription):
                guard let reader = state.withLock({ $0.readers[subscription] }) else { continue }
                guard case .enqueued(let remaining) = reader.yield(event), remaining <= 1 else { continue }
                reader.yield(.lost(EtcdFailure(.notApplied(retry: .immediately), "changes came faster than they were read")))
                reader.finish()
            case .end(let event, let subscription):
                guard let reader = state.withLock({ $0.readers.removeValue(forKey: subscription) }) else { continue }
                reader.yield(event)
                reader.finish()
            }
        }
    }

    // MARK: The stream

    /// Begins to open a stream, if there is something to watch and none is open.
    /// - Parameter loss: the endpoint at which the last one ended, and when that was opened; nil if there is no reason to avoid it.
    private func openIfNeeded(after loss: (index: Int, openedAt: BootInstant)?) {
        let isNeeded = state.withLock { state in
            guard !state.isClosed, state.open == nil, !state.isOpening, !state.table.isEmpty else { return false }
            state.isOpening = true
            return true
        }
        guard isNeeded else { return }
        Task(executorPreference: NetworkThread.executor) { [weak self, members] in
            if let loss, members.clock.now() < loss.openedAt + .seconds(1) { try? await members.clock.sleep(for: Self.pause) }
            await self?.open(first: loss.map { ($0.index + 1) % members.endpoints.count } ?? members.preferred)
        }
    }

    private func open(first: Int) async {
        var attempts = CallAttempts(first: first, count: members.endpoints.count, isChange: false)
        let outcome: Result<Void, EtcdFailure>
        do throws(EtcdFailure) {
            try await members.attempt(&attempts, only: nil, isAuthenticated: true, by: members.clock.now() + members.options.openTime) {
                (index, token, deadline) throws(EtcdFailure) in
                try await self.open(at: index, token, until: deadline)
            }
            outcome = .success(())
        } catch { outcome = .failure(error) }
        let actions = state.withLock { state -> [WatchTable.Action] in
            state.isOpening = false
            if case .failure(let failure) = outcome { return state.table.failed(failure) }
            return []
        }
        deliver(actions)
        // It might have ended already, while it counted as being opened.
        openIfNeeded(after: nil)
    }

    private func open(at index: Int, _ token: String?, until deadline: BootInstant) async throws(EtcdFailure) {
        let (answer, now) = (FirstAnswer<Result<Void, EtcdFailure>>(), members.clock.now())
        let tokenNumber = members.token.generation
        let generation = state.withLock { state -> UInt64? in
            // Nobody waits any more.
            guard !state.table.isEmpty, !state.isClosed else { return nil }
            state.generation += 1
            let generation = state.generation
            let stream: Stream = members.endpoints[index].open(
                EtcdMethod.watch.descriptor, sending: Etcdserverpb_WatchRequest.self,
                metadata: EtcdMethod.metadata(needsLeader: true, token: token), limit: Self.limit, answerBy: deadline,
                receive: { [weak self] in self?.received($0, generation) }, ended: { [weak self] in self?.ended($0, generation) })
            state.open = Open(index: index, stream: stream, token: tokenNumber, openedAt: now, heardAt: now, isAnswered: answer)
            _ = send(state.table.opened(), &state)
            return generation
        }
        guard let generation else { return }
        let late = EtcdFailure(.unavailable, "no answer in time", at: members.endpoints[index].host.description, wasSent: true)
        // A little later than the stream's own deadline, which knows the reason better.
        let outcome = await members.wait(
            for: answer, until: deadline + .milliseconds(100), late: .failure(late),
            interrupted: .failure(EtcdFailure(.cancelled, "interrupted")))
        if case .failure(let failure) = outcome {
            state.withLock { state in
                guard state.generation == generation else { return }
                state.open?.stream.cancel()
                state.open = nil
            }
            throw failure
        }
        members.answered(index)
    }

    private func received(_ response: Etcdserverpb_WatchResponse, _ generation: UInt64) {
        var actions: [WatchTable.Action] = []
        var answer: (to: FirstAnswer<Result<Void, EtcdFailure>>, Result<Void, EtcdFailure>)?
        var loss: (index: Int, openedAt: BootInstant)?
        state.withLock { state in
            guard state.generation == generation, let open = state.open else { return }
            state.open?.heardAt = members.clock.now()
            actions = send(state.table.received(response, at: open.stream.endpoint), &state)
            if case .logIn(let failure)? = actions.first {
                members.tokenRefused(open.token)
                guard open.hasAnswered else {
                    answer = (open.isAnswered, .failure(failure))
                    return
                }
                open.stream.cancel()
                (state.open, loss) = (nil, (open.index, open.openedAt))
                state.generation += 1
            } else if !open.hasAnswered {
                state.open?.hasAnswered = true
                answer = (open.isAnswered, .success(()))
            }
        }
        if let answer { answer.to.give(answer.1) }
        deliver(actions)
        if let loss { openIfNeeded(after: loss) }
    }

    private func ended(_ failure: GRPCFailure, _ generation: UInt64) {
        let meant = EtcdFailure(failure)
        let open = state.withLock { state -> Open? in
            guard state.generation == generation else { return nil }
            defer { state.open = nil }
            return state.open
        }
        guard let open else { return }
        if meant.meaning == .authTokenInvalid { members.tokenRefused(open.token) }
        if !failure.isAnswer { members.failed(open.index, since: open.hasAnswered ? members.clock.now() : open.openedAt) }
        open.isAnswered.give(.failure(meant))
        if open.hasAnswered { openIfNeeded(after: (open.index, open.openedAt)) }
    }

    /// Ends a stream at an endpoint that has not answered a call, and nothing on the stream since that began. The watches go on elsewhere.
    func isSilent(_ index: Int, since began: BootInstant) {
        state.withLock { state in
            guard let open = state.open, open.index == index, open.hasAnswered, open.heardAt < began else { return }
            cut(&state)
        }
    }

    func close() {
        let readers = state.withLock { state in
            defer { (state.table, state.readers, state.open) = (WatchTable(), [:], nil) }
            state.isClosed = true
            state.generation += 1
            state.open?.stream.cancel()
            return state.readers
        }
        for reader in readers.values {
            reader.yield(.lost(EtcdFailure(.cancelled, "the client is closed")))
            reader.finish()
        }
    }
}
