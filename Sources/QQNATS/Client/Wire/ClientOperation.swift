import QQCore

/// An operation that a client sends.
package enum ClientOperation: Sendable, Hashable {
    case connect(ConnectOptions)
    /// PUB, or HPUB if there are headers.
    case publish(subject: String, reply: String? = nil, headers: NATSHeaders = NATSHeaders(), payload: [UInt8] = [])
    case subscribe(subject: String, queue: String? = nil, sid: UInt64)
    /// Immediately, or after `max` messages counted from the subscription's start.
    case unsubscribe(sid: UInt64, max: Int? = nil)
    case ping
    case pong

    /// Appends the operation as it is sent.
    ///
    /// - Throws: ``NATSError`` of kind `configuration` for subjects and headers that cannot be sent; then nothing is appended.
    func encode(into buffer: inout [UInt8]) throws(NATSError) {
        switch self {
        case .connect(let options):
            buffer += "CONNECT ".utf8
            buffer += JSONWriter.bytes(options.json)
            buffer += "\r\n".utf8
        case .publish(let subject, let reply, let headers, let payload):
            try Subject.check(subject)
            if let reply { try Subject.check(reply) }
            let block = headers.isEmpty ? [] : try HeaderBlock.bytes(headers)
            buffer += headers.isEmpty ? "PUB \(subject) ".utf8 : "HPUB \(subject) ".utf8
            if let reply { buffer += "\(reply) ".utf8 }
            if !headers.isEmpty { buffer += "\(block.count) ".utf8 }
            buffer += "\(block.count + payload.count)\r\n".utf8
            buffer += block
            buffer += payload
            buffer += "\r\n".utf8
        case .subscribe(let subject, let queue, let sid):
            try Subject.check(subject, isPattern: true)
            if let queue { try Subject.check(queue) }
            buffer += "SUB \(subject) \(queue.map { $0 + " " } ?? "")\(sid)\r\n".utf8
        case .unsubscribe(let sid, let max):
            buffer += "UNSUB \(sid)\(max.map { " \($0)" } ?? "")\r\n".utf8
        case .ping: buffer += "PING\r\n".utf8
        case .pong: buffer += "PONG\r\n".utf8
        }
    }

    /// The operation alone; see ``encode(into:)``.
    var bytes: [UInt8] {
        get throws(NATSError) {
            var buffer: [UInt8] = []
            try encode(into: &buffer)
            return buffer
        }
    }
}
