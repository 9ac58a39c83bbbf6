import LeaderElection
import Synchronization

/// What earlier events of each election say about the next one: most events do not name their term, and a line in a log should.
final class Terms: Sendable {
    private struct Known: Sendable {
        /// The term under way, or the last one until a campaign begins.
        var term: Lease?
        /// The leader that this process waits for; the inner nil for one that the system does not name.
        var blocker: Leader??
    }

    private let elections = Mutex<[String: Known]>([:])

    /// Takes note of an event.
    /// - Returns: the term to which it belongs, nil between terms; and whether it says the same as the one before.
    func take(_ event: ElectionEvent, of election: String) -> (term: Lease?, isRepeated: Bool) {
        elections.withLock { elections in
            var known = elections[election] ?? Known()
            defer { elections[election] = known }
            if case .waiting(let leader) = event {
                defer { known.blocker = .some(leader) }
                guard case .some(let last) = known.blocker else { return (known.term, false) }
                return (known.term, last?.identity == leader?.identity && last?.token == leader?.token)
            }
            switch event {
            case .elected(let lease): known = Known(term: lease)
            case .released, .releaseFailed:
                defer { known.term = nil }
                return (known.term, false)
            // Work can overrun its lease after the loss, and that line needs the term most of all.
            case .campaigning: known = Known()
            default: break
            }
            return (known.term, false)
        }
    }
}
