import QQCore

/// Turns a server's bytes, cut anywhere, into its operations.
///
/// Takes time linear in the bytes that arrive, and holds no more than one operation and the bytes of the last `append`. Only the framing can fail. The server
/// is not blamed for the content of another client's message: a message with unreadable headers has none, as in the Go client.
struct NATSParser: Sendable {
    /// Enough for INFO of a cluster with a few thousand servers in `connect_urls`; other lines are far shorter.
    static let defaultMaximumControlLine = 256 << 10
    /// More than NATS recommends for `max_payload`, which is 1 MiB by default.
    static let defaultMaximumPayload = 8 << 20
    /// `max_pending` of a server by default, which its `max_payload` cannot exceed.
    static let absoluteMaximumPayload = 64 << 20

    /// The largest message that is accepted, in bytes, headers included; never above ``absoluteMaximumPayload``.
    ///
    /// Servers put headers of their own on top of what `max_payload` in INFO allows to publish, so leave room.
    var maximumPayload = Self.defaultMaximumPayload {
        didSet { maximumPayload = min(max(maximumPayload, 0), Self.absoluteMaximumPayload) }
    }

    private let maximumControlLine: Int
    private var buffer: [UInt8] = []
    /// Position in `buffer` of the first byte that has not been taken.
    private var head = 0
    /// Position at which the search for a line's end continues.
    private var searched = 0
    /// A message whose line has been read, but not its body.
    private var message: MessageLine?
    private var failure: NATSError?

    /// - Parameter maximumControlLine: the longest line in bytes, without its end.
    init(maximumControlLine: Int = Self.defaultMaximumControlLine) { self.maximumControlLine = maximumControlLine }

    /// Number of bytes in memory.
    var heldCount: Int { buffer.count }
    /// Number of bytes in memory that have not been taken.
    var waitingCount: Int { buffer.count - head }

    /// Whether all bytes that arrived have been taken.
    var isEmpty: Bool { head == buffer.count && message == nil }

    /// Adds bytes that arrived.
    mutating func append(_ bytes: some Collection<UInt8>) {
        guard failure == nil else { return }
        // Move the rest to the front only if that moves no more bytes than were taken, to stay linear.
        if head > 0, head >= buffer.count - head {
            buffer.removeSubrange(..<head)
            searched -= head
            head = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// Takes the next operation; nil if more bytes are needed.
    ///
    /// - Throws: ``NATSError`` of kind `malformed`, or `tooLarge` for input that exceeds the limits. Every later call throws the same error.
    mutating func next() throws(NATSError) -> ServerOperation? {
        if let failure { throw failure }
        do throws(NATSError) {
            return try operation()
        } catch {
            failure = error
            buffer = []
            advance(to: 0)
            message = nil
            throw error
        }
    }

    private mutating func operation() throws(NATSError) -> ServerOperation? {
        if message == nil {
            guard let line = try takeLine() else { return nil }
            let words = ControlLine(buffer[line])
            switch words.verb {
            case .info: return .info(try ServerInfo(json: words.arguments))
            case .ping where words.arguments.isEmpty: return .ping
            case .pong where words.arguments.isEmpty: return .pong
            case .ok where words.arguments.isEmpty: return .ok
            case .err: return .error(words.errorText)
            case .msg, .hmsg: message = try MessageLine(words, maximumPayload: maximumPayload)
            case .ping, .pong, .ok, nil: throw NATSError(.malformed, "not a line of the NATS protocol: \(words.excerpt)")
            }
        }
        return try takeMessage()
    }

    /// The range of the next line, without its end.
    private mutating func takeLine() throws(NATSError) -> Range<Int>? {
        let limit = min(buffer.count, head + maximumControlLine + 2)
        guard let end = buffer[searched..<limit].firstIndex(of: UInt8(ascii: "\n")) else {
            searched = limit
            if let first = buffer[head...].first, !ControlLine.isStart(first) { throw foreign(buffer[head...]) }
            if limit - head > maximumControlLine + 1 { throw NATSError(.tooLarge, "a line exceeds \(maximumControlLine) bytes") }
            return nil
        }
        let line = head..<end
        guard ControlLine.isStart(buffer[head]) else { throw foreign(buffer[line]) }
        guard buffer[line].last == UInt8(ascii: "\r") else {
            throw NATSError(.malformed, "a line does not end with CR LF: \(ControlLine(buffer[line]).excerpt)")
        }
        advance(to: end + 1)
        return line.dropLast()
    }

    private mutating func takeMessage() throws(NATSError) -> ServerOperation? {
        guard let line = message, buffer.count - head >= line.size + 2 else { return nil }
        let body = head + line.headerSize
        let end = head + line.size
        guard buffer[end] == UInt8(ascii: "\r"), buffer[end + 1] == UInt8(ascii: "\n") else {
            throw NATSError(.malformed, "a message of \(line.size) bytes does not end with CR LF")
        }
        let headers = line.headerSize > 0 ? (try? HeaderBlock.parse(buffer[head..<body])) ?? NATSHeaders() : NATSHeaders()
        let payload = Array(buffer[body..<end])
        advance(to: end + 2)
        message = nil
        release()
        return .message(sid: line.sid, NATSMessage(subject: line.subject, reply: line.reply, headers: headers, payload: payload))
    }

    private mutating func advance(to position: Int) {
        head = position
        searched = position
    }

    /// Frees the memory of a large message.
    private mutating func release() {
        guard head == buffer.count else { return }
        buffer.removeAll(keepingCapacity: buffer.capacity <= 1 << 18)
        advance(to: 0)
    }

    private func foreign(_ bytes: ArraySlice<UInt8>) -> NATSError {
        NATSError(.malformed, "the server does not speak NATS; it sends \(ControlLine(bytes).excerpt)")
    }
}
