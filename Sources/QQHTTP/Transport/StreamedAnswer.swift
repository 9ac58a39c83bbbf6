import NIOCore

/// A request whose answer is read line by line while it comes. `Sendable` is unchecked as in ``Exchange``.
final class StreamedAnswer: Exchange, @unchecked Sendable {
    struct Head: Sendable {
        var status: Int
        var fields: [HTTPRequest.Field]
    }

    typealias HeadOutcome = Result<Head, ExchangeFailure>
    typealias Line = Result<[UInt8]?, HTTPFailure>

    private let maximumLine: Int
    private var buffer = LineBuffer()
    private var head: HeadOutcome?
    private var headReader: CheckedContinuation<HeadOutcome, Never>?
    private var reader: CheckedContinuation<Line, Never>?
    /// How the answer has ended.
    private var ending: Result<Void, HTTPFailure>?

    /// Size of the complete lines below which more is read ahead, in bytes.
    private static let readAhead = 16 * 1024

    init(_ request: PreparedRequest, endpoint: String, maximumLine: Int) {
        self.maximumLine = maximumLine
        super.init(request, endpoint: endpoint)
    }

    override var wantsMore: Bool { !buffer.hasLine || buffer.count < Self.readAhead }

    override var hasAnswered: Bool { head != nil }

    override func receive(status: Int, _ fields: [HTTPRequest.Field]) { settleHead(.success(Head(status: status, fields: fields))) }

    override func receive(_ bytes: ByteBuffer) {
        buffer.append(bytes)
        if !buffer.hasLine, buffer.count > maximumLine { return tooLong() }
        deliver()
    }

    private func tooLong() {
        fail(.brokenAnswer, "a line of the server's answer has more than \(maximumLine) bytes, which is the maximum")
    }

    override func finished() {
        ending = .success(())
        deliver()
    }

    override func failed(_ failure: ExchangeFailure) {
        ending = .failure(failure.failure)
        if head == nil { settleHead(.failure(failure)) }
        deliver()
    }

    // MARK: Reading

    /// Resumes `continuation` when the head has come. Call this once.
    func resumeWithHead(_ continuation: CheckedContinuation<HeadOutcome, Never>) {
        if let head { return continuation.resume(returning: head) }
        headReader = continuation
    }

    private func settleHead(_ outcome: HeadOutcome) {
        head = outcome
        headReader?.resume(returning: outcome)
        headReader = nil
    }

    /// Resumes `continuation` with the next line, or nil at the end. Only one reader can wait at a time; another one gets the end at once.
    func resumeWithLine(_ continuation: CheckedContinuation<Line, Never>) {
        guard reader == nil else { return continuation.resume(returning: .success(nil)) }
        reader = continuation
        deliver()
    }

    private func deliver() {
        guard let waiting = reader else { return }
        if let line = buffer.next() {
            reader = nil
            waiting.resume(returning: .success(line))
            if case .on(let connection) = place, wantsMore { connection.readMore(self) }
            return
        }
        switch ending {
        case nil: return
        case .success: waiting.resume(returning: .success(buffer.count > 0 ? buffer.rest() : nil))
        case .failure(let failure): waiting.resume(returning: .failure(failure))
        }
        reader = nil
    }
}
