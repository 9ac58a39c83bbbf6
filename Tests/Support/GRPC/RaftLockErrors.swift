import GRPCCore
import QQGRPC
import QQRaftLock
import SwiftProtobuf

/// The errors of RaftLock's server, as they were recorded. A comment says so if an error was not recorded.
extension RPCError {
    /// Also the answer to an owner's renewal, although the renewal was carried out.
    static let unexpected = RPCError(code: .internalError, message: "An unexpected internal error occurred.")

    /// Refusals of the lock manager have no details, only a text.
    static func lockManager(_ failure: LockTable.Failure) -> RPCError { RPCError(code: .internalError, message: failure.text) }

    static func invalid(_ field: String, _ value: String, _ message: String) -> RPCError {
        raftLock(.invalidArgument, message, .invalidArgument, ["field": field, "value": value])
    }

    static func notLeader(_ id: String, at address: String) -> RPCError {
        raftLock(
            .failedPrecondition, "server: not leader, redirect to node \(id) at \(address)", .notLeader,
            ["leader_address": address, "leader_id": id])
    }

    /// Code and message are known; details were not recorded.
    static let noLeader = RPCError(code: .unavailable, message: "server: no leader available in the cluster")

    /// The code and the detail's code are known; the message was not recorded.
    static let rateLimited = raftLock(.resourceExhausted, "server: rate limit exceeded", .rateLimited, [:])

    private static func raftLock(
        _ code: RPCError.Code, _ message: String, _ kind: Raftlock_ErrorCode, _ details: [String: String]
    ) -> RPCError {
        var detail = Raftlock_ErrorDetail()
        (detail.code, detail.message, detail.details) = (kind, message, details)
        var status = Google_Rpc_Status()
        (status.code, status.message) = (Int32(code.rawValue), message)
        var metadata = Metadata()
        if let packed = try? Google_Protobuf_Any(message: detail) {
            status.details = [packed]
            if let bytes: [UInt8] = try? status.serializedBytes() { metadata.addBinary(bytes, forKey: "grpc-status-details-bin") }
        }
        return RPCError(code: code, message: message, metadata: metadata)
    }
}
