/// Makes holders give elections up.
public protocol SteppingDown: Sendable {
    /// Asks a holder to step down, or ends its lease.
    /// - Parameters:
    ///   - state: the term that has to end. `isOwn` shows whether the user counts it as ours.
    ///   - byForce: whether its lease can be ended if asking is impossible or does not help: it is our own, or the user asked for that.
    func askToStepDown(
        _ state: ElectionState, by identity: String, byForce: Bool
    ) async throws(CoordinationError) -> StepDownAnswer
}

public enum StepDownAnswer: Sendable, Hashable {
    /// The election has no holder now.
    case done
    /// The holder was asked. It steps down in its own time, at the latest when its lease ends.
    case asked
    /// The election changed hands before the holder could be asked.
    case changed(ElectionState)
    /// Ending the lease would let another process lead while the holder still works: the election has to be held until the holder must have noticed.
    case outlast(Outlasting)
}

/// Makes a holder step down that cannot be told to: holds the election itself for as long as the holder might go on working, and then gives it up.
public final class Outlasting: Sendable, Hashable {
    /// What is being done.
    public enum Stage: Sendable, Hashable {
        /// The holder was asked, and has this long to step down by itself.
        case asking(Duration)
        /// This process holds the election, for this long from now on.
        case holding(Duration)
    }

    /// How long it takes at most.
    public let duration: Duration
    /// The identity under which the election is held meanwhile.
    public let identity: String
    /// How long the election remains held if this is interrupted.
    public let ttl: Duration
    private let body: @Sendable (@escaping @Sendable (Stage) -> Void) async throws(CoordinationError) -> StepDownAnswer

    public init(
        duration: Duration, identity: String, ttl: Duration,
        body: @escaping @Sendable (@escaping @Sendable (Stage) -> Void) async throws(CoordinationError) -> StepDownAnswer
    ) {
        self.duration = duration
        self.identity = identity
        self.ttl = ttl
        self.body = body
    }

    /// Outlasts the holder. A task that is cancelled leaves the lease to expire: giving it up early would let another process lead beside the holder.
    /// - Parameter report: called when a stage begins.
    /// - Returns: `.done`, or `.changed` if the holder or another process has taken the election meanwhile.
    public func run(_ report: @escaping @Sendable (Stage) -> Void) async throws(CoordinationError) -> StepDownAnswer {
        try await body(report)
    }

    public static func == (first: Outlasting, second: Outlasting) -> Bool { first === second }

    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
