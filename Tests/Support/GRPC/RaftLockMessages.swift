import QQRaftLock
import SwiftProtobuf

extension Raftlock_Lock {
    package init(_ id: String, _ lock: LockTable.Lock) {
        self.init()
        (lockID, ownerID, version) = (id, lock.owner, lock.version)
        acquiredAt = Google_Protobuf_Timestamp(nanoseconds: lock.acquired)
        expiresAt = Google_Protobuf_Timestamp(nanoseconds: lock.expires)
    }
}

extension Raftlock_LockInfo {
    /// Waiters are counted but not named, and metadata is dropped.
    package init(_ id: String, _ lock: LockTable.Lock) {
        self.init()
        (lockID, ownerID, version) = (id, lock.owner, lock.version)
        acquiredAt = Google_Protobuf_Timestamp(nanoseconds: lock.acquired)
        expiresAt = Google_Protobuf_Timestamp(nanoseconds: lock.expires)
        lastModifiedAt = Google_Protobuf_Timestamp(nanoseconds: lock.modified)
        waiterCount = Int32(lock.waiters.count)
    }
}

extension Raftlock_BackoffAdvice {
    /// For a free lock 50 ms to 1 s; otherwise an eighth of the wait to the whole of it.
    package init(_ lock: LockTable.Lock?, _ now: Int64) {
        self.init()
        let wait = lock?.wait(now) ?? 0
        initialBackoff = Google_Protobuf_Duration(nanoseconds: max(50_000_000, wait / 8))
        maxBackoff = Google_Protobuf_Duration(nanoseconds: max(1_000_000_000, wait))
        (multiplier, jitterFactor) = (1.5, 0.2)
    }
}

extension Raftlock_ErrorDetail {
    package init(_ code: Raftlock_ErrorCode, _ failure: LockTable.Failure) {
        self.init()
        (self.code, message) = (code, failure.text)
    }
}

extension Raftlock_LockFilter {
    /// Patterns match parts of the text. Metadata is dropped, and a filter on it therefore finds nothing. The filter on waiters is ignored.
    func matches(_ id: String, _ lock: LockTable.Lock) -> Bool {
        func holds(_ text: String, _ part: String) -> Bool { part.isEmpty || text.contains(part) }
        let expires = Google_Protobuf_Timestamp(nanoseconds: lock.expires)
        func before(_ one: Google_Protobuf_Timestamp, _ other: Google_Protobuf_Timestamp) -> Bool {
            (one.seconds, one.nanos) < (other.seconds, other.nanos)
        }
        return holds(id, lockIDPattern) && holds(lock.owner, ownerIDPattern) && (!onlyHeld || lock.isHeld)
            && (!hasExpiresBefore || before(expires, expiresBefore)) && (!hasExpiresAfter || before(expiresAfter, expires))
            && metadataFilter.isEmpty
    }
}
