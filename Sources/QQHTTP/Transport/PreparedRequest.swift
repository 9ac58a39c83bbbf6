import NIOCore
import NIOHPACK
import NIOHTTP1

/// A request as it is sent: checked, with the server's path and the fields that describe the message.
struct PreparedRequest: Sendable {
    private let scheme: HTTPServer.Scheme
    private let authority: String
    private let method: HTTPRequest.Method
    private let target: String
    private let fields: [HTTPRequest.Field]
    let body: ByteBuffer?

    /// - Throws: `HTTPFailure` of kind `.invalidRequest` for a target or a field that would not be one target or field on the wire, or that this
    ///   module sets itself.
    init(_ request: HTTPRequest, to server: HTTPServer) throws(HTTPFailure) {
        func invalid(_ reason: String) -> HTTPFailure { HTTPFailure(.invalidRequest, reason, at: server.endpoint, wasSent: false) }
        guard request.target.utf8.first == UInt8(ascii: "/"), request.target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw invalid("the path of the request is not percent-encoded")
        }
        for field in request.fields {
            guard Self.isName(field.name), !Self.own.contains(field.name.lowercased()) else {
                throw invalid("the field \(field.name.debugDescription) cannot be sent")
            }
            // The value can be a credential, which is not shown.
            guard Self.isValue(field.value) else { throw invalid("the value of the field \(field.name) contains a control character") }
        }
        scheme = server.scheme
        authority = server.authority
        method = request.method
        target = server.path + request.target
        fields = request.fields
        body = request.body.flatMap { $0.isEmpty ? nil : ByteBuffer(bytes: $0) }
    }

    /// Fields that describe the message or the connection.
    private static let own: Set = [
        "host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect",
    ]

    /// RFC 9110, section 5.6.2.
    private static func isName(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"):
                    true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    /// RFC 9110, section 5.5.
    private static func isValue(_ value: String) -> Bool { value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 } }

    /// A body needs its length; a method that usually has a body says that it has none.
    private var contentLength: Int? { body?.readableBytes ?? (method == .post || method == .put ? 0 : nil) }

    /// The head over HTTP/1.1.
    var head: HTTPRequestHead {
        var headers = HTTPHeaders()
        headers.reserveCapacity(fields.count + 2)
        headers.add(name: "Host", value: authority)
        for field in fields { headers.add(name: field.name, value: field.value) }
        if let contentLength { headers.add(name: "Content-Length", value: "\(contentLength)") }
        return HTTPRequestHead(version: .http1_1, method: HTTPMethod(rawValue: method.rawValue), uri: target, headers: headers)
    }

    /// The head over HTTP/2 (RFC 9113, section 8.3.1).
    var headers: HPACKHeaders {
        var headers = HPACKHeaders()
        headers.reserveCapacity(fields.count + 5)
        headers.add(name: ":method", value: method.rawValue)
        headers.add(name: ":scheme", value: scheme.rawValue)
        headers.add(name: ":authority", value: authority)
        // Every lease has a path of its own, which would push repeated fields out of the tables that compress fields (RFC 7541).
        headers.add(name: ":path", value: target, indexing: .nonIndexable)
        for field in fields { headers.add(name: field.name.lowercased(), value: field.value) }
        if let contentLength { headers.add(name: "content-length", value: "\(contentLength)", indexing: .nonIndexable) }
        return headers
    }
}
