import QQCore

/// The configuration of a stream, as far as buckets need it.
struct StreamConfiguration: Sendable, Hashable {
    var name: String
    var subjects: [String]
    /// How long messages are kept; nil for forever.
    var maxAge: Duration?
    /// Number of messages kept for one subject; nil for any number.
    var maxMessagesPerSubject: UInt64?
    var replicas: Int
    /// Whether every server of the stream answers reads, not only the stream leader.
    var allowDirect: Bool
    /// If set, the server stores a marker on a subject whose last message has expired, and keeps the marker this long (server 2.11).
    var subjectDeleteMarkerTTL: Duration?
    /// Whether the stream is a copy of others.
    var isCopy = false

    /// The stream behind the bucket `bucket` that keeps the last value of each key for `maxAge`.
    static func bucket(_ bucket: String, maxAge: Duration, replicas: Int) -> StreamConfiguration {
        StreamConfiguration(
            name: JetStreamAPI.stream(ofBucket: bucket), subjects: ["$KV.\(bucket).>"], maxAge: maxAge, maxMessagesPerSubject: 1,
            replicas: replicas, allowDirect: true)
    }

    /// The bucket of this stream; nil if the stream is not a bucket.
    var bucket: String? {
        guard let bucket = JetStreamAPI.bucket(ofStream: name), isCopy || subjects.contains("$KV.\(bucket).>") else { return nil }
        return bucket
    }

    /// The request that creates the stream, with the fields that nats.go sends for a bucket.
    var creation: [UInt8] {
        let age = maxAge?.nanoseconds ?? 0
        // ADR-8: the time that values are kept, but at most two minutes.
        let duplicateWindow = age > 0 ? min(age, 120_000_000_000) : 120_000_000_000
        return JSONWriter.bytes([
            "name": .string(name), "subjects": .array(subjects.map { .string($0) }), "retention": "limits", "max_consumers": -1,
            "max_msgs": -1, "max_bytes": -1, "discard": "new", "max_age": .integer(age),
            "max_msgs_per_subject": maxMessagesPerSubject.map { .number($0) } ?? -1, "max_msg_size": -1, "storage": "file",
            "num_replicas": .integer(Int64(replicas)), "duplicate_window": .integer(duplicateWindow), "deny_delete": true,
            "allow_rollup_hdrs": true, "compression": "none", "allow_direct": .bool(allowDirect), "mirror_direct": false,
            "consumer_limits": [:],
        ])
    }
}

extension StreamConfiguration {
    init(_ answer: JetStreamAnswer) throws(JetStreamFailure) {
        name = try answer.needed(answer.text("name"), "name")
        subjects = try answer.list("subjects").compactMap(\.stringValue)
        let age = try answer.duration("max_age") ?? .zero
        maxAge = age > .zero ? age : nil
        let perSubject = try answer.integer("max_msgs_per_subject") ?? -1
        maxMessagesPerSubject = perSubject > 0 ? UInt64(perSubject) : nil
        replicas = try answer.integer("num_replicas").flatMap { Int(exactly: $0) } ?? 1
        allowDirect = try answer.truth("allow_direct") ?? false
        let marker = try answer.duration("subject_delete_marker_ttl") ?? .zero
        subjectDeleteMarkerTTL = marker > .zero ? marker : nil
        let sources = try answer.list("sources")
        isCopy = try answer.part("mirror") != nil || !sources.isEmpty
    }
}
