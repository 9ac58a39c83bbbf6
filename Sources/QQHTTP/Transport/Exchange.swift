import NIOCore
import QQNetwork

/// Why a try to send a request failed, and whether another try makes sense.
struct ExchangeFailure: Error {
    enum Repetition {
        case never
        /// The connection worked and has ended since then. A request can be sent again over a new one if it can be carried out twice.
        case ifRepeatable
        /// The server has certainly not processed the request (RFC 9113, section 8.7).
        case always
    }

    var failure: HTTPFailure
    var repetition = Repetition.never
}

/// One try to send a request, and its answer. Subclasses keep the answer.
///
/// `Sendable` is unchecked because everything but `request` is used only on the network thread.
class Exchange: @unchecked Sendable {
    enum Place {
        case new
        /// In the queue for a connection.
        case waiting
        case on(any HTTPConnection)
        case over
    }

    let request: PreparedRequest
    let endpoint: String
    final fileprivate(set) var place = Place.new
    /// Whether a part of the request might have left.
    final private(set) var wasSent = false
    /// The stream over HTTP/2.
    final var stream = 0
    /// Called when the exchange is over.
    final var whenOver: (() -> Void)?
    /// `reads` of the connection when the request was sent.
    final var readsBefore: UInt64 = 0

    init(_ request: PreparedRequest, endpoint: String) {
        self.request = request
        self.endpoint = endpoint
    }

    final var isOver: Bool { if case .over = place { true } else { false } }

    // MARK: For the pool

    final func wait() { place = .waiting }

    // MARK: For the connection

    /// The next thing that the connection does is to send the request.
    final func begin(on connection: any HTTPConnection) {
        place = .on(connection)
        wasSent = true
        readsBefore = connection.reads
    }

    /// Ends the exchange. Later ends have no effect.
    final func end(_ failure: ExchangeFailure?) {
        guard !isOver else { return }
        place = .over
        if let failure { failed(failure) } else { finished() }
        whenOver?()
        whenOver = nil
    }

    /// Ends the exchange with a failure.
    /// - Parameter isUnprocessed: whether the server has certainly not processed the request.
    final func fail(
        _ kind: HTTPFailure.Kind, _ reason: String, isUnprocessed: Bool = false, repetition: ExchangeFailure.Repetition = .never,
        tls: TLSFailure? = nil, hint: String? = nil
    ) {
        let failure = HTTPFailure(
            kind, reason, at: tls?.location ?? endpoint, wasSent: wasSent && !isUnprocessed, tls: tls, hint: hint)
        end(ExchangeFailure(failure: failure, repetition: repetition))
    }

    /// Ends the exchange because its connection has ended.
    final func fail(_ loss: ConnectionLoss.Meaning) {
        fail(
            loss.kind, loss.reason, isUnprocessed: loss.isUnprocessed, repetition: loss.repetition, tls: loss.tls, hint: loss.hint)
    }

    /// Whether more of the answer's body can be taken now. Otherwise the connection's `readMore` is called later.
    var wantsMore: Bool { true }

    /// Whether the answer has come as far as the deadline asks for: what has come is not taken back if the caller hears of it late.
    var hasAnswered: Bool { false }

    /// Takes the head of the answer.
    func receive(status: Int, _ fields: [HTTPRequest.Field]) {}
    /// Takes a part of the body. Ends the exchange if it becomes too large.
    func receive(_ bytes: ByteBuffer) {}
    /// The answer is complete. Called once, and not after `failed`.
    func finished() {}
    /// There is no complete answer. Called once, and not after `finished`.
    func failed(_ failure: ExchangeFailure) {}
}

/// A connection to the server, on the network thread.
protocol HTTPConnection: AnyObject {
    /// Whether another request can be sent now.
    var hasRoom: Bool { get }
    /// Whether the connection was idle for too long to be used again.
    var isStale: Bool { get }
    /// Whether a request has been answered over this connection.
    var isProven: Bool { get }
    /// Number of times that something has been read from the network.
    var reads: UInt64 { get }

    /// Sends a request. Call this only if there is room.
    func send(_ exchange: Exchange)
    /// Stops what the connection still does for an exchange that is over.
    func abandon(_ exchange: Exchange)
    /// The exchange wants more of the answer's body.
    func readMore(_ exchange: Exchange)
    /// Sends no more requests, and ends the connection when all are answered.
    func retire()
}

/// A request whose answer is kept as a whole. `Sendable` is unchecked as in ``Exchange``.
final class Call: Exchange, @unchecked Sendable {
    typealias Outcome = Result<HTTPAnswer, ExchangeFailure>

    private let limit: Int
    private var answer = HTTPAnswer(status: 0)
    private var outcome: Outcome?
    private var waiting: CheckedContinuation<Outcome, Never>?

    /// - Parameter limit: the size of the largest body, in bytes.
    init(_ request: PreparedRequest, endpoint: String, limit: Int) {
        self.limit = limit
        super.init(request, endpoint: endpoint)
    }

    /// Resumes `continuation` with the outcome. Call this once.
    func resume(_ continuation: CheckedContinuation<Outcome, Never>) {
        if let outcome { return continuation.resume(returning: outcome) }
        waiting = continuation
    }

    private func settle(_ outcome: Outcome) {
        self.outcome = outcome
        waiting?.resume(returning: outcome)
        waiting = nil
    }

    override func receive(status: Int, _ fields: [HTTPRequest.Field]) { answer = HTTPAnswer(status: status, fields: fields) }

    override func receive(_ bytes: ByteBuffer) {
        guard answer.body.count + bytes.readableBytes <= limit else {
            return fail(.brokenAnswer, "the server's answer has more than \(limit) bytes, which is the maximum")
        }
        answer.body.append(contentsOf: bytes.readableBytesView)
    }

    override func finished() { settle(.success(answer)) }
    override func failed(_ failure: ExchangeFailure) { settle(.failure(failure)) }
}
