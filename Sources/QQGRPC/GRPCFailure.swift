import GRPCCore
import QQCore
import QQNetwork
import SwiftProtobuf

/// Why a call was not answered as requested.
public struct GRPCFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// The status (grpc.io, "Status codes and their use in gRPC"), the server's own or the client's.
    public var code: RPCError.Code
    /// The reason, in the server's words or in ours.
    public var message: String
    /// The server that was asked, as host:port.
    public var endpoint: String
    /// Whether the request was sent. The server might have carried it out in that case.
    public var wasSent: Bool
    /// Whether the server has refused the request without reading it, so that any request can be sent again.
    var isRefused = false
    /// Whether the status is the server's own. If not, the server has not answered.
    public var isAnswer: Bool
    /// Details that the server attached (`grpc-status-details-bin`, a google.rpc.Status): one serialized message for each, with its type.
    public var details: [Detail]
    /// The failure of TLS, if that is the reason.
    public var tls: TLSFailure?

    /// A message, with its type as the server names it.
    public struct Detail: Sendable, Hashable {
        /// The type's URL, such as `type.googleapis.com/raftlock.ErrorDetail`.
        public var type: String
        public var bytes: [UInt8]

        public init(type: String, bytes: [UInt8]) {
            self.type = type
            self.bytes = bytes
        }
    }

    public init(
        _ code: RPCError.Code, _ message: String, at endpoint: String, wasSent: Bool, isAnswer: Bool = true, details: [Detail] = [],
        tls: TLSFailure? = nil
    ) {
        self.code = code
        self.message = message
        self.endpoint = endpoint
        self.wasSent = wasSent
        self.isAnswer = isAnswer
        self.details = details
        self.tls = tls
    }

    public var description: String { "\(reason) (\(endpoint))" }

    /// The message, safe to show to the user.
    public var reason: String { message.isEmpty ? "the server answered with \(code)" : Printable.text(message) }

    /// The detail of the type `name`, such as `raftlock.ErrorDetail`; nil if there is none that can be decoded.
    public func detail<Content: SwiftProtobuf.Message>(_ type: Content.Type) -> Content? {
        let name = "/" + Content.protoMessageName
        return details.lazy.filter { $0.type.hasSuffix(name) }.compactMap { try? Content(serializedBytes: $0.bytes) }.first
    }

    /// The failure as an error for the user.
    /// - Parameters:
    ///   - what: what failed, such as "cannot acquire web".
    ///   - isChange: whether the request changes something if it is carried out.
    public func told(_ what: String, isChange: Bool) -> CoordinationError {
        let isUncertain = isChange && wasSent && canBeCarriedOut
        // If the request might have been carried out, the hint is up to the system, and matters more than one about the connection.
        let way = isAnswer || isUncertain ? nil : ConnectFailure.hint(message)
        return CoordinationError(
            kind, what, because: reason, at: endpoint, hint: tls?.hint ?? hint ?? way, isUncertain: isUncertain)
    }

    private var kind: CoordinationError.Kind {
        if let tls {
            return switch tls.kind {
            case .configuration: .configuration
            case .denied: .denied
            case .disconnected: .unavailable
            }
        }
        return switch code {
        case .permissionDenied, .unauthenticated: .denied
        case .invalidArgument, .outOfRange: .usage
        case .unimplemented, .dataLoss: .brokenData
        default: .unavailable
        }
    }

    private var hint: String? {
        let question = "is that the right server, and the right port?"
        if message == Self.notHTTP2 { return question }
        // A server with TLS does this when it is spoken to in plain text.
        if message == Self.noAnswer { return question + " With TLS, its URL begins with qqs:// or raftlocks://" }
        return code == .unimplemented ? question : nil
    }

    static let notHTTP2 = "the program that answers does not speak HTTP/2"
    /// The message if a server has ended the connection at once, as one with TLS does that is spoken to without.
    public static let noAnswer = "the server ended the connection without an answer"
    /// The message if an answer has more bytes than the settings allow.
    public static let tooLarge = "the server's answer has more bytes than qq accepts"

    /// Whether the request might have been carried out despite the status.
    private var canBeCarriedOut: Bool {
        switch code {
        case .cancelled, .unknown, .deadlineExceeded, .aborted, .internalError, .unavailable, .dataLoss: true
        default: false
        }
    }
}

