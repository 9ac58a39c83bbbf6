/// The events of an election from the moment at which ``Election/events`` was read.
///
/// Each reader reads the property for itself, and gets all events; copies of one value share them. A reader that falls behind by more than
/// 256 events loses the oldest ones, and gets ``ElectionEvent/missed(_:)`` in their place. The sequence ends when the reading task is
/// cancelled, and when the election has ended after ``Election/stop()``.
public struct ElectionEvents: AsyncSequence, Sendable {
    /// An event of the election.
    public typealias Element = ElectionEvent
    /// Reading events never fails.
    public typealias Failure = Never

    let reader: EventReader

    /// Reads the events one by one.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let reader: EventReader

        /// The next event; nil at the end.
        public mutating func next() async -> ElectionEvent? { await reader.next() }

        /// The next event; nil at the end.
        public mutating func next(isolation actor: isolated (any Actor)?) async -> ElectionEvent? { await reader.next() }
    }

    /// Begins to read.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(reader: reader) }
}
