import Synchronization

/// When this process first saw the newest revision of each record, on the lease clock.
///
/// A record is at least as old as that, whatever a wall clock shows. Leases are judged by this age if a record carries only its writer's wall clock, or if
/// the server does not report its time.
public final class FirstSeen: Sendable {
    private struct Entry: Sendable {
        var revision: UInt64
        var at: BootInstant
    }

    private let clock: any LeaseClock
    private let entries = Mutex<[String: Entry]>([:])

    public init(clock: any LeaseClock) { self.clock = clock }

    /// Notes a revision that was just read, and returns when it was first seen. A revision below the newest one known counts as seen now: a record must
    /// never pass for older than it is.
    @discardableResult
    public func note(_ record: String, revision: UInt64) -> BootInstant {
        let now = clock.now()
        return entries.withLock { entries in
            if let known = entries[record], known.revision >= revision { return known.revision == revision ? known.at : now }
            entries[record] = Entry(revision: revision, at: now)
            return now
        }
    }

    /// The newest revision of a record that was noted; nil if none was.
    public func newestRevision(of record: String) -> UInt64? { entries.withLock { $0[record]?.revision } }
}
