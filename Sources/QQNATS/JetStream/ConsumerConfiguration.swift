import QQCore

/// A consumer that pushes the last value of every key that `filter` matches, and then each change, without acknowledgements. nats.go creates the same one for a
/// KV watch (ADR-8, ADR-17).
struct ConsumerConfiguration: Sendable, Hashable {
    var stream: String
    var name: String
    /// Subject pattern, such as `$KV.demo.leader` or `$KV.demo.>`.
    var filter: String
    /// Subject to which messages are delivered.
    var deliverSubject: String
    /// Longest silence of the server.
    var heartbeat: Duration

    /// The request that creates the consumer.
    var creation: [UInt8] {
        JSONWriter.bytes([
            "stream_name": .string(stream),
            "config": [
                "deliver_policy": "last_per_subject", "ack_policy": "none", "ack_wait": 79_200_000_000_000, "max_deliver": 1,
                "filter_subject": .string(filter), "replay_policy": "instant", "flow_control": true,
                "idle_heartbeat": .integer(heartbeat.nanoseconds), "deliver_subject": .string(deliverSubject), "num_replicas": 1,
                "mem_storage": true,
            ],
        ])
    }
}

/// The answer to CONSUMER.CREATE and CONSUMER.INFO.
struct ConsumerInfo: Sendable, Hashable {
    var name: String
    /// Number of messages that remain to be delivered.
    var pending: UInt64
    /// Number of messages delivered so far.
    var delivered: UInt64

    init(name: String, pending: UInt64, delivered: UInt64 = 0) {
        self.name = name
        self.pending = pending
        self.delivered = delivered
    }

    /// - Throws: JetStream's refusal, such as `isStreamNotFound`.
    init(_ message: NATSMessage) throws(JetStreamFailure) {
        let answer = try JetStreamAnswer(message)
        name = try answer.needed(answer.text("name"), "name")
        pending = try answer.count("num_pending") ?? 0
        delivered = try answer.part("delivered")?.count("consumer_seq") ?? 0
    }
}
