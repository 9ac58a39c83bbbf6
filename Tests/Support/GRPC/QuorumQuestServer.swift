import GRPCCore
import QQQuorumQuest
import SwiftProtobuf
import Synchronization

/// A Quorum Quest server within the test process. It answers like the recordings of the real one, and faults can be switched on.
public final class QuorumQuestServer: Sendable {
    /// Condition of the store behind the server.
    public enum Store: Sendable {
        case alive
        /// Every request fails after this time, which the answers do not show.
        case dead(after: Duration = .milliseconds(80))
        /// As `dead`, but much later; and the requests are carried out when the store recovers.
        case hung(acquire: Duration = .seconds(6), others: Duration = .seconds(3))
    }

    public static let service = Quorum_Quest_Api_V1_LeaderElectionService.descriptor.fullyQualifiedService

    private let store = QuorumQuestStore()
    private let log: QuorumQuestLog
    private let listener: GRPCListener

    /// Starts a server, and waits until it serves.
    /// - Parameters:
    ///   - defaultTTL: TTL in seconds of a lease for which the client gives none.
    ///   - reflects: whether the server lists its services by reflection.
    public static func start(
        _ settings: GRPCServerSettings = GRPCServerSettings(), defaultTTL: Int32 = 15, reflects: Bool = true, in sandbox: Sandbox
    ) async throws -> QuorumQuestServer {
        let server = QuorumQuestServer(settings, defaultTTL, reflects, in: sandbox)
        try await server.start()
        return server
    }

    private init(_ settings: GRPCServerSettings, _ defaultTTL: Int32, _ reflects: Bool, in sandbox: Sandbox) {
        log = QuorumQuestLog()
        let election = QuorumQuestElection(store: store, log: log, defaultTTL: defaultTTL)
        listener = GRPCListener(
            settings, [election] + (reflects ? [ReflectionService(services: [Self.service])] : []), in: sandbox)
    }

    // MARK: State

    /// The port on 127.0.0.1; the same after every restart.
    public var port: UInt16 { listener.port }
    /// `qq://127.0.0.1:PORT`, or `qqs://localhost:PORT`: the name that the certificate has.
    public var url: String { listener.usesTLS ? "qqs://localhost:\(port)" : "qq://127.0.0.1:\(port)" }
    public var isRunning: Bool { listener.isRunning }
    /// Number of connections that were ever accepted.
    public var connections: Int { listener.connections }
    public var calls: GRPCCalls { log.state.withLock { $0.calls } }

    /// The holder of an election.
    public func holder(_ service: String, _ domain: String = "production") -> String? {
        store.lease(QuorumQuestStore.key(service, domain))?.holder
    }

    /// Remaining time of the lease of an election.
    public func remaining(_ service: String, _ domain: String = "production") -> Duration? {
        store.lease(QuorumQuestStore.key(service, domain)).map { $0.end - .now }
    }

    // MARK: Control

    /// Starts the server again, on its port and with the contents of its store. `change` alters its settings first.
    public func start(_ change: (inout GRPCServerSettings) -> Void = { _ in }) async throws {
        listener.change(change)
        try await listener.start()
    }

    /// Cuts all connections immediately. The port refuses new ones.
    public func kill() async { await listener.kill() }

    /// Ends the server as SIGTERM does, after running calls have been answered.
    public func stop() async { await listener.stop() }

    /// Cuts all connections. New ones are accepted.
    public func cutConnections() { listener.cut() }

    public func setStore(_ condition: Store) { store.set(condition) }

    /// Changes the faults of calls from now on.
    public func change(_ change: (inout GRPCCallFaults) -> Void) { log.state.withLock { change(&$0.faults) } }

    /// Grants an election to a client in the store, bypassing the server and regardless of the present holder.
    public func grant(_ service: String, _ domain: String = "production", to id: String, for ttl: Duration) {
        store.write(QuorumQuestStore.key(service, domain), .init(holder: id, end: .now + ttl))
    }

    /// Removes the lease of an election from the store, bypassing the server.
    public func forget(_ service: String, _ domain: String = "production") { store.write(QuorumQuestStore.key(service, domain), nil) }
}

/// The calls that a server received, and the faults that befall them.
final class QuorumQuestLog: Sendable {
    struct State {
        var calls = GRPCCalls()
        var faults = GRPCCallFaults()
    }

    let state = Mutex(State())

    /// Counts a call and carries it out, with the present faults.
    func serve<Answer: Sendable>(
        _ method: String, by id: String, _ context: ServerContext, _ body: () async -> Answer
    ) async throws -> Answer {
        let isRefused = state.withLock { state in
            state.calls.count(method, by: id)
            return GRPCCallFaults.take(&state.faults.unavailable, method)
        }
        if isRefused { throw RPCError(code: .unavailable, message: "the server is out of service") }
        let answer = await body()
        let (isLost, delay) = state.withLock { (GRPCCallFaults.take(&$0.faults.lost, method), $0.faults.delay) }
        if isLost { try await context.neverAnswer() }
        if delay > .zero { try await Task.sleep(for: delay) }
        return answer
    }
}

/// The three methods of the service. None of them ever answers with an error.
private struct QuorumQuestElection: Quorum_Quest_Api_V1_LeaderElectionService.SimpleServiceProtocol {
    let store: QuorumQuestStore
    let log: QuorumQuestLog
    let defaultTTL: Int32

    func tryAcquireLock(
        request: Quorum_Quest_Api_V1_TryAcquireLockRequest, context: ServerContext
    ) async throws -> Quorum_Quest_Api_V1_TryAcquireLockResponse {
        try await log.serve("TryAcquireLock", by: request.clientID, context) {
            var response = Quorum_Quest_Api_V1_TryAcquireLockResponse()
            let key = QuorumQuestStore.key(request.service, request.domain)
            response.isLeader = await store.perform(.acquire(ttl: ttl(request.ttl)), key, request.clientID)
            return response
        }
    }

    func releaseLock(
        request: Quorum_Quest_Api_V1_ReleaseLockRequest, context: ServerContext
    ) async throws -> Quorum_Quest_Api_V1_ReleaseLockResponse {
        try await log.serve("ReleaseLock", by: request.clientID, context) {
            _ = await store.perform(.release, QuorumQuestStore.key(request.service, request.domain), request.clientID)
            return Quorum_Quest_Api_V1_ReleaseLockResponse()
        }
    }

    func keepAlive(
        request: Quorum_Quest_Api_V1_KeepAliveRequest, context: ServerContext
    ) async throws -> Quorum_Quest_Api_V1_KeepAliveResponse {
        try await log.serve("KeepAlive", by: request.clientID, context) {
            var response = Quorum_Quest_Api_V1_KeepAliveResponse()
            let key = QuorumQuestStore.key(request.service, request.domain)
            let isKept = await store.perform(.keepAlive(ttl: ttl(request.ttl)), key, request.clientID)
            response.leaseLength = Google_Protobuf_Duration(seconds: isKept ? Int64(ttl(request.ttl)) : -1)
            return response
        }
    }

    private func ttl(_ wanted: Int32) -> Int32 { wanted > 0 ? wanted : defaultTTL }
}