extension GRPCFailure {
    init(_ error: any Error, at endpoint: String, wasSent: Bool, tls: TLSFailure?) {
        if let tls {
            self.init(.unavailable, tls.reason, at: tls.location ?? endpoint, wasSent: false, isAnswer: false, tls: tls)
            return
        }
        guard let error = error as? RPCError else {
            let code: RPCError.Code = error is CancellationError ? .cancelled : .unknown
            let reason = error is CancellationError ? "interrupted" : ConnectFailure.reason(error)
            self.init(code, reason, at: endpoint, wasSent: wasSent, isAnswer: false)
            return
        }
        if let cause = error.cause, error.code == .unavailable {
            self.init(.unavailable, Self.reason(cause), at: endpoint, wasSent: wasSent, isAnswer: false)
            return
        }
        let details = error.metadata[binaryValues: "grpc-status-details-bin"].flatMap { Self.details($0) }
        if error.code == .deadlineExceeded, details.isEmpty {
            self.init(.deadlineExceeded, "no answer in time", at: endpoint, wasSent: wasSent, isAnswer: false)
            return
        }
        // The server has not read the request (RFC 9113, section 8.7), as when it ends the connection at that moment.
        let isRefused = wasSent && error.code == .unavailable && error.message.contains("0x7: refused stream")
        let wasSent = wasSent && !isRefused
        // A request that was not sent was not answered, nor was a stream that ended without a status.
        let isAnswer = wasSent && !(error.code == .unavailable && Self.isEndOfStream(error.message))
        self.init(error.code, Self.words(error), at: endpoint, wasSent: wasSent, isAnswer: isAnswer, details: details)
        self.isRefused = isRefused
    }

    /// Whether the library's message is that of a stream that ended before the server had sent a status. The library has no other sign of
    /// that.
    private static func isEndOfStream(_ message: String) -> Bool {
        message.contains("unexpectedly closed") || message.contains("RST_STREAM")
    }

    /// The underlying reason of a failure to connect.
    private static func reason(_ error: any Error) -> String {
        guard let error = error as? RPCError else {
            // NIOHTTP2 reports this with types that no other code here uses.
            return String(reflecting: type(of: error)).hasPrefix("NIOHTTP2.") ? notHTTP2 : ConnectFailure.reason(error)
        }
        return error.cause.map { reason($0) } ?? words(error)
    }

    /// The library's own messages, by a part of each, in our words. All others are the server's.
    private static let words: [(part: String, own: String)] = [
        ("before completing the HTTP/2 connection preface", noAnswer),
        ("received RST_STREAM frame (0x7: refused stream)", "the server refused the call"),
        ("received RST_STREAM frame", "the server broke the call off"),
        ("Stream unexpectedly closed", "the connection was lost"),
        ("The TCP connection was dropped unexpectedly", "the connection was lost"),
        ("no subchannel available", "not connected"), ("subchannel isn't ready", "not connected"),
        ("subchannel is unavailable", "not connected"), ("Subchannel shutdown", "not connected"),
        ("Could not establish a connection to", "not connected"), ("channel is closed", "not connected"),
        ("channel is shutdown", "not connected"),
        ("The channel was closed", "not connected"), ("Transport is shut", "not connected"),
        ("RPC timed out before completing", "no answer in time"), ("Failed to resolve server name", "no such host"),
        ("Couldn't resolve address for", "no such host"),
        ("No messages received, exactly one was expected", "the server's answer has no content"),
        ("exceeded the configured maximum payload size", tooLarge), ("Failed to decode message", "the server's answer cannot be decoded"),
        ("Stream is in an error state", "the connection failed"),
        ("The transport threw an unexpected error", "the connection failed"), ("Write failed", "the connection failed"),
    ]

    private static func words(_ error: RPCError) -> String { words.first { error.message.contains($0.part) }?.own ?? error.message }

    private static func details(_ bytes: [UInt8]) -> [Detail] {
        guard let status = try? Google_Rpc_Status(serializedBytes: bytes) else { return [] }
        return status.details.map { Detail(type: $0.typeURL, bytes: Array($0.value)) }
    }
}
