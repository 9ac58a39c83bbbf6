import QQNetwork

/// Why a request was not answered.
public struct HTTPFailure: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Kind: Sendable, Hashable {
        /// The request cannot be sent as it is.
        case invalidRequest
        /// No connection could be made.
        case notConnected
        /// The connection ended before the answer was complete.
        case disconnected
        /// The deadline came first.
        case timedOut
        /// The answer is larger than the limit, or not HTTP.
        case brokenAnswer
        /// The proxy refused to connect.
        case refusedByProxy
        /// The waiting task was cancelled.
        case cancelled
        /// As many streamed answers are open as are allowed.
        case tooManyStreams
    }

    public var kind: Kind
    /// The reason, in an operator's words, safe to show.
    public var reason: String
    /// The server that was asked, as host:port.
    public var endpoint: String
    /// Whether a part of the request might have reached the server, which might then carry it out.
    public var wasSent: Bool
    /// The failure of TLS, if that is the reason.
    public var tls: TLSFailure?
    /// A hint about the failure; nil if there is none.
    public var hint: String?

    public init(
        _ kind: Kind, _ reason: String, at endpoint: String, wasSent: Bool, tls: TLSFailure? = nil, hint: String? = nil
    ) {
        self.kind = kind
        self.reason = reason
        self.endpoint = endpoint
        self.wasSent = wasSent
        self.tls = tls
        self.hint = hint ?? tls?.hint ?? ConnectFailure.hint(reason)
    }

    public var description: String { "\(reason) (\(endpoint))" }
}
