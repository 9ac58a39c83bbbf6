/// An event of a lease session.
public indirect enum SessionEvent: Sendable, Hashable {
    /// A term began, or one that this process held is resumed.
    case elected(Grant)
    /// The lease was renewed.
    case extended(Grant)
    /// Another process leads; the session waits.
    case waiting(ElectionState)
    /// A request failed and is retried after the pause.
    case retrying(CoordinationError, after: Duration)
    /// A waiter's request failed. The waiter continues until the outage is over. Reported for each failure; `isNew` for the first of an outage.
    case outage(CoordinationError, isNew: Bool)
    /// A waiter's request was answered again, this long after the first failure of the outage.
    case outageOver(after: Duration)
    /// The holder was asked to step down. The session continues until it is stopped.
    case stepDownAsked(by: String)
    /// The term ended involuntarily.
    case lost(Grant, LossReason)
    /// The lease was released.
    case released(Grant)
    /// The lease could not be released and expires at its deadline.
    case releaseFailed(Grant, CoordinationError)
    /// The campaign is over, but a place in a queue or a lease could not be given up and has to expire.
    case notWithdrawn(CoordinationError)
}

/// Why a term ended involuntarily.
public enum LossReason: Sendable, Hashable, CustomStringConvertible {
    /// The lease was not renewed in time; with the last failure, if there was one.
    case expired(CoordinationError?)
    /// Another process holds the election; its identity, if known.
    case takenOver(by: String?)
    /// The lease was emptied or removed.
    case removed

    public var description: String {
        switch self {
        case .expired(nil): "not renewed in time"
        case .expired(let error?): "not renewed in time: \(error)"
        case .takenOver(let by?): "taken over by \(by)"
        case .takenOver(nil): "taken over by another process"
        case .removed: "the lease was removed"
        }
    }
}

/// How a session ended.
public enum SessionOutcome: Sendable, Hashable {
    /// Another process leads, and the session was not to wait.
    case refused(ElectionState)
    /// The wait took as long as was allowed; with the state of the election, if the last request was answered.
    case timedOut(ElectionState?)
    /// The wait took as long as was allowed, and the system was away at its end: the last failure.
    case timedOutInOutage(CoordinationError)
    case failed(CoordinationError)
    case lost(LossReason)
    /// The lease was released, or the session was stopped before it got one.
    case stopped

    /// Whether the last request can still be carried out.
    var isUncertain: Bool {
        switch self {
        case .failed(let error), .timedOutInOutage(let error): error.isUncertain
        case .refused, .timedOut, .lost, .stopped: false
        }
    }
}
