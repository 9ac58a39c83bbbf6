/// A rule that a world has broken.
public struct Failure: Sendable, Hashable {
    public enum Rule: String, Sendable, Hashable, CaseIterable {
        /// The work of two terms at a time.
        case twoAtWork = "two at work"
        /// Two processes whose lease is in force, both by their own clocks.
        case twoHolders = "two holders"
        /// A process whose lease is in force by its clock, and over at the servers.
        case leadsWithoutLease = "leads without a lease"
        /// Work beyond the end of its lease, with `qq` or its guardian in action.
        case workWithoutLease = "work without a lease"
        /// A token that is not greater than those of earlier terms.
        case tokenShrank = "a token did not grow"
        /// A lease released while work lives under it.
        case releasedAtWork = "released while at work"
        /// A holder whose lease lasts longer, as it counts, than the servers have promised.
        case believedTooLong = "a lease is believed in for too long"
        /// A loss that was none: the lease was in force.
        case lostForNothing = "lost for nothing"
        /// Work that was ended as not renewed, although the renewal was there.
        case endedForNothing = "ended for nothing"
        /// A lease that a process has left behind at its end.
        case leftBehind = "a lease was left behind"
        /// A process that was told to stop, and goes on.
        case notStopped = "stopped and goes on"
        /// Nobody leads, although everything has worked for long enough.
        case noLeader = "nobody leads"
        /// Two requests at a time that must not overlap.
        case doubledRequest = "a request twice at a time"
        /// A reader that asked for a change.
        case readerWrote = "a reading command wrote"
        /// A task that goes on and on without letting time pass.
        case spins = "a task spins"
        /// A task that left the world's thread.
        case escaped = "a task left the world"
        /// A model, or a system's own rule, is broken.
        case model = "a rule of the system is broken"
    }

    public var rule: Rule
    public var words: String
    /// World time.
    public var at: Nanoseconds
}
