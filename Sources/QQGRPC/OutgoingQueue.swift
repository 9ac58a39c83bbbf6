import Synchronization

/// Messages that wait to be written to a stream. Whatever was added during a write goes out together in the next one.
final class OutgoingQueue: Sendable {
    private let waiting = Mutex<[[UInt8]]>([])
    private let limit: Int
    private let ring: AsyncStream<Void>.Continuation
    /// Yields when messages are waiting. For one reader.
    let rings: AsyncStream<Void>

    /// - Parameter limit: number of messages that can wait.
    init(limit: Int) {
        self.limit = limit
        (rings, ring) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// - Returns: false if the queue is full.
    func add(_ message: [UInt8]) -> Bool {
        let fits = waiting.withLock { waiting in
            guard waiting.count < limit else { return false }
            waiting.append(message)
            return true
        }
        ring.yield()
        return fits
    }

    /// Takes all messages, in order.
    func takeAll() -> [[UInt8]] {
        waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
    }
}
