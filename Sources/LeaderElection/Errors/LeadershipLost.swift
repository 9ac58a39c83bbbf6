/// This process does not lead any more: the reason why work was cancelled, or must not go on.
public struct LeadershipLost: Error, Sendable {
    /// Why leadership ended.
    public enum Reason: Sendable, Hashable {
        /// The lease was not renewed in time; with the last failure, if there was one.
        case expired(ElectionError?)
        /// Another process holds the election; its identity, if known.
        case takenOver(by: String?)
        /// The lease was emptied or removed at the servers.
        case removed
        /// The leader stepped down: asked by another process, whose identity is given, or by ``Election/stepDown()``.
        case steppedDown(by: String?)
        /// ``Election/stop()`` was called.
        case stopped
        /// Work had returned, and the lease was released.
        case released
    }

    /// The election.
    public let name: String
    /// Why leadership ended.
    public let reason: Reason
    /// The error that the work threw after its task had been cancelled; nil if it returned, or threw `CancellationError`.
    public let workError: (any Error)?

    /// A loss of the election called `name`.
    public init(name: String, reason: Reason, workError: (any Error)? = nil) {
        self.name = name
        self.reason = reason
        self.workError = workError
    }
}

extension LeadershipLost: CustomStringConvertible {
    /// One line: the election, and why leadership ended.
    public var description: String { "leadership of \(name) ended: \(reason)" }
}

extension LeadershipLost.Reason: CustomStringConvertible {
    /// The reason as the end of a sentence.
    public var description: String {
        switch self {
        case .expired(nil): "not renewed in time"
        case .expired(let error?): "not renewed in time: \(error)"
        case .takenOver(let by?): "taken over by \(by)"
        case .takenOver(nil): "taken over by another process"
        case .removed: "the lease was removed"
        case .steppedDown(let by?): "asked to step down by \(by)"
        case .steppedDown(nil): "stepped down"
        case .stopped: "stopped"
        case .released: "the lease was released"
        }
    }
}
