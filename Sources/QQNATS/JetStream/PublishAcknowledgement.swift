/// JetStream's answer to a write that it stored.
struct PublishAcknowledgement: Sendable, Hashable {
    var stream: String
    /// The message's sequence number in the stream, which is the key's new revision.
    var sequence: UInt64
    /// Whether a message with the same ID had already been stored. Then `sequence` is that message's, which might no longer be the newest.
    var isDuplicate: Bool
    var domain: String?

    /// - Throws: JetStream's refusal, such as `isWrongLastSequence`.
    init(_ message: NATSMessage) throws(JetStreamFailure) {
        let answer = try JetStreamAnswer(message)
        stream = try answer.needed(answer.text("stream"), "stream")
        sequence = try answer.needed(answer.count("seq"), "seq")
        isDuplicate = try answer.truth("duplicate") ?? false
        domain = try answer.text("domain")
        guard sequence > 0 else { throw .malformed("JetStream acknowledged a message without its sequence") }
    }
}
