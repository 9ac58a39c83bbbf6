import NIOCore
import NIOHTTP1
import NIOSSL
import QQCore
import QQNetwork

enum HTTPLimits {
    /// Size of the largest head of an answer, in bytes.
    static let head = 64 * 1024

    static let notHTTP = "the program that answers does not speak HTTP"
}

/// Why a connection has ended.
struct ConnectionLoss {
    /// The hint for a server that speaks TLS although it should not.
    private let tlsHint: String
    private var error: (any Error)?
    private var failure: TLSFailure?

    init(tlsHint: String) { self.tlsHint = tlsHint }

    /// Notes the first error; the others are its consequences.
    mutating func note(_ error: any Error, _ tls: TLSGuard?) {
        guard self.error == nil else { return }
        self.error = error
        failure = tls?.failure
    }

    /// How the peer broke the protocol; nil if it did not.
    private var offence: String? {
        switch error {
        // The connection ended in the middle of the answer.
        case let error as HTTPParserError where error == .invalidEOFState: nil
        case let error as HTTPParserError:
            error == .headerOverflow ? "the head of the server's answer has more than \(HTTPLimits.head) bytes" : HTTPLimits.notHTTP
        // The library has one error for several of these.
        case let error? where String(reflecting: type(of: error)).hasPrefix("NIOHTTP2."):
            ForeignError.reason(
                "the server's answer violates HTTP/2, or its head has more than \(HTTPLimits.head) bytes", words: "\(type(of: error))")
        default: nil
        }
    }

    /// The consequences of the loss for a request that was on the connection.
    struct Meaning {
        var kind = HTTPFailure.Kind.disconnected
        var reason: String
        /// Whether the server has certainly not processed the request.
        var isUnprocessed = false
        var repetition = ExchangeFailure.Repetition.never
        var tls: TLSFailure?
        var hint: String?
    }

    /// - Parameter isProven: whether the connection had worked.
    func meaning(isProven: Bool, _ tls: TLSGuard?) -> Meaning {
        // A server with TLS 1.3 refuses the client certificate after the handshake, before it reads a request. Any other failure of TLS can come
        // after a request was processed.
        if !isProven, let failure = failure ?? tls?.failure, failure.kind == .denied {
            return Meaning(kind: .notConnected, reason: failure.reason, isUnprocessed: true, tls: failure)
        }
        if let offence {
            return Meaning(kind: .brokenAnswer, reason: offence, hint: offence == HTTPLimits.notHTTP ? hint(isProven: isProven, tls) : nil)
        }
        return Meaning(
            reason: reason(isProven: isProven), repetition: isProven ? .ifRepeatable : .never, hint: hint(isProven: isProven, tls))
    }

    /// Servers with TLS end connections that begin in plain text.
    private func hint(isProven: Bool, _ tls: TLSGuard?) -> String? {
        tls == nil && !isProven ? "is that the right port? " + tlsHint : nil
    }

    private func reason(isProven: Bool) -> String {
        switch error {
        case let error as IOError: ConnectFailure.reason(error)
        case let error as HTTP2Silence: error.description
        case let error as HTTPParserError where error == .invalidEOFState: "the server ended the connection before its answer was complete"
        case is BoringSSLError: failure?.reason ?? "TLS failed"
        default: isProven ? "the server ended the connection" : "the server ended the connection without an answer"
        }
    }
}

/// A server that does not answer pings.
struct HTTP2Silence: Error, CustomStringConvertible {
    var description: String { "the server has fallen silent" }
}
