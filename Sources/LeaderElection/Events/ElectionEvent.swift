/// Something that happened in an election in which this process contends.
///
/// A term begins with `elected` and ends with the first of `lost`, `released` and `releaseFailed`.
public enum ElectionEvent: Sendable {
    /// This process has begun to ask for the lease.
    case campaigning
    /// Another process leads, and this one waits; `nil` if the system does not say who leads.
    case waiting(Leader?)
    /// A term of this process began.
    case elected(Lease)
    /// The lease was renewed, and lasts this long from now on.
    case renewed(Lease, remaining: Duration)
    /// The election has another leader than before, as far as this process has learned of it; `nil` if nobody leads.
    case leaderChanged(Leader?)
    /// A request failed, and is sent again after the pause.
    case retrying(ElectionError, after: Duration)
    /// The servers do not answer this waiting process. It goes on asking. Told once for each outage.
    case outage(ElectionError)
    /// The servers answer again, this long after the outage began.
    case outageOver(after: Duration)
    /// Another process or an operator has asked this leader to step down.
    case stepDownAsked(by: String)
    /// The task of the work was cancelled, for this reason. Work should have returned within the time given: the lease ends then, unless it
    /// is renewed.
    case cancelled(LeadershipLost.Reason, within: Duration)
    /// Work runs although it was cancelled, the time to stop is over and the lease has ended, this long ago: another process might lead.
    /// Told when this is noticed, and once more when the work has returned.
    case overran(Duration)
    /// The work of `run` threw this error after it had been cancelled. `run` goes on.
    case workFailed(any Error)
    /// The lease was lost.
    case lost(LeadershipLost)
    /// The lease was released.
    case released
    /// The lease, or a place in a queue, could not be released, and ends by itself.
    case releaseFailed(ElectionError)
    /// The state of the connection to the servers has changed.
    case connection(ConnectionEvent)
    /// This reader was too slow: this many events that came before the next one were dropped. Observers never get it.
    case missed(Int)
}

/// An event of the connection to the servers.
public struct ConnectionEvent: Sendable, Hashable {
    /// What happened.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// The connection was made, or made again.
        case connected
        /// The connection was lost, and is being restored.
        case disconnected
        /// No server could be reached; the attempts continue.
        case unreachable
        /// The server is about to shut down; the connection moves to another one.
        case serverLeaving
        /// Anything else that an operator should know.
        case notice
    }

    /// What happened.
    public let kind: Kind
    /// The server, and the reason.
    public let text: String

    /// An event with this text.
    public init(_ kind: Kind, _ text: String) {
        self.kind = kind
        self.text = text
    }
}
