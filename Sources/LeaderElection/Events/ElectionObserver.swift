/// Told of every event of an election, in order and without gaps: for logs and metrics.
public protocol ElectionObserver: Sendable {
    /// Called for each event, one at a time for each election. Renewals wait for it: it must return soon, and must not block.
    /// - Parameters:
    ///   - event: the event.
    ///   - election: the name of the election.
    func observe(_ event: ElectionEvent, of election: String)
}
