import GRPCCore
import QQCore
import QQEtcd
import SwiftProtobuf
import Synchronization

/// The members of an ``EtcdStore`` as gRPC servers within the test process. Time passes by itself.
package final class SimulatedEtcd: Sendable {
    private struct State {
        var store: EtcdStore
        /// Rings when a stream of watches has answers, by the stream's number.
        var bells: [Int: AsyncStream<Void>.Continuation] = [:]
        var listeners: [GRPCListener] = []
        var patience = EtcdServerError.patience
    }

    private let state: Mutex<State>
    private let clock: SimulatedClock

    /// Starts the members, and waits until they serve.
    /// - Parameters:
    ///   - settings: for the connections of all members.
    ///   - change: prepares the store.
    package static func start(
        _ version: EtcdVersion = .v36, members: Int = 3, _ settings: GRPCServerSettings = GRPCServerSettings(), in sandbox: Sandbox,
        _ change: (inout EtcdStore) -> Void = { _ in }
    ) async throws -> SimulatedEtcd {
        var settings = settings
        // From etcd's source: the transport's limit is half a mebibyte above the request's.
        settings.maximumMessage = EtcdStore.maximumRequest + (512 << 10)
        let clock = SimulatedClock()
        var store = EtcdStore(version, members: members, now: clock.now)
        change(&store)
        let cluster = SimulatedEtcd(store, clock)
        for member in 0..<members {
            let listener = GRPCListener(settings, cluster.services(of: member), in: sandbox)
            cluster.state.withLock { $0.listeners.append(listener) }
            try await listener.start()
            let scheme = listener.usesTLS ? "https://localhost:" : "http://127.0.0.1:"
            cluster.withStore { $0.members[member].clientUrls = [scheme + "\(listener.port)"] }
        }
        let ticker = Task { [weak cluster] in
            while !Task.isCancelled {
                guard let cluster else { return }
                cluster.withStore { _ in }
                // Shorter than the time between events, because tests switch faults on in between.
                try? await Task.sleep(for: .milliseconds(10))
            }
        }
        sandbox.atClose { ticker.cancel() }
        return cluster
    }

    private init(_ store: EtcdStore, _ clock: SimulatedClock) {
        state = Mutex(State(store: store))
        self.clock = clock
    }

    // MARK: Control

    /// Reads the store or switches its faults, at the present time.
    @discardableResult
    package func withStore<Value, Failure: Error>(_ body: (inout EtcdStore) throws(Failure) -> Value) throws(Failure) -> Value {
        let result = state.withLock { state -> Result<Value, Failure> in
            state.store.advance(to: clock.now)
            let result: Result<Value, Failure>
            do throws(Failure) { result = .success(try body(&state.store)) } catch { result = .failure(error) }
            for (stream, bell) in state.bells where state.store.hasAnswers(stream) { bell.yield() }
            return result
        }
        return try result.get()
    }

    /// The members' ports on 127.0.0.1; the same after every restart.
    package var ports: [UInt16] { state.withLock { $0.listeners.map(\.port) } }
    /// `etcd://127.0.0.1:P1,127.0.0.1:P2,127.0.0.1:P3`
    package var url: String { "etcd://" + ports.map { "127.0.0.1:\($0)" }.joined(separator: ",") }
    /// Number of connections that members ever accepted.
    package var connections: Int { state.withLock { $0.listeners.reduce(0) { $0 + $1.connections } } }
    /// How long a member waits for the Raft log, instead of etcd's 7 s.
    package var patience: Duration {
        get { state.withLock { $0.patience } }
        set { state.withLock { $0.patience = newValue } }
    }

    /// Ends a member as SIGKILL does; the others elect a leader if it led.
    package func kill(_ member: Int) async {
        withStore { $0.isolate([member]) }
        await listener(member)?.kill()
    }

    package func restart(_ member: Int) async throws {
        try await listener(member)?.start()
        withStore { store in
            store.join([member])
            store.auth.endTokens()
        }
    }

    /// Closes the connections of all members, which keep listening.
    package func cut() { for listener in state.withLock({ $0.listeners }) { listener.cut() } }

    private func listener(_ member: Int) -> GRPCListener? {
        state.withLock { $0.listeners.indices.contains(member) ? $0.listeners[member] : nil }
    }

    // MARK: Services

    private func services(of member: Int) -> [any RegistrableRPCService] {
        [
            EtcdKVService(cluster: self, member: member), EtcdWatchService(cluster: self, member: member),
            EtcdLeaseService(cluster: self, member: member), EtcdClusterService(cluster: self, member: member),
            EtcdMaintenanceService(cluster: self, member: member), EtcdAuthService(cluster: self, member: member),
        ]
    }

    func caller(_ member: Int, _ metadata: Metadata) -> EtcdStore.Caller {
        func text(_ key: String) -> String? { metadata[stringValues: key].first { _ in true } }
        return EtcdStore.Caller(
            member: member, token: text("token") ?? text("authorization"), hasLeader: text("hasleader") == "true")
    }

    /// Answers a call with one request and one answer.
    func answer<Request: Message, Response: Message>(
        _ request: ServerRequest<Request>, _ member: Int,
        _ body: (inout EtcdStore, Request, EtcdStore.Caller) throws(EtcdServerError) -> Response
    ) async throws -> ServerResponse<Response> {
        let caller = caller(member, request.metadata)
        do throws(EtcdServerError) {
            let response = try withStore { store throws(EtcdServerError) in try body(&store, request.message, caller) }
            return ServerResponse(message: response)
        } catch {
            throw try await failure(error)
        }
    }

    /// Waits as long as a member does before it answers with a failure.
    func failure(_ error: EtcdServerError) async throws -> RPCError {
        if error.after > .zero { try await Task.sleep(for: min(error.after, patience)) }
        return RPCError(code: error.code, message: error.message)
    }

    // MARK: Watches

    /// Opens a stream of watches.
    /// - Returns: the stream's number, and a sequence that has an element whenever there are answers.
    func openWatches(_ caller: EtcdStore.Caller) throws(EtcdServerError) -> (Int, AsyncStream<Void>) {
        let (sequence, bell) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let number = try withStore { store throws(EtcdServerError) in try store.openWatches(caller) }
        state.withLock { $0.bells[number] = bell }
        return (number, sequence)
    }

    func closeWatches(_ number: Int) {
        withStore { $0.closeWatches(number) }
        let bell = state.withLock { $0.bells.removeValue(forKey: number) }
        bell?.finish()
    }
}
