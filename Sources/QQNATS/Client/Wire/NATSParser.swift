import QQCore

/// Turns a server's bytes, cut anywhere, into its operations.
///
/// Takes time linear in what arrives, and holds no more than one operation and what the last `append` brought. Only the framing can fail: what another client
/// put in a message is not held against the server, so a message whose headers cannot be read has none, as with the Go client.
struct NATSParser: Sendable {
    /// Enough for INFO of a cluster with a few thousand servers in `connect_urls`; other lines are far shorter.
    static let defaultMaximumControlLine = 256 << 10
    /// More than NATS recommends for `max_payload`, which is 1 MiB by default.
    static let defaultMaximumPayload = 8 << 20
    /// `max_pending` of a server by default, which its `max_payload` cannot exceed.
    static let absoluteMaximumPayload = 64 << 20

    /// The largest message that is taken, in bytes, headers included; never above ``absoluteMaximumPayload``.
    ///
    /// Servers put headers of their own on top of what `max_payload` in INFO allows to publish, so leave room.
    var maximumPayload = Self.defaultMaximumPayload {
        didSet { maximumPayload = min(max(maximumPayload, 0), Self.absoluteMaximumPayload) }
    }

    private let maximumControlLine: Int
    private var buffer: [UInt8] = []
    /// Where in `buffer` starts what was not taken yet.
    private var head = 0
    /// Where the search for a line's end goes on.
    private var searched = 0
    /// The message whose line was read and whose body was not.
    private var message: MessageLine?
    private var failure: NATSError?

    /// - Parameter maximumControlLine: the longest line in bytes, without its end.
    init(maximumControlLine: Int = Self.defaultMaximumControlLine) { self.maximumControlLine = maximumControlLine }

    /// The bytes in memory, and those of them that were not taken yet.
    var heldCount: Int { buffer.count }
    var waitingCount: Int { buffer.count - head }

    /// Whether all that arrived was taken.
    var isEmpty: Bool { head == buffer.count && message == nil }

    /// Adds what arrived.
    mutating func append(_ bytes: some Collection<UInt8>) {
        guard failure == nil else { return }
        // Moving pays when it moves less than was taken before.
        if head > 0, head >= buffer.count - head {
            buffer.removeSubrange(..<head)
            searched -= head
            head = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// Takes the next operation; nil where more bytes are needed.
    ///
    /// - Throws: ``NATSError`` of kind `malformed`, or `tooLarge` for what exceeds the limits. From then on it throws the same, whatever is appended.
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

    private mutating func advance(to place: Int) {
        head = place
        searched = place
    }

    /// Gives the memory of a large message back.
    private mutating func release() {
        guard head == buffer.count else { return }
        buffer.removeAll(keepingCapacity: buffer.capacity <= 1 << 18)
        advance(to: 0)
    }

    private func foreign(_ bytes: ArraySlice<UInt8>) -> NATSError {
        NATSError(.malformed, "what answers there is not NATS; it says \(ControlLine(bytes).excerpt)")
    }
}
