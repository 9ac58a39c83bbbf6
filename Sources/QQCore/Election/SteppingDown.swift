/// Makes holders give elections up.
public protocol SteppingDown: Sendable {
    /// Asks a holder to step down, or ends its lease.
    /// - Parameter byForce: whether its lease can be ended if asking is impossible or does not help: it is our own, or the user asked for that.
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
}
