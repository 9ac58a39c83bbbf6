import QQCore

/// A refusal by JetStream.
public struct JetStreamError: Error, Hashable, CustomStringConvertible {
    public let code: Int64
    public let description: String
}

/// A message that a stream stores under a subject.
public struct StoredMessage: Sendable, Hashable {
    public var sequence: UInt64
    public var headers: String
    public var payload: [UInt8]
    /// Time of storage by the server's clock, in RFC 3339.
    public var time: String

    public var text: String { String(decoding: payload, as: UTF8.self) }
    public var json: JSONValue? { try? JSONValue.parse(payload) }
    /// Whether the message is a tombstone: a deletion or a purge.
    public var isDeletion: Bool { headers.contains("KV-Operation: ") }
}

extension RawNATS {
    /// Sends a request to the JetStream API.
    /// - Throws: `JetStreamError` for a refusal, `SocketError` if JetStream does not answer.
    public func jetStream(_ verb: String, _ body: JSONValue? = nil, within limit: Duration = .seconds(20)) throws -> JSONValue {
        let answer = try request("$JS.API." + verb, body.map { JSONWriter.string($0) } ?? "", within: limit)
        guard answer.status == nil, let json = answer.json else {
            throw SocketError("\(verb): no JetStream, status \(answer.status as Any)")
        }
        try Self.check(json)
        return json
    }

    private static func check(_ json: JSONValue) throws {
        guard let error = json["error"] else { return }
        throw JetStreamError(
            code: error["err_code"]?.int64Value ?? 0, description: error["description"]?.stringValue ?? JSONWriter.string(error))
    }

    /// The stream's info; nil if the stream does not exist.
    public func streamInfo(_ stream: String, within limit: Duration = .seconds(20)) throws -> JSONValue? {
        do { return try jetStream("STREAM.INFO." + stream, within: limit) } catch let error as JetStreamError where error.code == 10059 {
            return nil
        }
    }

    public func streamNames() throws -> [String] {
        try jetStream("STREAM.NAMES")["streams"]?.arrayValue?.compactMap(\.stringValue) ?? []
    }

    /// The last message under a subject; nil if there is none.
    public func last(_ subject: String, in stream: String, within limit: Duration = .seconds(20)) throws -> StoredMessage? {
        do {
            let message = try jetStream("STREAM.MSG.GET." + stream, ["last_by_subj": .string(subject)], within: limit)["message"]
            func bytes(_ name: String) -> [UInt8] { decodeBase64(message?[name]?.stringValue ?? "") }
            return StoredMessage(
                sequence: message?["seq"]?.uint64Value ?? 0, headers: String(decoding: bytes("hdrs"), as: UTF8.self),
                payload: bytes("data"),
                time: message?["time"]?.stringValue ?? "")
        } catch let error as JetStreamError where error.code == 10037 { return nil }
    }

    /// The entry of a bucket's key, which can be a tombstone.
    public func key(_ key: String, in bucket: String, within limit: Duration = .seconds(20)) throws -> StoredMessage? {
        try last("$KV.\(bucket).\(key)", in: "KV_" + bucket, within: limit)
    }

    /// Puts a value into a bucket and returns its revision.
    /// - Parameter expected: the revision that the key must have; 0 if the key must not exist.
    @discardableResult
    public func put(
        _ key: String, _ value: String, in bucket: String, expected: UInt64? = nil, within limit: Duration = .seconds(20)
    ) throws -> UInt64 {
        try store(
            "$KV.\(bucket).\(key)", value, expected.map { [("Nats-Expected-Last-Subject-Sequence", "\($0)")] } ?? [], within: limit)
    }

    /// Leaves a tombstone and returns its revision.
    @discardableResult
    public func delete(_ key: String, in bucket: String, expected: UInt64? = nil) throws -> UInt64 {
        try store(
            "$KV.\(bucket).\(key)", "",
            [("KV-Operation", "DEL")] + (expected.map { [("Nats-Expected-Last-Subject-Sequence", "\($0)")] } ?? []))
    }

    /// Publishes into a stream, waits for the acknowledgement, and returns its sequence.
    @discardableResult
    public func store(
        _ subject: String, _ value: String, _ headers: [(String, String)] = [], within limit: Duration = .seconds(20)
    ) throws -> UInt64 {
        let answer = try request(subject, value, headers: headers, within: limit)
        guard answer.status == nil, let json = answer.json else { throw SocketError("\(subject): no stream stores it") }
        try Self.check(json)
        return json["seq"]?.uint64Value ?? 0
    }

    /// Creates a bucket as the Go client does.
    public func createBucket(_ bucket: String, ttl: Duration = .zero, replicas: Int64 = 1) throws {
        let nanoseconds = JSONValue.integer(ttl.components.seconds * 1_000_000_000 + ttl.components.attoseconds / 1_000_000_000)
        let window = ttl == .zero || ttl > .seconds(120) ? JSONValue.integer(120_000_000_000) : nanoseconds
        _ = try jetStream(
            "STREAM.CREATE.KV_" + bucket,
            [
                "name": .string("KV_" + bucket), "subjects": [.string("$KV.\(bucket).>")], "retention": "limits", "max_consumers": -1,
                "max_msgs": -1, "max_bytes": -1, "discard": "new", "max_age": nanoseconds, "max_msgs_per_subject": 1, "max_msg_size": -1,
                "storage": "file", "num_replicas": .integer(replicas), "duplicate_window": window, "deny_delete": true,
                "allow_rollup_hdrs": true, "allow_direct": true,
            ])
    }
}

private func decodeBase64(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = []
    var (pool, count) = (0, 0)
    for letter in text.utf8 {
        let value: Int
        switch letter {
        case 65...90: value = Int(letter) - 65
        case 97...122: value = Int(letter) - 71
        case 48...57: value = Int(letter) + 4
        case 43: value = 62
        case 47: value = 63
        default: continue
        }
        pool = (pool << 6 | value) & 0xffff
        count += 6
        if count >= 8 {
            count -= 8
            bytes.append(UInt8(pool >> count & 0xff))
        }
    }
    return bytes
}
