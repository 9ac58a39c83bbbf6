import LeaderElection
import Synchronization

/// The terms under way, at most one for each election: most events do not name their term, and a line in a log should.
final class Terms: Sendable {
    private let leases = Mutex<[String: Lease]>([:])

    /// The term to which an event belongs; nil for an event between terms.
    func term(of election: String, after event: ElectionEvent) -> Lease? {
        leases.withLock { leases in
            switch event {
            case .elected(let lease): leases[election] = lease
            case .released, .releaseFailed:
                defer { leases[election] = nil }
                return leases[election]
            // Work can overrun its lease after the loss, and that line needs the term most of all.
            case .campaigning: leases[election] = nil
            default: break
            }
            return leases[election]
        }
    }
}
