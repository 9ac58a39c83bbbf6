/// The events of watched keys, in order. The number of events that wait for the reader is bounded: a reader that falls behind gets `.lost`.
public struct EtcdWatch: AsyncSequence, Sendable {
    public typealias Failure = Never

    public enum Event: Sendable {
        /// The server watches all of the keys now.
        case began
        /// Changes of one revision or several, in order.
        case changed([EtcdChange])
        /// Changes were lost, because the cluster has discarded the revisions up to this one. Read again, and watch from there.
        case compacted(Int64)
        /// The watch has ended. Read again, and watch from there.
        case lost(EtcdFailure)
    }

    private let events: AsyncStream<Event>

    /// - Parameter events: a stream with a bound. It is told when nobody reads it any more (`onTermination`).
    public init(_ events: AsyncStream<Event>) { self.events = events }

    public func makeAsyncIterator() -> AsyncStream<Event>.Iterator { events.makeAsyncIterator() }
}

/// A change of one key (mvccpb.Event).
public enum EtcdChange: Sendable, Hashable {
    case put(EtcdKeyValue)
    /// Deleted, revoked or expired, at this revision: that cannot be told apart.
    case deleted([UInt8], at: Int64)
}
