/// What a lease session tells of itself.
public indirect enum SessionEvent: Sendable, Hashable {
    /// A term began, or one that we held goes on.
    case elected(Grant)
    /// The lease was extended.
    case extended(Grant)
    /// Somebody else leads, and we wait.
    case waiting(ElectionState)
    /// A request failed and will be tried again after the pause.
    case retrying(CoordinationError, after: Duration)
    /// Somebody asked us to step down. The session goes on until it is stopped.
    case stepDownAsked(by: String)
    /// The term ended against our will.
    case lost(Grant, LossReason)
    /// We gave the lease up.
    case released(Grant)
    /// The lease could not be given up; it ends by itself at its deadline.
    case releaseFailed(Grant, CoordinationError)
    /// The campaign is over, and not all of it could be taken back: a place in a queue or a lease ends by itself.
    case notWithdrawn(CoordinationError)
}

/// Why a term ended against our will.
public enum LossReason: Sendable, Hashable, CustomStringConvertible {
    /// It could not be renewed in time; the last failure, if there was one.
    case expired(CoordinationError?)
    /// Somebody else holds it.
    case takenOver(by: String?)
    /// Somebody emptied or removed it.
    case removed

    public var description: String {
        switch self {
        case .expired(nil): "not renewed in time"
        case .expired(let error?): "not renewed in time: \(error)"
        case .takenOver(let by?): "taken over by \(by)"
        case .takenOver(nil): "taken over by somebody else"
        case .removed: "the lease was removed"
        }
    }
}

/// How a session ended.
public enum SessionOutcome: Sendable, Hashable {
    /// Somebody else leads, and we were not to wait.
    case refused(ElectionState)
    /// We waited as long as we were to; whom for, where it is known.
    case timedOut(ElectionState?)
    case failed(CoordinationError)
    case lost(LossReason)
    /// We held it and gave it up, or were stopped before we held it.
    case stopped

    /// Whether the last request may still be carried out.
    var isUncertain: Bool { if case .failed(let error) = self { error.isUncertain } else { false } }
}
