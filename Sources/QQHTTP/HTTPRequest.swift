/// A request to an HTTP server (RFC 9110).
public struct HTTPRequest: Sendable, Hashable {
    public enum Method: String, Sendable, Hashable {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case delete = "DELETE"
    }

    /// A header field, such as `Accept` with `application/json`.
    public struct Field: Sendable, Hashable {
        public var name: String
        public var value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    public var method: Method
    /// The path with the query, percent-encoded; begins with a slash.
    public var target: String
    public var fields: [Field]
    public var body: [UInt8]?

    public init(_ method: Method, _ target: String, fields: [Field] = [], body: [UInt8]? = nil) {
        self.method = method
        self.target = target
        self.fields = fields
        self.body = body
    }
}

/// A complete answer of an HTTP server, whatever its status.
public struct HTTPAnswer: Sendable, Hashable {
    /// The status code (RFC 9110, section 15).
    public var status: Int
    public var fields: [HTTPRequest.Field]
    public var body: [UInt8]

    public init(status: Int, fields: [HTTPRequest.Field] = [], body: [UInt8] = []) {
        self.status = status
        self.fields = fields
        self.body = body
    }

    /// The value of the first field with this name, whose case does not matter; nil if there is none.
    public func field(_ name: String) -> String? { fields.first { $0.name.lowercased() == name.lowercased() }?.value }
}
