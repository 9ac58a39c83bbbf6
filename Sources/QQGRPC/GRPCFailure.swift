import GRPCCore
import QQCore
import QQNetwork
import SwiftProtobuf

/// Why a call did not bring an answer.
public struct GRPCFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// The status (grpc.io, "Status codes and their use in gRPC"), the server's own or the client's.
    public var code: RPCError.Code
    /// Why, in the server's words or in ours.
    public var message: String
    /// Who was asked, as host:port.
    public var endpoint: String
    /// Whether the request left us: then the server may have carried it out.
    public var wasSent: Bool
    /// Whether the server has not looked at the request: it may be sent again, whatever it asks for.
    var isRefused = false
    /// Whether the server said it; else nothing was heard from it.
    public var isAnswer: Bool
    /// What the server attached (`grpc-status-details-bin`, a google.rpc.Status): one serialized message for each detail, by type.
    public var details: [Detail]
    /// What is wrong with TLS, where that is the reason.
    public var tls: TLSFailure?

    /// A message of a type that the server names.
    public struct Detail: Sendable, Hashable {
        /// Such as `type.googleapis.com/raftlock.ErrorDetail`.
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

    /// The message as a person may be shown it.
    public var reason: String { message.isEmpty ? "the server says: \(code)" : Printable.text(message) }

    /// The detail of the type `name`, such as `raftlock.ErrorDetail`; nil where there is none, or none that can be read.
    public func detail<Content: SwiftProtobuf.Message>(_ type: Content.Type) -> Content? {
        let name = "/" + Content.protoMessageName
        return details.lazy.filter { $0.type.hasSuffix(name) }.compactMap { try? Content(serializedBytes: $0.bytes) }.first
    }

    /// The failure as a person is told of it.
    /// - Parameters:
    ///   - what: what failed, such as "cannot acquire web".
    ///   - isChange: whether it may have changed something if it was carried out.
    public func told(_ what: String, isChange: Bool) -> CoordinationError {
        let isUncertain = isChange && wasSent && canBeCarriedOut
        // What may have been carried out is for the system to tell of, and matters more than the way there.
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
        let question = "is that the right server, and the right port of it?"
        if message == Self.notHTTP2 { return question }
        // What a server with TLS does when it is spoken to in plain text.
        if message == Self.noAnswer { return question + " With TLS, its URL begins with qqs:// or raftlocks://" }
        return code == .unimplemented ? question : nil
    }

    static let notHTTP2 = "what answers does not speak HTTP/2"
    static let noAnswer = "the server ended the connection without a word"

    /// Whether the status leaves open if the request was carried out.
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
        // The server has not looked at it (RFC 9113, section 8.7), as when it ends the connection at that moment.
        let isRefused = wasSent && error.code == .unavailable && error.message.contains("0x7: refused stream")
        let wasSent = wasSent && !isRefused
        // What was not sent was not answered, and a stream that ended without a status neither.
        let isAnswer = wasSent && !(error.code == .unavailable && Self.isEndOfStream(error.message))
        self.init(error.code, Self.words(error), at: endpoint, wasSent: wasSent, isAnswer: isAnswer, details: details)
        self.isRefused = isRefused
    }

    /// Whether the library says that a stream ended before the server had given a status. It has no other sign of that.
    private static func isEndOfStream(_ message: String) -> Bool {
        message.contains("unexpectedly closed") || message.contains("RST_STREAM")
    }

    /// What lies at the bottom of a failure to connect.
    private static func reason(_ error: any Error) -> String {
        guard let error = error as? RPCError else {
            // The library below says so in types that nothing else of ours is concerned with.
            return String(reflecting: type(of: error)).hasPrefix("NIOHTTP2.") ? notHTTP2 : ConnectFailure.reason(error)
        }
        return error.cause.map { reason($0) } ?? words(error)
    }

    private static func words(_ error: RPCError) -> String {
        error.message.contains("before completing the HTTP/2 connection preface") ? noAnswer : error.message
    }

    private static func details(_ bytes: [UInt8]) -> [Detail] {
        guard let status = try? Google_Rpc_Status(serializedBytes: bytes) else { return [] }
        return status.details.map { Detail(type: $0.typeURL, bytes: Array($0.value)) }
    }
}
