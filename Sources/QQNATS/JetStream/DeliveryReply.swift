import QQCore

/// The reply subject of a message that a consumer delivered. Sources: ADR-15, and nats.go's `getMetadataFields`.
///
/// Nine tokens, `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer sequence>.<time>.<pending>`, or from 11 on
/// `$JS.ACK.<domain>.<account hash>.<stream>…<pending>`, followed by anything; the domain `_` means none.
struct DeliveryReply: Sendable, Hashable {
    var domain: String?
    var stream: String
    var consumer: String
    var deliveries: UInt64
    var streamSequence: UInt64
    /// Number of this delivery of the consumer, counted from 1.
    var consumerSequence: UInt64
    /// Time at which the message was stored, by the server's clock.
    var stored: WallTime
    /// Number of messages that remain to be delivered by the consumer.
    var pending: UInt64

    /// Nil if `reply` is not such a subject.
    init?(_ reply: String) {
        var tokens = reply[...].utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map { Substring($0) }
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
