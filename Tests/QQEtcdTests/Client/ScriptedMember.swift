import FoundationEssentials
import GRPCCore
import GRPCProtobuf
import QQCore
import QQGRPC
import SwiftProtobuf
import Synchronization

@testable import QQEtcd
@testable import Support

/// A member of a cluster that answers as the test says, over gRPC. It keeps no keys.
final class ScriptedMember: Sendable {
    struct Call: Sendable, Hashable {
        var method: EtcdMethod
        var token: String?
        var hasLeader: Bool
    }

    struct Script: Sendable {
        /// Refusals of the next calls, by method.
        var refusals: [EtcdMethod: [RPCError]] = [:]
        /// Methods that are never answered.
        var silent: Set<EtcdMethod> = []
        /// Tokens that are valid; nil if all are, and none.
        var tokens: Set<String>?
        /// The token of the next login.
        var nextToken = "t1"
        /// Leases that exist, with their TTLs.
        var leases: [Int64: Int64] = [:]
        /// The answer's revision, and Raft term.
        var revision: Int64 = 10
        var term: UInt64 = 0
        /// Bytes of the value that reads find; 0 for none.
        var valueSize = 0
        var calls: [Call] = []
        /// Requests on streams, by id of lease or watch.
        var keepAlives: [Int64] = []
        var watches: [Int64: Int64] = [:]
        var watcher: RPCWriter<Etcdserverpb_WatchResponse>?
    }

    private let script = Mutex(Script())
    private let running = Mutex<GRPCListener?>(nil)

    init(in sandbox: Sandbox, _ change: (inout Script) -> Void = { _ in }) async throws {
        script.withLock { change(&$0) }
        let listener = GRPCListener(GRPCServerSettings(), [Service(member: self)], in: sandbox)
        running.withLock { $0 = listener }
        try await listener.start()
    }

    var listener: GRPCListener { running.withLock { $0 }! }
    var host: ServerURL.Host { .init(name: "127.0.0.1", port: Int(listener.port)) }
    var now: Script { script.withLock { $0 } }
    func change(_ change: (inout Script) -> Void) { script.withLock { change(&$0) } }
    func calls(_ method: EtcdMethod) -> [Call] { now.calls.filter { $0.method == method } }

    /// Notes a call, and refuses it if the script says so.
    private func begin(_ method: EtcdMethod, _ metadata: Metadata, _ context: ServerContext) async throws {
        let token = metadata[stringValues: "token"].first { _ in true }
        let hasLeader = metadata[stringValues: "hasleader"].contains("true")
        let (refusal, isSilent) = script.withLock { script -> (RPCError?, Bool) in
            script.calls.append(Call(method: method, token: token, hasLeader: hasLeader))
            if let first = script.refusals[method]?.first {
                script.refusals[method]?.removeFirst()
                return (first, false)
            }
            if let tokens = script.tokens, method != .authenticate {
                guard let token else { return (RPCError(code: .invalidArgument, message: "etcdserver: user name is empty"), false) }
                if !tokens.contains(token) { return (RPCError(code: .unauthenticated, message: "etcdserver: invalid auth token"), false) }
            }
            return (nil, script.silent.contains(method))
        }
        if let refusal { throw refusal }
        if isSilent { try await context.neverAnswer() }
    }

    /// Sends a watch response to the stream that was opened last.
    func tell(_ response: Etcdserverpb_WatchResponse) async throws { try await now.watcher?.write(response) }

    private struct Service: RegistrableRPCService {
        let member: ScriptedMember

