/// A message as it arrived.
public struct NATSMessage: Sendable, Hashable {
    public var subject: String
    /// Subject on which an answer is expected.
    public var reply: String?
    public var headers: NATSHeaders
    public var payload: [UInt8]

    public init(subject: String, reply: String? = nil, headers: NATSHeaders = NATSHeaders(), payload: [UInt8] = []) {
        self.subject = subject
        self.reply = reply
        self.headers = headers
        self.payload = payload
    }
}
