/// The subjects of JetStream's API, under the default prefix, a domain's prefix, or the prefix under which an account imports the API (ADR-19).
struct JetStreamAPI: Sendable, Hashable {
    static let defaultPrefix = "$JS.API"

    /// The prefix without a trailing dot.
    let prefix: String

    init(prefix: String = defaultPrefix) {
        self.prefix = prefix.hasSuffix(".") ? String(prefix.dropLast()) : prefix
    }

    init(domain: String) { self.init(prefix: "$JS.\(domain).API") }

    // MARK: Account

    var accountInfo: String { prefix + ".INFO" }

    // MARK: Streams

    var streamNames: String { prefix + ".STREAM.NAMES" }
    var streamList: String { prefix + ".STREAM.LIST" }
    func streamInfo(_ stream: String) -> String { "\(prefix).STREAM.INFO.\(stream)" }
    func streamCreate(_ stream: String) -> String { "\(prefix).STREAM.CREATE.\(stream)" }
    func streamDelete(_ stream: String) -> String { "\(prefix).STREAM.DELETE.\(stream)" }
    func streamLeaderStepDown(_ stream: String) -> String { "\(prefix).STREAM.LEADER.STEPDOWN.\(stream)" }

    // MARK: Messages

    /// Answered by the stream leader.
    func messageGet(_ stream: String) -> String { "\(prefix).STREAM.MSG.GET.\(stream)" }

    /// Answered by any of the stream's servers, so the answer can be older than the last write. `subject` is the message's subject; the request is empty.
    func directGet(_ stream: String, subject: String) -> String { "\(prefix).DIRECT.GET.\(stream).\(subject)" }

    // MARK: Consumers

    func consumerCreate(_ stream: String, consumer: String, filter: String) -> String {
        "\(prefix).CONSUMER.CREATE.\(stream).\(consumer).\(filter)"
    }
    func consumerDelete(_ stream: String, consumer: String) -> String { "\(prefix).CONSUMER.DELETE.\(stream).\(consumer)" }
    func consumerInfo(_ stream: String, consumer: String) -> String { "\(prefix).CONSUMER.INFO.\(stream).\(consumer)" }

    // MARK: Key-value (ADR-8)

    /// The subject under which a key's messages are stored and read.
    static func keySubject(bucket: String, key: String) -> String { "$KV.\(bucket).\(key)" }

    /// The subject to which a key is written. As in nats.go, the prefix comes first unless it is the default one.
    func keyWrite(bucket: String, key: String) -> String {
        let subject = Self.keySubject(bucket: bucket, key: key)
        return prefix == Self.defaultPrefix ? subject : "\(prefix).\(subject)"
    }

    /// The stream behind a bucket.
    static func stream(ofBucket bucket: String) -> String { "KV_" + bucket }

    /// The bucket of a stream; nil if the stream's name is not that of a bucket.
    static func bucket(ofStream stream: String) -> String? {
        guard stream.hasPrefix("KV_"), stream.utf8.count > 3 else { return nil }
        return String(stream.dropFirst(3))
    }
}
