/// The subjects of JetStream's API, under the usual prefix, that of a domain, or one that an account imports it under (ADR-19).
struct JetStreamAPI: Sendable, Hashable {
    static let defaultPrefix = "$JS.API"

    /// Without a dot at its end.
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

    /// Asks the stream's leader.
    func messageGet(_ stream: String) -> String { "\(prefix).STREAM.MSG.GET.\(stream)" }

    /// Asks any of the stream's servers, so that the answer may be behind the last write. `subject` is the message's; the request is empty.
    func directGet(_ stream: String, subject: String) -> String { "\(prefix).DIRECT.GET.\(stream).\(subject)" }

    // MARK: Consumers

    func consumerCreate(_ stream: String, consumer: String, filter: String) -> String {
        "\(prefix).CONSUMER.CREATE.\(stream).\(consumer).\(filter)"
    }
    func consumerDelete(_ stream: String, consumer: String) -> String { "\(prefix).CONSUMER.DELETE.\(stream).\(consumer)" }
    func consumerInfo(_ stream: String, consumer: String) -> String { "\(prefix).CONSUMER.INFO.\(stream).\(consumer)" }

    // MARK: Key-value (ADR-8)

    /// The subject that a key's messages are stored under, and read by.
    static func keySubject(bucket: String, key: String) -> String { "$KV.\(bucket).\(key)" }

    /// Where a key is written to: as nats.go does it, behind the prefix unless that is the usual one.
    func keyWrite(bucket: String, key: String) -> String {
        let subject = Self.keySubject(bucket: bucket, key: key)
        return prefix == Self.defaultPrefix ? subject : "\(prefix).\(subject)"
    }

    /// The stream behind a bucket.
    static func stream(ofBucket bucket: String) -> String { "KV_" + bucket }

    /// The bucket that a stream holds; nil where its name says that it is none.
    static func bucket(ofStream stream: String) -> String? {
        guard stream.hasPrefix("KV_"), stream.utf8.count > 3 else { return nil }
        return String(stream.dropFirst(3))
    }
}