        func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
            unary(.range, &router) { (_: Etcdserverpb_RangeRequest, script) in
                Etcdserverpb_RangeResponse.with { response in
                    response.header.revision = script.revision
                    if script.valueSize > 0 { response.kvs = [.with { $0.value = Data(repeating: 1, count: script.valueSize) }] }
                }
            }
            unary(.transact, &router) { (request: Etcdserverpb_TxnRequest, script) in
                script.revision += 1
                return Etcdserverpb_TxnResponse.with { response in
                    (response.header.revision, response.succeeded) = (script.revision, true)
                    response.responses = request.success.map { _ in .with { $0.responsePut = .init() } }
                }
            }
            unary(.grant, &router) { (request: Etcdserverpb_LeaseGrantRequest, script) in
                guard script.leases[request.id] == nil else {
                    throw RPCError(code: .failedPrecondition, message: "etcdserver: lease already exists")
                }
                script.leases[request.id] = max(request.ttl, 2)
                return Etcdserverpb_LeaseGrantResponse.with { ($0.id, $0.ttl) = (request.id, max(request.ttl, 2)) }
            }
            unary(.timeToLive, &router) { (request: Etcdserverpb_LeaseTimeToLiveRequest, script) in
                Etcdserverpb_LeaseTimeToLiveResponse.with { response in
                    (response.id, response.ttl) = (request.id, script.leases[request.id] ?? -1)
                    response.grantedTtl = script.leases[request.id] ?? 0
                }
            }
            unary(.revoke, &router) { (request: Etcdserverpb_LeaseRevokeRequest, script) in
                guard script.leases.removeValue(forKey: request.id) != nil else {
                    throw RPCError(code: .notFound, message: "etcdserver: requested lease not found")
                }
                return Etcdserverpb_LeaseRevokeResponse()
            }
            unary(.members, &router) { (_: Etcdserverpb_MemberListRequest, _) in Etcdserverpb_MemberListResponse() }
            unary(.status, &router) { (_: Etcdserverpb_StatusRequest, _) in
                Etcdserverpb_StatusResponse.with { ($0.version, $0.leader, $0.header.memberID) = ("3.6.13", 7, 7) }
            }
            unary(.authenticate, &router) { (request: Etcdserverpb_AuthenticateRequest, script) in
                guard script.tokens != nil else {
                    throw RPCError(code: .failedPrecondition, message: "etcdserver: authentication is not enabled")
                }
                guard request.password == "s3cret" else {
                    throw RPCError(code: .invalidArgument, message: "etcdserver: authentication failed, invalid user ID or password")
                }
                script.tokens = [script.nextToken]
                return Etcdserverpb_AuthenticateResponse.with { $0.token = script.nextToken }
            }
            stream(.keepAlive, &router) { (request: Etcdserverpb_LeaseKeepAliveRequest, writer) in
                let (ttl, term) = member.script.withLock { script in
                    script.keepAlives.append(request.id)
                    return (script.leases[request.id] ?? 0, script.term)
                }
                try await writer.write(
                    Etcdserverpb_LeaseKeepAliveResponse.with { ($0.id, $0.ttl, $0.header.raftTerm) = (request.id, ttl, term) })
            }
            stream(.watch, &router) { (request: Etcdserverpb_WatchRequest, writer) in
                guard case .createRequest(let create) = request.requestUnion else {
                    member.change { $0.watches[request.cancelRequest.watchID] = nil }
                    return
                }
                try await writer.write(
                    Etcdserverpb_WatchResponse.with { ($0.watchID, $0.created, $0.header.revision) = (create.watchID, true, 10) })
                member.change { ($0.watches[create.watchID], $0.watcher) = (create.startRevision, writer) }
            }
        }

        private func unary<Transport: ServerTransport, Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
            _ method: EtcdMethod, _ router: inout RPCRouter<Transport>,
            _ answer: @escaping @Sendable (Request, inout Script) throws -> Response
        ) {
            router.registerHandler(
                forMethod: method.descriptor, deserializer: ProtobufDeserializer<Request>(), serializer: ProtobufSerializer<Response>()
            ) { request, context in
                try await member.begin(method, request.metadata, context)
                for try await message in request.messages {
                    let response = try member.script.withLock { try answer(message, &$0) }
                    return StreamingServerResponse { writer in
                        try await writer.write(response)
                        return [:]
                    }
                }
                throw RPCError(code: .invalidArgument, message: "nothing was asked")
            }
        }

        private func stream<Transport: ServerTransport, Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
            _ method: EtcdMethod, _ router: inout RPCRouter<Transport>,
            _ answer: @escaping @Sendable (Request, RPCWriter<Response>) async throws -> Void
        ) {
            router.registerHandler(
                forMethod: method.descriptor, deserializer: ProtobufDeserializer<Request>(), serializer: ProtobufSerializer<Response>()
            ) { request, context in
                try await member.begin(method, request.metadata, context)
                return StreamingServerResponse { writer in
                    for try await message in request.messages { try await answer(message, writer) }
                    return [:]
                }
            }
        }
    }
}
