import GRPCCore
import QQCore
import QQGRPC
import SwiftProtobuf

/// The calls to one Quorum Quest server. Elections see no more of the network than this. All calls can be made twice, because they carry the same id.
protocol QuorumQuestCalling: Sendable {
    /// The server, for messages and reports.
    var host: ServerURL.Host { get }

    /// Starts to connect, so that the first call finds a connection.
    func prepare()

    /// - Returns: false if another id leads, or the store failed.
    func tryAcquire(_ name: ElectionName, _ identity: String, ttl: Int32, timeout: Duration) async throws(GRPCFailure) -> Bool

    func release(_ name: ElectionName, _ identity: String, timeout: Duration) async throws(GRPCFailure)

    /// - Returns: the time that the lease lasts from now; nil if this id does not lead, or the store failed.
    func keepAlive(_ name: ElectionName, _ identity: String, ttl: Int32, timeout: Duration) async throws(GRPCFailure) -> Duration?

    /// The services that the server offers, by reflection.
    func services(timeout: Duration) async throws(GRPCFailure) -> [String]

    /// Runs consecutive calls where their answers arrive, so that these are not handed from thread to thread in between.
    func inARow<Value: Sendable>(
        _ calls: @Sendable () async throws(GRPCFailure) -> Value
    ) async throws(GRPCFailure) -> Value
}

/// The calls over gRPC.
extension GRPCEndpoint: QuorumQuestCalling {
    private static let tryAcquire = MethodDescriptor(
        fullyQualifiedService: QuorumQuestService.name, method: "TryAcquireLock", type: .unary)
    private static let release = MethodDescriptor(fullyQualifiedService: QuorumQuestService.name, method: "ReleaseLock", type: .unary)
    private static let keepAlive = MethodDescriptor(fullyQualifiedService: QuorumQuestService.name, method: "KeepAlive", type: .unary)

    func tryAcquire(_ name: ElectionName, _ identity: String, ttl: Int32, timeout: Duration) async throws(GRPCFailure) -> Bool {
        var request = Quorum_Quest_Api_V1_TryAcquireLockRequest()
        (request.service, request.domain, request.clientID, request.ttl) = (name.service, name.domain, identity, ttl)
        let response: Quorum_Quest_Api_V1_TryAcquireLockResponse = try await call(
            Self.tryAcquire, request, isRepeatable: true, timeout: timeout)
        return response.isLeader
    }

    func release(_ name: ElectionName, _ identity: String, timeout: Duration) async throws(GRPCFailure) {
        var request = Quorum_Quest_Api_V1_ReleaseLockRequest()
        (request.service, request.domain, request.clientID) = (name.service, name.domain, identity)
        let _: Quorum_Quest_Api_V1_ReleaseLockResponse = try await call(Self.release, request, isRepeatable: true, timeout: timeout)
    }

    func keepAlive(_ name: ElectionName, _ identity: String, ttl: Int32, timeout: Duration) async throws(GRPCFailure) -> Duration? {
        var request = Quorum_Quest_Api_V1_KeepAliveRequest()
        (request.service, request.domain, request.clientID, request.ttl) = (name.service, name.domain, identity, ttl)
        let response: Quorum_Quest_Api_V1_KeepAliveResponse = try await call(
            Self.keepAlive, request, isRepeatable: true, timeout: timeout)
        return response.length
    }

    func inARow<Value: Sendable>(
        _ calls: @Sendable () async throws(GRPCFailure) -> Value
    ) async throws(GRPCFailure) -> Value {
        try await Self.inARow(calls)
    }
}

extension Quorum_Quest_Api_V1_KeepAliveResponse {
    /// The time that the lease lasts; nil for none. Limited to what fits in nanoseconds, because a server can send any number.
    var length: Duration? {
        let length = Duration.seconds(saturating: leaseLength.seconds, nanoseconds: Int64(leaseLength.nanos))
        return length > .zero ? length : nil
    }
}
