import GRPCCore
import QQQuorumQuest
import SwiftProtobuf
import Synchronization

/// A Quorum Quest server within the process of the tests, that answers as the real one was recorded to, with switches for what can go wrong.
public final class QuorumQuestServer: Sendable {
    /// How the store behind the server does.
    public enum Store: Sendable {
        case alive
        /// Every answer is a failure in disguise, after so long.
        case dead(after: Duration = .milliseconds(80))
        /// The same, much later; and what was asked for is done when the store lives again.
        case hung(acquire: Duration = .seconds(6), others: Duration = .seconds(3))
    }

    public static let service = Quorum_Quest_Api_V1_LeaderElectionService.descriptor.fullyQualifiedService

    private let store = QuorumQuestStore()
    private let log: QuorumQuestLog
    private let listener: GRPCListener

    /// Starts a server, and waits until it serves.
    /// - Parameters:
    ///   - defaultTTL: seconds that a lease lasts when a client asks for none.
    ///   - reflects: whether it tells its services by reflection.
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

    // MARK: What it is

    /// The port on 127.0.0.1; the same after every restart.
    public var port: UInt16 { listener.port }
    /// `qq://127.0.0.1:PORT`, or `qqs://localhost:PORT`: the name that the certificate has.
    public var url: String { listener.usesTLS ? "qqs://localhost:\(port)" : "qq://127.0.0.1:\(port)" }
    public var isRunning: Bool { listener.isRunning }
    /// How many connections it was ever sent.
    public var connections: Int { listener.connections }
    public var calls: GRPCCalls { log.state.withLock(\.calls) }

    /// Who holds an election.
    public func holder(_ service: String, _ domain: String = "production") -> String? {
        store.lease(QuorumQuestStore.key(service, domain))?.holder
    }

    /// How long an election is still held.
    public func remaining(_ service: String, _ domain: String = "production") -> Duration? {
        store.lease(QuorumQuestStore.key(service, domain)).map { $0.end - .now }
    }

    // MARK: What is done to it

    /// Starts it again, on its port and with what the store has; `change` alters its settings first.
    public func start(_ change: (inout GRPCServerSettings) -> Void = { _ in }) async throws {
        listener.change(change)
        try await listener.start()
    }

    /// All connections are cut at once, and the port refuses.
    public func kill() async { await listener.kill() }

    /// As at SIGTERM: calls that run are answered, then it ends.
    public func stop() async { await listener.stop() }

    /// Cuts all connections; new ones are taken.
    public func cutConnections() { listener.cut() }

    public func setStore(_ condition: Store) { store.set(condition) }

    /// What goes wrong with calls from now on.
    public func change(_ change: (inout GRPCCallFaults) -> Void) { log.state.withLock { change(&$0.faults) } }

    /// Gives an election to somebody, past the server and whoever holds it.
    public func grant(_ service: String, _ domain: String = "production", to id: String, for ttl: Duration) {
        store.write(QuorumQuestStore.key(service, domain), .init(holder: id, end: .now + ttl))
    }

    /// Takes an election from whoever holds it, past the server.
    public func forget(_ service: String, _ domain: String = "production") { store.write(QuorumQuestStore.key(service, domain), nil) }
}

/// What was called, and what is to go wrong with it.
final class QuorumQuestLog: Sendable {
    struct State {
        var calls = GRPCCalls()
        var faults = GRPCCallFaults()
    }

    let state = Mutex(State())

    /// Counts a call and carries it out, with the faults of the moment.
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

/// The three methods. None of them ever answers with an error.
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
