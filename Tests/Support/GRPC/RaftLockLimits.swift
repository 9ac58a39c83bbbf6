import GRPCCore
import QQRaftLock
import SwiftProtobuf

/// Checks that RaftLock's server makes first, on any node.
enum RaftLockLimits {
    static let ttl: ClosedRange<Int64> = 1_000_000_000...300_000_000_000
    private static let anyTTL: ClosedRange<Int64> = 1_000_000_000...86_400_000_000_000
    private static let timeout: ClosedRange<Int64> = 1_000_000_000...600_000_000_000

    static func check(_ request: Raftlock_AcquireRequest) throws(RPCError) {
        try names(request.lockID, request.clientID)
        if request.hasTtl { try check(ttl: request.ttl) }
        if request.hasWaitTimeout { try check(timeout: request.waitTimeout) }
        try check(priority: request.priority)
        if request.metadata.count > 32 {
            throw .invalid("metadata", "entry_count: \(request.metadata.count)", "metadata cannot have more than 32 entries")
        }
    }

    static func check(_ request: Raftlock_RenewRequest) throws(RPCError) {
        try names(request.lockID, request.clientID)
        try check(version: request.version)
        guard request.hasNewTtl else { throw .invalid("new_ttl", "<nil>", "new_ttl is required") }
        try check(ttl: request.newTtl)
    }

    static func check(_ request: Raftlock_ReleaseRequest) throws(RPCError) {
        try names(request.lockID, request.clientID)
        try check(version: request.version)
    }

    /// That the timeout is required and the version is checked are guesses, because no recording leaves them out.
    static func check(_ request: Raftlock_EnqueueWaiterRequest) throws(RPCError) {
        try names(request.lockID, request.clientID)
        guard request.hasTimeout else { throw .invalid("timeout", "<nil>", "timeout is required") }
        try check(timeout: request.timeout)
        try check(priority: request.priority)
        try check(version: request.version)
    }

    static func check(_ request: Raftlock_CancelWaitRequest) throws(RPCError) {
        try names(request.lockID, request.clientID)
        try check(version: request.version)
    }

    /// That negative numbers are refused is a guess.
    static func check(_ request: Raftlock_GetLocksRequest) throws(RPCError) {
        if request.limit > 1000 { throw .invalid("limit", "\(request.limit)", "limit cannot exceed 1000") }
        if request.limit < 0 { throw .invalid("limit", "\(request.limit)", "limit cannot be negative") }
        if request.offset < 0 { throw .invalid("offset", "\(request.offset)", "offset cannot be negative") }
    }

    static func check(lock id: String) throws(RPCError) { try check("lock_id", id) }

    private static func names(_ lock: String, _ client: String) throws(RPCError) {
        try check("lock_id", lock)
        try check("client_id", client)
    }

    private static func check(_ field: String, _ id: String) throws(RPCError) {
        if id.isEmpty { throw .invalid(field, "", "\(field) cannot be empty") }
        if id.utf8.count > 256 { throw .invalid(field, id, "\(field) must be a non-empty string with length <= 256 characters") }
        // The limit is known; its message was not recorded.
        if id.utf8.contains(where: { [0, 9, 10, 13].contains($0) }) {
            throw .invalid(field, id, "\(field) contains invalid characters")
        }
    }

    private static func check(ttl: Google_Protobuf_Duration) throws(RPCError) {
        // Two places check the TTL, each with its own limit.
        guard anyTTL.contains(ttl.nanoseconds) else { throw .invalid("ttl", ttl.goText, "ttl must be between 1s and 24h0m0s") }
        guard Self.ttl.contains(ttl.nanoseconds) else { throw .invalid("ttl", ttl.goText, "ttl must be between 1s and 5m0s") }
    }

    private static func check(timeout: Google_Protobuf_Duration) throws(RPCError) {
        guard Self.timeout.contains(timeout.nanoseconds) else {
            throw .invalid("timeout", timeout.goText, "timeout must be between 1s and 10m0s")
        }
    }

    private static func check(priority: Int32) throws(RPCError) {
        guard (-1000...1000).contains(priority) else {
            throw .invalid("priority", "\(priority)", "priority must be between -1000 and 1000")
        }
    }

    private static func check(version: Int64) throws(RPCError) {
        guard version > 0 else { throw .invalid("version", "\(version)", "version must be positive") }
    }
}
