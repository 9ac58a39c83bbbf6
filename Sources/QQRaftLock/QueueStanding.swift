import QQCore

/// An estimate of how many waiters the server's queue serves before one of this process. Decides only how often the lock is read. Pure.
///
/// The servers show how many waiters there are, but not their order. Their answer to a request for a place, or for its refresh, has the index in a heap: 0 is
/// the first waiter, and each step down the heap is one more waiter that comes before. Between two such answers, each new term is a waiter less.
///
/// A waiter of a higher priority that comes later makes the estimate too low, until the next refresh. Terms that began and ended between two reads make it
/// too high, until then or until fewer waiters are left.
struct QueueStanding: Sendable, Hashable {
    /// Nil until the queue was read.
    private(set) var ahead: Int?
    private var term: Term?

    private struct Term: Sendable, Hashable {
        var leader: String?
        var acquiredAt: WallTime?
    }

    /// The server has given the place or refreshed it.
    /// - Parameter position: the place's index in the heap.
    mutating func placed(at position: Int32) {
        guard position > 0 else {
            ahead = 0
            return
        }
        let depth = Int32.bitWidth - 1 - (position + (position < .max ? 1 : 0)).leadingZeroBitCount
        ahead = ahead.map { max($0, depth) }
    }

    /// The lock was read.
    mutating func saw(_ state: ElectionState) {
        let others = max((state.waiters ?? 0) - 1, 0)
        let term = Term(leader: state.leader, acquiredAt: state.acquiredAt)
        if let known = self.term, known != term, let ahead { self.ahead = max(ahead - 1, 0) }
        self.term = term
        ahead = min(ahead ?? others, others)
    }
}
