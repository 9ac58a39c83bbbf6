import GRPCCore
import GRPCNIOTransportHTTP2Posix
import GRPCProtobuf
import NIOPosix
import QQCore
import QQGRPC
import QQLoop
import QQQuorumQuest
import QQRaftLock
import SwiftProtobuf

private let cyclesOfARound = 200
private let rounds = 30
private let ttl: Duration = .seconds(60)
private let requestTimeout: Duration = .seconds(5)

/// A way to acquire and release a lease a given number of times.
private struct Way {
    var name: String
    var cycles: @Sendable (Int) async throws -> Void
}

/// Prints, for each round, the average nanoseconds that a cycle of acquire and release took: `NAME NANOSECONDS NAME NANOSECONDS …`. The
/// ways take turns.
func measureCycles(_ server: ServerURL) async throws {
    let loop = try MainLoop()
    let result = loop.run { () async -> Result<Void, any Error> in
        do {
            let ways = try ways(server, loop)
            for round in -2..<rounds {
                var line: [String] = []
                for way in ways {
                    let start = loop.now()
                    try await way.cycles(cyclesOfARound)
                    line += [way.name, "\(loop.now().duration(since: start).nanoseconds / Int64(cyclesOfARound))"]
                }
                // The first rounds connect.
                if round >= 0 { say(line.joined(separator: " ")) }
            }
            return .success(())
        } catch { return .failure(error) }
    }
    try result?.get()
}

private func ways(_ server: ServerURL, _ loop: MainLoop) throws -> [Way] {
    let coordinator: any Coordinator =
        server.system == .raftLock
        ? RaftLockCoordinator(
            server: server, settings: GRPCSettings(), clock: loop, executor: loop, requestTimeout: requestTimeout, priority: 0,
            followsRedirects: false)
        : QuorumQuestCoordinator(
            server: server, settings: GRPCSettings(), clock: loop, requestTimeout: requestTimeout, saved: { _ in nil })
    let identity = Identity.generated()
    return [
        Way(name: "qq") { count in
            for _ in 0..<count {
                guard case .granted(let grant, _) = try await coordinator.acquire(.init(name: "cycle", identity: identity, ttl: ttl)),
                    case .released = try await coordinator.release(grant)
                else { throw RPCError(code: .unknown, message: "not granted, or not released") }
            }
        },
        // The same requests: qq releases nothing without a KeepAlive that shows whether the lease is its own.
        try bare("same", server, confirms: true),
        try bare("two", server, confirms: false),
    ]
}

/// The same calls with grpc-swift alone, on the threads of Swift's own executor.
private func bare(_ name: String, _ server: ServerURL, confirms: Bool) throws -> Way {
    // The test cluster's second node leads.
    let host = server.hosts[server.system == .raftLock ? 1 : 0]
    let transport = try HTTP2ClientTransport.Posix(
        target: .ipv4(address: host.name, port: host.port ?? 0), transportSecurity: .plaintext,
        config: .defaults { $0.connection.flushCoalescing = nil }, eventLoopGroup: MultiThreadedEventLoopGroup(numberOfThreads: 1))
    let client = GRPCClient(transport: transport)
    Task(executorPreference: globalConcurrentExecutor) { try await client.runConnections() }
    var options = CallOptions.defaults
    options.timeout = requestTimeout
    let caller = Caller(client: client, identity: name, options: options, confirms: confirms)
    let cycle = server.system == .raftLock ? caller.raftLockCycle : caller.quorumQuestCycle
    return Way(name: name) { count in
        try await Task(executorPreference: globalConcurrentExecutor) { for _ in 0..<count { try await cycle() } }.value
    }
}

private struct Caller: Sendable {
    let client: GRPCClient<HTTP2ClientTransport.Posix>
    let identity: String
    let options: CallOptions
    let confirms: Bool

    @Sendable func quorumQuestCycle() async throws {
        let service = "quorum.quest.api.v1.LeaderElectionService"
        var acquire = Quorum_Quest_Api_V1_TryAcquireLockRequest()
        (acquire.service, acquire.domain, acquire.clientID, acquire.ttl) = (identity, "production", identity, Int32(ttl.components.seconds))
        let acquired: Quorum_Quest_Api_V1_TryAcquireLockResponse = try await call(service, "TryAcquireLock", acquire)
        guard acquired.isLeader else { throw RPCError(code: .unknown, message: "not granted") }
        if confirms {
            var keepAlive = Quorum_Quest_Api_V1_KeepAliveRequest()
            (keepAlive.service, keepAlive.domain, keepAlive.clientID, keepAlive.ttl) = (identity, "production", identity, 1)
            let _: Quorum_Quest_Api_V1_KeepAliveResponse = try await call(service, "KeepAlive", keepAlive)
        }
        var release = Quorum_Quest_Api_V1_ReleaseLockRequest()
        (release.service, release.domain, release.clientID) = (identity, "production", identity)
        let _: Quorum_Quest_Api_V1_ReleaseLockResponse = try await call(service, "ReleaseLock", release)
    }

    @Sendable func raftLockCycle() async throws {
        var acquire = Raftlock_AcquireRequest()
        (acquire.lockID, acquire.clientID) = (identity, identity)
        acquire.ttl = Google_Protobuf_Duration(seconds: ttl.components.seconds, nanos: 0)
        let acquired: Raftlock_AcquireResponse = try await call("raftlock.RaftLock", "Acquire", acquire)
        guard acquired.acquired else { throw RPCError(code: .unknown, message: "not granted") }
        var release = Raftlock_ReleaseRequest()
        (release.lockID, release.clientID, release.version) = (identity, identity, acquired.lock.version)
        let _: Raftlock_ReleaseResponse = try await call("raftlock.RaftLock", "Release", release)
    }

    private func call<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ service: String, _ method: String, _ request: Request
    ) async throws -> Response {
        try await client.unary(
            request: ClientRequest(message: request),
            descriptor: MethodDescriptor(fullyQualifiedService: service, method: method, type: .unary),
            serializer: ProtobufSerializer<Request>(), deserializer: ProtobufDeserializer<Response>(), options: options
        ) { try $0.message }
    }
}
