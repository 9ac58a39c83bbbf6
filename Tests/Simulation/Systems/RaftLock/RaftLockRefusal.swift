import QQGRPC
import QQRaftLock
import SwiftProtobuf

/// Why a node does not carry out a call, in the words of its answers.
enum RaftLockRefusal: Sendable {
    /// Also the answer to an owner's renewal, although it was carried out.
    case unexpected
    case notLeader(String, Int)
    case noLeader
    case timedOut
    /// A refusal of the lock manager, which has no details.
    case lockManager(String)

    func failure(at endpoint: String) -> GRPCFailure {
        switch self {
        case .unexpected: GRPCFailure(.internalError, "An unexpected internal error occurred.", at: endpoint, wasSent: true)
        case .noLeader: GRPCFailure(.unavailable, "server: no leader available in the cluster", at: endpoint, wasSent: true)
        case .timedOut: GRPCFailure(.deadlineExceeded, "context deadline exceeded", at: endpoint, wasSent: true)
        case .lockManager(let text): GRPCFailure(.internalError, text, at: endpoint, wasSent: true)
        case .notLeader(let id, let number): Self.notLeader(id, number, at: endpoint)
        }
    }

    private static func notLeader(_ id: String, _ number: Int, at endpoint: String) -> GRPCFailure {
        // That of its peers, where no locks are served.
        let address = "10.0.0.\(number + 1):6051"
        var detail = Raftlock_ErrorDetail()
        detail.code = .notLeader
        detail.message = "server: not leader, redirect to node \(id) at \(address)"
        detail.details = ["leader_address": address, "leader_id": id]
        let bytes: [UInt8] = (try? detail.serializedBytes()) ?? []
        return GRPCFailure(
            .failedPrecondition, detail.message, at: endpoint, wasSent: true,
            details: [.init(type: "type.googleapis.com/" + Raftlock_ErrorDetail.protoMessageName, bytes: bytes)])
    }
}
