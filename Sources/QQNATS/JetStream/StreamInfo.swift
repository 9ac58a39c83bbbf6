import QQCore

/// A stream and its state: the answer to STREAM.INFO and STREAM.CREATE.
struct StreamInfo: Sendable, Hashable {
    struct State: Sendable, Hashable {
        var messages: UInt64
        var firstSequence: UInt64
        /// Sequence of the newest message that ever existed; never decreases while the stream exists.
        var lastSequence: UInt64
        var lastTime: WallTime?
        var consumers: UInt64
    }

    /// The servers of a stream, if they form a cluster.
    struct Cluster: Sendable, Hashable {
        struct Replica: Sendable, Hashable {
            var name: String
            var isCurrent: Bool
            var isOffline: Bool
            /// Number of operations by which the replica is behind.
            var lag: UInt64
        }

        var name: String?
        /// The stream leader; nil while there is none.
        var leader: String?
        /// All servers but the stream leader.
        var replicas: [Replica]
    }

    var configuration: StreamConfiguration
    var created: WallTime?
    var state: State
    var cluster: Cluster?
    /// The server's clock when it answered; nil from servers before 2.10.
    var timestamp: WallTime?

    /// - Throws: JetStream's refusal, such as `isStreamNotFound`.
    init(_ message: NATSMessage) throws(JetStreamFailure) {
        try self.init(JetStreamAnswer(message))
    }

    init(_ answer: JetStreamAnswer) throws(JetStreamFailure) {
        configuration = try StreamConfiguration(answer.needed(answer.part("config"), "config"))
        created = try answer.time("created")
        state = try State(answer.needed(answer.part("state"), "state"))
        cluster = try answer.part("cluster").map { (part) throws(JetStreamFailure) in try Cluster(part) }
        timestamp = try answer.time("ts")
    }
}

extension StreamInfo.State {
    fileprivate init(_ answer: JetStreamAnswer) throws(JetStreamFailure) {
        messages = try answer.count("messages") ?? 0
        firstSequence = try answer.count("first_seq") ?? 0
        lastSequence = try answer.needed(answer.count("last_seq"), "last_seq")
        lastTime = try answer.time("last_ts")
        consumers = try answer.count("consumer_count") ?? 0
    }
}

extension StreamInfo.Cluster {
    fileprivate init(_ answer: JetStreamAnswer) throws(JetStreamFailure) {
        name = try answer.text("name")
        leader = try answer.text("leader").flatMap { $0.isEmpty ? nil : $0 }
        replicas = []
        for case .object(let object) in try answer.list("replicas") {
            let replica = JetStreamAnswer(object)
            replicas.append(
                Replica(
                    name: try replica.text("name") ?? "", isCurrent: try replica.truth("current") ?? false,
                    isOffline: try replica.truth("offline") ?? false, lag: try replica.count("lag") ?? 0))
        }
    }
}

/// A page of the answer to STREAM.LIST or STREAM.NAMES.
struct StreamPage<Stream: Sendable>: Sendable {
    var streams: [Stream]
    /// Number of streams on all pages.
    var total: Int
    var offset: Int

    /// Offset of the next page; nil after the last.
    var nextOffset: Int? {
        let next = offset + streams.count
        return streams.isEmpty || next >= total ? nil : next
    }

    private init(
        _ message: NATSMessage, stream: (JSONValue) throws(JetStreamFailure) -> Stream
    ) throws(JetStreamFailure) {
        let answer = try JetStreamAnswer(message)
        streams = []
        for value in try answer.list("streams") { streams.append(try stream(value)) }
        total = try answer.count("total").flatMap { Int(exactly: $0) } ?? 0
        offset = try answer.count("offset").flatMap { Int(exactly: $0) } ?? 0
        // No server has this many streams, and adding to the offset must not overflow.
        if offset > Int(Int32.max) { throw .malformed("JetStream's answer has an impossible offset") }
    }
}

extension StreamPage<StreamInfo> {
    /// Reads the answer to STREAM.LIST.
    init(infos message: NATSMessage) throws(JetStreamFailure) {
        try self.init(message) { value throws(JetStreamFailure) in
            guard let object = value.objectValue else { throw .malformed("a stream in JetStream's list is not an object") }
            return try StreamInfo(JetStreamAnswer(object))
        }
    }

    /// The streams that are buckets.
    var buckets: [(bucket: String, stream: StreamInfo)] {
        streams.compactMap { stream in stream.configuration.bucket.map { ($0, stream) } }
    }
}

extension StreamPage<String> {
    /// Reads the answer to STREAM.NAMES.
    init(names message: NATSMessage) throws(JetStreamFailure) {
        try self.init(message) { value throws(JetStreamFailure) in
            guard let name = value.stringValue else { throw .malformed("a stream in JetStream's list is not a name") }
            return name
        }
    }

    /// The buckets behind the streams, by their names.
    var buckets: [String] { streams.compactMap { JetStreamAPI.bucket(ofStream: $0) } }
}
