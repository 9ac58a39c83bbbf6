import GRPCCore
import QQCore
import QQGRPC
import SwiftProtobuf

/// One server of a cluster, as `RaftLockService` calls it. The simulator has another one than gRPC's.
package protocol LockServer: Sendable {
    var host: ServerURL.Host { get }

    /// Begins to connect, so that the first call finds a connection.
    func prepare()

    /// Makes one call.
    /// - Parameter timeout: for connecting and the answer together.
    func call<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ call: LockCall<Request, Response>, timeout: Duration
    ) async throws(GRPCFailure) -> Response
}

extension GRPCEndpoint: LockServer {
    package func call<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ call: LockCall<Request, Response>, timeout: Duration
    ) async throws(GRPCFailure) -> Response {
        let method = MethodDescriptor(fullyQualifiedService: "raftlock.RaftLock", method: call.operation.rawValue, type: .unary)
        // A write that was cut off is not repeated before its outcome is known.
        return try await self.call(method, call.request, isRepeatable: !call.operation.isWrite, timeout: timeout)
    }
}
