import QQCore
import QQNetwork

/// An answer that is read while it comes, such as that of a watch. The request ends when this value, its lines and their iterators are no longer
/// used, or the reading task is cancelled.
public struct HTTPStream: Sendable {
    /// The status code (RFC 9110, section 15).
    public let status: Int
    public let fields: [HTTPRequest.Field]
    /// The lines of the body.
    public let lines: HTTPLines

    init(_ head: StreamedAnswer.Head, _ lines: HTTPLines) {
        status = head.status
        fields = head.fields
        self.lines = lines
    }

    /// Reads the whole body as text, for an answer that is not a stream after all, such as a refusal. Read either this or the lines.
    /// - Throws: `HTTPFailure`, also if there is more than `HTTPSettings.maximumLine`.
    public func body(until deadline: BootInstant) async throws(HTTPFailure) -> [UInt8] { try await lines.all(until: deadline) }

    /// The value of the first field with this name, whose case does not matter; nil if there is none.
    public func field(_ name: String) -> String? { fields.first { $0.name.lowercased() == name.lowercased() }?.value }

    /// Ends the request.
    public func close() { lines.close() }
}

/// The lines of a streamed answer, without their line feeds; the last one can lack it. Each is read once.
///
/// The server is held up while no task reads: at most `HTTPSettings.maximumLine` and the bytes of one read from the connection are kept.
public struct HTTPLines: AsyncSequence, Sendable {
    public typealias Failure = HTTPFailure

    /// Ends the request when it is no longer referenced.
    final class Reading: Sendable {
        let answer: StreamedAnswer
        let pool: ConnectionPool
        let deadlines: Deadlines
        let limit: Int

        init(_ answer: StreamedAnswer, _ pool: ConnectionPool, _ deadlines: Deadlines, limit: Int) {
            self.answer = answer
            self.pool = pool
            self.deadlines = deadlines
            self.limit = limit
        }

        deinit { close() }

        func close() { NetworkThread.run { [pool, answer] in pool.stop(answer, .cancelled, "interrupted") } }

        func next() async throws(HTTPFailure) -> [UInt8]? {
            let line = await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    NetworkThread.run { [answer] in answer.resumeWithLine(continuation) }
                }
            } onCancel: {
                close()
            }
            return try line.get()
        }
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let reading: Reading

        /// The next line; nil at the end of the answer.
        /// - Throws: `HTTPFailure` if the connection ended before the answer was complete, or a line is too long.
        public mutating func next() async throws(HTTPFailure) -> [UInt8]? { try await reading.next() }

        public mutating func next(isolation actor: isolated (any Actor)?) async throws(HTTPFailure) -> [UInt8]? { try await reading.next() }
    }

    private let reading: Reading

    init(_ reading: Reading) { self.reading = reading }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(reading: reading) }

    func close() { reading.close() }

    func all(until deadline: BootInstant) async throws(HTTPFailure) -> [UInt8] {
        let watch = reading.deadlines.watch(until: deadline) { [reading] in
            NetworkThread.run { reading.pool.stop(reading.answer, .timedOut, "no answer in time") }
        }
        defer { reading.deadlines.forget(watch) }
        var text: [UInt8] = []
        while let line = try await reading.next() {
            if !text.isEmpty { text.append(UInt8(ascii: "\n")) }
            guard text.count + line.count <= reading.limit else {
                close()
                let reason = "the server's answer has more than \(reading.limit) bytes, which is the maximum"
                throw HTTPFailure(.brokenAnswer, reason, at: reading.answer.endpoint, wasSent: true)
            }
            text += line
        }
        return text
    }
}
