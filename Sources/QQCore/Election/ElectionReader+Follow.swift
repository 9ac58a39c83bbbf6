extension ElectionReader {
    /// Reads the states of elections as they change, also across outages: a stream of changes that fails is opened again after a pause, and then begins
    /// with the present states.
    ///
    /// - Parameters:
    ///   - withRenewals: whether renewals count as changes.
    ///   - clock: the clock that the pause is slept on.
    ///   - outage: called with each failure; throws to end with it.
    ///   - take: called with each state; ends by returning a result.
    /// - Returns: the result; nil if the system has ended the stream.
    /// - Throws: what `outage` and `take` throw, and `CancellationError`.
    public func follow<Result>(
        _ names: [String], withRenewals: Bool = false, on clock: any LeaseClock, pause: Duration,
        outage: (any Error) throws -> Void, take: (ElectionState) async throws -> Result?
    ) async throws -> Result? {
        while true {
            var changes = self.changes(of: names, withRenewals: withRenewals).makeAsyncIterator()
            while true {
                let next: ElectionState?
                do { next = try await changes.next() } catch {
                    try outage(error)
                    break
                }
                guard let next else { return nil }
                if let result = try await take(next) { return result }
            }
            try await clock.sleep(for: pause)
        }
    }
}
