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
    /// Whether `message` is in our words. If not, it is the server's.
    public var isInOurWords = false
    /// Whether the connection was made with TLS.
    public var isOverTLS = false

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
    public var reason: String { message.isEmpty ? "the server answered with \(code.name) and no reason" : Printable.text(message) }

    /// The detail of the type `name`, such as `raftlock.ErrorDetail`; nil if there is none that can be decoded.
    public func detail<Content: SwiftProtobuf.Message>(_ type: Content.Type) -> Content? {
        let name = "/" + Content.protoMessageName
        for detail in details where detail.type.hasSuffix(name) {
            if let content = try? Content(serializedBytes: detail.bytes) { return content }
        }
        return nil
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
        if message == Self.notHTTP2 || message == Self.notGRPC { return question }
        if message.hasPrefix(Self.httpStatus) { return question + " A proxy in between might answer in the server's place" }
        // A server with TLS does this when it is spoken to in plain text.
        if message == Self.noAnswer { return isOverTLS ? question : question + " With TLS, its URL begins with qqs:// or raftlocks://" }
        return code == .unimplemented ? question : nil
    }

    static let notHTTP2 = "the program that answers does not speak HTTP/2"
    static let notGRPC = "the server's answer is not that of a gRPC server"
    private static let httpStatus = "the server answers with HTTP status "
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
    /// - Parameters:
    ///   - wasSent: whether the request was given to a connection.
    ///   - tls: how TLS failed on that connection; nil if it did not.
    ///   - isOverTLS: whether the connection was made with TLS.
    ///   - isProven: whether a call over the connection, or the one before it to the same server, has been answered.
    init(
        _ error: any Error, at endpoint: String, wasSent: Bool, tls: TLSFailure?, isOverTLS: Bool = false, isProven: Bool = false
    ) {
        // A server refuses the client certificate before it reads a request, and then has not answered any. Every other failure of TLS can come after
        // it has read the request.
        self.init(error, at: endpoint, wasSent: wasSent && (tls?.kind != .denied || isProven), tls)
        self.isOverTLS = isOverTLS || tls != nil
    }

    private init(_ error: any Error, at endpoint: String, wasSent: Bool, _ tls: TLSFailure?) {
        func own(_ code: RPCError.Code, _ reason: String) -> GRPCFailure {
            var failure = GRPCFailure(code, reason, at: tls?.location ?? endpoint, wasSent: wasSent, isAnswer: false, tls: tls)
            failure.isInOurWords = true
            return failure
        }
        if let tls {
            self = own(.unavailable, tls.reason)
            return
        }
        guard let error = error as? RPCError else {
            self =
                error is CancellationError ? own(.cancelled, "interrupted") : own(.unknown, ConnectFailure.reason(error))
            return
        }
        if let cause = error.cause, error.code == .unavailable {
            self = own(.unavailable, Self.reason(cause))
            return
        }
        let details = error.metadata[binaryValues: "grpc-status-details-bin"].flatMap { Self.details($0) }
        if error.code == .deadlineExceeded, details.isEmpty {
            self = own(.deadlineExceeded, "no answer in time")
            return
        }
        // The server has not read the request (RFC 9113, section 8.7), as when it ends the connection at that moment.
        let isRefused = wasSent && error.code == .unavailable && error.message.contains("0x7: refused stream")
        let wasSent = wasSent && !isRefused
        // A request that was not sent was not answered, nor was a stream that ended without a status.
        let isAnswer = wasSent && !(error.code == .unavailable && Self.isEndOfStream(error.message))
        let words = Self.ownWords(error)
        self.init(error.code, words ?? error.message, at: endpoint, wasSent: wasSent, isAnswer: isAnswer, details: details)
        self.isRefused = isRefused
        isInOurWords = words != nil
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
        return error.cause.map { reason($0) } ?? ownWords(error) ?? error.message
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
        ("exceeded the configured maximum payload size", tooLarge), ("Failed to decode message", undecodable),
        ("Stream is in an error state", "the connection failed"),
        ("The transport threw an unexpected error", "the connection failed"), ("Write failed", "the connection failed"),
        ("Channel is in a transient failure state", "not connected"), ("Channel is shutting down", "not connected"),
        ("closed because the keepalive timeout fired", "the server has fallen silent"),
        ("HTTP Status Code is missing", notGRPC), ("Missing content-type header", notGRPC),
        ("No 'grpc-status' value in trailers", notGRPC), ("Invalid 'grpc-status' in trailers", notGRPC),
        ("Server sent a DATA frame before sending initial metadata", notGRPC), ("Server sent EOS alongside a data frame", notGRPC),
        ("The server picked a compression algorithm", "the server's answer is compressed in a way that qq does not know"),
        ("Message is too large to decompress", tooLarge),
        // What this module throws itself.
        (withoutMessage, withoutMessage), (undecodable, undecodable),
    ]

    static let withoutMessage = "the server answered without a message"
    static let undecodable = "the server's answer cannot be decoded"

    /// The message in our words; nil if it is the server's.
    private static func ownWords(_ error: RPCError) -> String? {
        if let known = words.first(where: { error.message.contains($0.part) }) { return known.own }
        let status = "Unexpected non-200 HTTP Status Code ("
        if error.message.hasPrefix(status) {
            return httpStatus + String(error.message.dropFirst(status.count).prefix { $0.isNumber }) + ", not as a gRPC server"
        }
        // Errors with a cause are the library's: a server's status has none.
        return error.cause.map { cause in
            cause is RPCError
                ? reason(cause) : ForeignError.reason("the connection failed", words: error.message.isEmpty ? "\(cause)" : error.message)
        }
    }

    private static func details(_ bytes: [UInt8]) -> [Detail] {
        guard let status = try? Google_Rpc_Status(serializedBytes: bytes) else { return [] }
        return status.details.map { Detail(type: $0.typeURL, bytes: Array($0.value)) }
    }
}

extension RPCError.Code {
    /// The code's name in the specification of gRPC, such as `INTERNAL`.
    var name: String {
        switch self {
        case .cancelled: "CANCELLED"
        case .unknown: "UNKNOWN"
        case .invalidArgument: "INVALID_ARGUMENT"
        case .deadlineExceeded: "DEADLINE_EXCEEDED"
        case .notFound: "NOT_FOUND"
        case .alreadyExists: "ALREADY_EXISTS"
        case .permissionDenied: "PERMISSION_DENIED"
        case .resourceExhausted: "RESOURCE_EXHAUSTED"
        case .failedPrecondition: "FAILED_PRECONDITION"
        case .aborted: "ABORTED"
        case .outOfRange: "OUT_OF_RANGE"
        case .unimplemented: "UNIMPLEMENTED"
        case .internalError: "INTERNAL"
        case .unavailable: "UNAVAILABLE"
        case .dataLoss: "DATA_LOSS"
        case .unauthenticated: "UNAUTHENTICATED"
        default: "status \(rawValue)"
        }
    }
}
