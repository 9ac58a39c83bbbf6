import QQCore
import SwiftProtobuf

/// The operations of a RaftLock server, by the names of its methods.
public enum LockOperation: String, Sendable, Hashable, CaseIterable {
    case acquire = "Acquire"
    case release = "Release"
    case renew = "Renew"
    case getLockInfo = "GetLockInfo"
    case getLocks = "GetLocks"
    case enqueueWaiter = "EnqueueWaiter"
    case cancelWait = "CancelWait"
    case getBackoffAdvice = "GetBackoffAdvice"
    case getStatus = "GetStatus"
    case health = "Health"

    /// Whether the operation goes through the Raft log: only the Raft leader accepts it, and never two at a time.
    package var isWrite: Bool {
        switch self {
        case .acquire, .release, .renew, .enqueueWaiter, .cancelWait: true
        case .getLockInfo, .getLocks, .getBackoffAdvice, .getStatus, .health: false
        }
    }
}

/// One call to a server, with the type of its answer.
package struct LockCall<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>: Sendable {
    package let operation: LockOperation
    package let request: Request

    init(_ operation: LockOperation, _ request: Request, _: Response.Type) {
        self.operation = operation
        self.request = request
    }
}

/// The calls.
enum LockCalls {
    static func acquire(
        _ name: String, _ identity: String, ttl: Duration, priority: Int32
    ) -> LockCall<Raftlock_AcquireRequest, Raftlock_AcquireResponse> {
        var request = Raftlock_AcquireRequest()
        (request.lockID, request.clientID, request.ttl, request.priority) = (name, identity, .init(of: ttl), priority)
        return LockCall(.acquire, request, Raftlock_AcquireResponse.self)
    }

    static func release(
        _ name: String, _ identity: String, version: Int64
    ) -> LockCall<Raftlock_ReleaseRequest, Raftlock_ReleaseResponse> {
        var request = Raftlock_ReleaseRequest()
        (request.lockID, request.clientID, request.version) = (name, identity, version)
        return LockCall(.release, request, Raftlock_ReleaseResponse.self)
    }

    /// - Parameter version: must be the one held: the server writes it into the lock without a check.
    static func renew(
        _ name: String, _ identity: String, version: Int64, ttl: Duration
    ) -> LockCall<Raftlock_RenewRequest, Raftlock_RenewResponse> {
        var request = Raftlock_RenewRequest()
        (request.lockID, request.clientID, request.version, request.newTtl) = (name, identity, version, .init(of: ttl))
        return LockCall(.renew, request, Raftlock_RenewResponse.self)
    }

    static func lockInfo(_ name: String) -> LockCall<Raftlock_GetLockInfoRequest, Raftlock_GetLockInfoResponse> {
        var request = Raftlock_GetLockInfoRequest()
        request.lockID = name
        return LockCall(.getLockInfo, request, Raftlock_GetLockInfoResponse.self)
    }

    static func locks(
        _ filter: Raftlock_LockFilter? = nil, limit: Int32, offset: Int32
    ) -> LockCall<Raftlock_GetLocksRequest, Raftlock_GetLocksResponse> {
        var request = Raftlock_GetLocksRequest()
        if let filter, filter != Raftlock_LockFilter() { request.filter = filter }
        (request.limit, request.offset) = (limit, offset)
        return LockCall(.getLocks, request, Raftlock_GetLocksResponse.self)
    }

    /// The servers require a version for these calls; any positive one will do.
    private static let anyVersion: Int64 = 1

    static func enqueue(
        _ name: String, _ identity: String, timeout: Duration, priority: Int32
    ) -> LockCall<Raftlock_EnqueueWaiterRequest, Raftlock_EnqueueWaiterResponse> {
        var request = Raftlock_EnqueueWaiterRequest()
        (request.lockID, request.clientID, request.timeout) = (name, identity, .init(of: timeout))
        (request.priority, request.version) = (priority, anyVersion)
        return LockCall(.enqueueWaiter, request, Raftlock_EnqueueWaiterResponse.self)
    }

    static func cancelWait(_ name: String, _ identity: String) -> LockCall<Raftlock_CancelWaitRequest, Raftlock_CancelWaitResponse> {
        var request = Raftlock_CancelWaitRequest()
        (request.lockID, request.clientID, request.version) = (name, identity, anyVersion)
        return LockCall(.cancelWait, request, Raftlock_CancelWaitResponse.self)
    }

    static func backoffAdvice(_ name: String) -> LockCall<Raftlock_BackoffAdviceRequest, Raftlock_BackoffAdviceResponse> {
        var request = Raftlock_BackoffAdviceRequest()
        request.lockID = name
        return LockCall(.getBackoffAdvice, request, Raftlock_BackoffAdviceResponse.self)
    }

    static func status() -> LockCall<Raftlock_GetStatusRequest, Raftlock_GetStatusResponse> {
        LockCall(.getStatus, Raftlock_GetStatusRequest(), Raftlock_GetStatusResponse.self)
    }

    static func health() -> LockCall<Raftlock_HealthRequest, Raftlock_HealthResponse> {
        LockCall(.health, Raftlock_HealthRequest(), Raftlock_HealthResponse.self)
    }
}

extension Google_Protobuf_Duration {
    init(of duration: Duration) {
        let (seconds, nanoseconds) = duration.nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        self.init(seconds: seconds, nanos: Int32(nanoseconds))
    }

    /// Clamped to the range of nanoseconds: a server can send any number.
    var length: Duration { .seconds(saturating: seconds, nanoseconds: Int64(nanos)) }
}

extension Google_Protobuf_Timestamp {
    init(at time: WallTime) { self.init(seconds: time.seconds, nanos: time.nanoseconds) }

    /// Nil for the year 1, Go's zero time, which means that there is none.
    var wallTime: WallTime? {
        let time = WallTime(seconds: seconds, nanoseconds: Int64(nanos))
        return time < WallTime.goZero + .seconds(366 * 86_400) ? nil : time
    }
}
