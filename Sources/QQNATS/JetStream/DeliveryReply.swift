import QQCore

/// What the reply subject of a message tells that a consumer delivered. Sources: ADR-15, and nats.go's `getMetadataFields`.
///
/// Nine tokens, `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer sequence>.<time>.<pending>`, or from 11 on
/// `$JS.ACK.<domain>.<account hash>.<stream>…<pending>` with whatever follows; a domain of `_` is none.
struct DeliveryReply: Sendable, Hashable {
    var domain: String?
    var stream: String
    var consumer: String
    var deliveries: UInt64
    var streamSequence: UInt64
    /// Counts what this consumer delivered, from 1.
    var consumerSequence: UInt64
    /// When the message was stored, by the server's clock.
    var stored: WallTime
    /// How many messages the consumer has still to deliver.
    var pending: UInt64

    /// Nil where it is no such subject.
    init?(_ reply: String) {
        var tokens = reply.split(separator: ".", omittingEmptySubsequences: false)
        guard tokens.count == 9 || tokens.count >= 11, tokens[0] == "$JS", tokens[1] == "ACK" else { return nil }
        if tokens.count >= 11 {
            domain = tokens[2] == "_" ? nil : String(tokens[2])
            tokens.removeSubrange(2...3)
        }
        guard let deliveries = UInt64(tokens[4]), let streamSequence = UInt64(tokens[5]), let consumerSequence = UInt64(tokens[6]),
            let nanoseconds = Int64(tokens[7]), let pending = UInt64(tokens[8])
        else { return nil }
        stream = String(tokens[2])
        consumer = String(tokens[3])
        self.deliveries = deliveries
        self.streamSequence = streamSequence
        self.consumerSequence = consumerSequence
        stored = WallTime(seconds: 0, nanoseconds: nanoseconds)
        self.pending = pending
    }
}
