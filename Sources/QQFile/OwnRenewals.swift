import QQCore
import Synchronization

/// What this process wrote last to the lease files of its own terms.
///
/// A holder watches its election, and each of its renewals is an event there. The watch recognises them by the content of the lease file, and does not read
/// the rest of the election again.
final class OwnRenewals: Sendable {
    /// A row of renewals of one term: each was made from the content that the one before it had written. They change nothing that a watch reports.
    struct Row: Sendable, Hashable {
        fileprivate let number: UInt64
    }

    private struct Lease {
        var row: Row
        /// Of the lease file's bytes.
        var fingerprint: UInt64
        var deadline: BootInstant
        weak var lock: TermLivenessLock?
    }

    private struct State {
        var last: UInt64 = 0
        var leases: [String: Lease] = [:]
    }

    private let state = Mutex(State())

    static func fingerprint(_ bytes: [UInt8]) -> UInt64 { fnv1a64(bytes) }

    /// A term was granted to this process.
    func begin(_ name: String, writing bytes: [UInt8], until deadline: BootInstant, _ lock: TermLivenessLock?) {
        state.withLock { state in
            state.last += 1
            let row = Row(number: state.last)
            state.leases[name] = lock.map {
                Lease(row: row, fingerprint: Self.fingerprint(bytes), deadline: deadline, lock: $0)
            }
        }
    }

    /// This process renewed its lease. If another process has changed the lease file before that, a new row begins, which no watch knows yet.
    func renewed(_ name: String, from old: [UInt8], writing bytes: [UInt8], until deadline: BootInstant) {
        state.withLock { state in
            guard var lease = state.leases[name] else { return }
            if lease.fingerprint != Self.fingerprint(old) {
                state.last += 1
                lease.row = Row(number: state.last)
            }
            lease.fingerprint = Self.fingerprint(bytes)
            lease.deadline = deadline
            state.leases[name] = lease
        }
    }

    func end(_ name: String) { state.withLock { $0.leases[name] = nil } }

    /// The row of renewals that the content of a lease file belongs to, as its last; nil if another process has written it, or if this process has closed the
    /// lock of its term, so that the content does not say everything.
    func row(_ name: String, of fingerprint: UInt64) -> Row? { lease(name, of: fingerprint)?.row }

    /// When the lease ends.
    /// - Parameter row: the row to which the lease file belonged when the election was read.
    /// - Returns: nil unless the content shows that nothing was changed since but by renewals.
    func deadline(_ name: String, of fingerprint: UInt64, in row: Row) -> BootInstant? {
        guard let lease = lease(name, of: fingerprint), lease.row == row else { return nil }
        return lease.deadline
    }

    private func lease(_ name: String, of fingerprint: UInt64) -> Lease? {
        guard let lease = state.withLock({ $0.leases[name] }), lease.fingerprint == fingerprint, lease.lock?.isOpen == true else {
            return nil
        }
        return lease
    }
}
