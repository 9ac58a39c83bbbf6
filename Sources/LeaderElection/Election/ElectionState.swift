/// What an election of this process is doing.
public enum ElectionState: Sendable {
    /// Not begun, or pausing between two campaigns.
    case idle
    /// Asking for the lease, or waiting for it.
    case campaigning
    /// This process leads under this lease.
    case leading(Lease)
    /// The term is ending: work that was cancelled still runs, or the lease is being released.
    case stopping
    /// `run` or `withLeadership` has ended. Another one can begin, unless ``Election/stop()`` was called.
    case ended
}
