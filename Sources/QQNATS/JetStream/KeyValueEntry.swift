import QQCore
import QQNetwork

/// An entry of a bucket: the value of a key, or a tombstone.
struct KeyValueEntry: Sendable, Hashable {
    enum Operation: Sendable, Hashable {
        case put
        /// Deleted, with the earlier values kept.
        case delete
        /// Deleted together with the earlier values.
        case purge
        /// Marked by the server as expired (`Nats-Marker-Reason: MaxAge`).
        case expired
    }

    var bucket: String
    var key: String
    /// Empty for all operations but a put.
    var value: [UInt8]
    var revision: UInt64
    /// Time at which the entry was stored, by the server's clock.
    var written: WallTime
    var operation: Operation
    /// The writer's headers and the server's additions.
    var headers: NATSHeaders
    /// Number of entries that a watch has still to deliver; nil if the entry was requested.
    var pending: UInt64?

    /// The message ID that the writer set.
    var messageID: String? { headers["Nats-Msg-Id"] }
}

extension KeyValueEntry {
    /// Reads the answer to a direct get; nil if the key does not exist.
    /// - Throws: the failure for the status: `.noResponders` if no server answers direct gets for the stream.
    static func direct(_ message: NATSMessage, bucket: String) throws(JetStreamFailure) -> KeyValueEntry? {
        // The server adds its headers after the writer's, so the last header of a name is the server's. A stored message can have a status line too.
        func added(_ name: String) -> String? { message.headers.fields.last { $0.name == name }?.value }
        guard let revision = added("Nats-Sequence") else {
            guard let status = message.headers.status else { throw .malformed("the answer to a direct get has no sequence") }
            if status == 404 { return nil }
            throw JetStreamAnswer.failure(status: status, text: message.headers.statusText)
        }
        guard let revision = UInt64(revision), revision > 0 else { throw .malformed("the answer to a direct get has an invalid sequence") }
        guard let time = added("Nats-Time-Stamp"), let written = try? WallTime.parse(rfc3339: time) else {
            throw .malformed("the answer to a direct get has no time")
        }
        guard let subject = added("Nats-Subject"), let key = key(of: subject, in: bucket) else {
            throw .malformed("the answer to a direct get is from another bucket")
        }
        return KeyValueEntry(
            bucket: bucket, key: key, revision: revision, written: written, headers: message.headers, payload: message.payload)
    }

    /// Reads the answer to STREAM.MSG.GET; nil if the key does not exist.
    /// - Throws: JetStream's refusal.
    static func stored(_ message: NATSMessage, bucket: String) throws(JetStreamFailure) -> KeyValueEntry? {
        let answer: JetStreamAnswer
        do throws(JetStreamFailure) { answer = try JetStreamAnswer(message) } catch {
            if error.refusal?.isMessageNotFound == true { return nil }
            throw error
        }
        let stored = try answer.needed(answer.part("message"), "message")
        let subject = try stored.needed(stored.text("subject"), "subject")
        guard let key = key(of: subject, in: bucket) else { throw .malformed("the message is from another bucket") }
        guard let payload = Base64.decode(try stored.text("data") ?? ""), let block = Base64.decode(try stored.text("hdrs") ?? "") else {
            throw .malformed("the message is not base64")
        }
        return KeyValueEntry(
            bucket: bucket, key: key, revision: try stored.needed(stored.count("seq"), "seq"),
            written: try stored.needed(stored.time("time"), "time"), headers: NATSHeaders(stored: block), payload: payload)
    }

    /// Reads a message that a consumer delivered; nil if it is not an entry of the bucket.
    static func delivered(_ message: NATSMessage, as reply: DeliveryReply, bucket: String) -> KeyValueEntry? {
        guard let key = key(of: message.subject, in: bucket) else { return nil }
        return KeyValueEntry(
            bucket: bucket, key: key, revision: reply.streamSequence, written: reply.stored, headers: message.headers,
            payload: message.payload, pending: reply.pending)
    }

    private init(
        bucket: String, key: String, revision: UInt64, written: WallTime, headers: NATSHeaders, payload: [UInt8], pending: UInt64? = nil
    ) {
        operation = Self.operation(headers)
        self.bucket = bucket
        self.key = key
        value = operation == .put ? payload : []
        self.revision = revision
        self.written = written
        self.headers = headers
        self.pending = pending
    }

    /// As in nats.go, an unknown operation counts as a put.
    private static func operation(_ headers: NATSHeaders) -> Operation {
        switch headers["KV-Operation"] {
        case "DEL": return .delete
        case "PURGE": return .purge
        default: break
        }
        return switch headers["Nats-Marker-Reason"] {
        case "MaxAge": .expired
        case "Purge": .purge
        case "Remove": .delete
        default: .put
        }
    }

    private static func key(of subject: String, in bucket: String) -> String? {
        let prefix = JetStreamAPI.keySubject(bucket: bucket, key: "")
        guard subject.utf8.starts(with: prefix.utf8), subject.utf8.count > prefix.utf8.count else { return nil }
        return String(decoding: subject.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
    }
}

extension NATSHeaders {
    /// Reads the headers of a stored message as returned by STREAM.MSG.GET: `NATS/1.0`, lines of `name: value`, an empty line.
    ///
    /// Servers store whatever writers send. Invalid lines are skipped, so that no writer can make a key unreadable.
    init(stored block: [UInt8]) {
        self.init()
        for line in block.split(separator: UInt8(ascii: "\n")).dropFirst() {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex else { continue }
            let value = line[(colon + 1)...].drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
            let end = value.last == UInt8(ascii: "\r") ? value.dropLast() : value
            fields.append(Field(String(decoding: line[..<colon], as: UTF8.self), String(decoding: end, as: UTF8.self)))
        }
    }
}
