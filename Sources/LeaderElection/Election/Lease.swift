internal import QQCore

/// A lease that was granted to this process: one term, from election to loss or release. Copies are the same term.
public struct Lease: Sendable {
    let term: Term

    /// The election.
    public var name: String { term.grant.name }
    /// The identity that holds it.
    public var identity: String { term.grant.identity }
    /// The term's fencing token; nil if the system has none. Send it with each external write.
    public var token: FencingToken? { term.grant.token.map { FencingToken($0.value) } }
    /// The time between the cancellation of the work's task and the end of the lease.
    public var stopTime: Duration { term.timing.stopTime }

    /// The time until the lease ends unless it is renewed, by a clock that runs while the machine sleeps (`CLOCK_BOOTTIME`). Zero once it
    /// is lost or released.
    public var remaining: Duration { term.remaining(at: term.clock.now()) }

    /// Whether the lease is in force. Sends nothing. False from a little before the end on, a twentieth of the TTL and at most a second,
    /// for the answer takes time to be acted on.
    public var isHeld: Bool { term.whyNotHeld(at: term.clock.now()) == nil }

    /// Checks that the lease is in force. Sends nothing, and costs a clock reading: call it before each external write.
    ///
    /// A process can be stopped between this check and the write. Only the fencing token protects from that.
    /// - Throws: ``LeadershipLost`` as soon as ``isHeld`` is false.
    public func checkStillHeld() throws(LeadershipLost) {
        if let reason = term.whyNotHeld(at: term.clock.now()) { throw LeadershipLost(name: name, reason: reason) }
    }
}
