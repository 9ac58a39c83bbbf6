/// The headers of a message: names with values, in order, and the status line that servers put in front of their own answers.
///
/// Names are case-sensitive, as in the NATS clients (ADR-4).
public struct NATSHeaders: Sendable, Hashable {
    /// One `name: value`.
    public struct Field: Sendable, Hashable {
        public var name: String
        public var value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// The status code in the first line, such as 404 or 503; nil if there is none.
    public var status: Int?
    /// The text after the status code.
    public var statusText: String?
    public var fields: [Field]

    public init(_ fields: [Field] = [], status: Int? = nil, statusText: String? = nil) {
        self.fields = fields
        self.status = status
        self.statusText = statusText
    }

    public var isEmpty: Bool { fields.isEmpty && status == nil }

    /// The first value under `name`.
    public subscript(name: String) -> String? { fields.first { $0.name == name }?.value }
}
