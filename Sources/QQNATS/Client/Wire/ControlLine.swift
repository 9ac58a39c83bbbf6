import QQCore

/// One line of the protocol, cut into its first word and the rest.
struct ControlLine {
    /// Upper and lower case are equivalent, as in servers and clients.
    enum Verb: String, CaseIterable {
        case msg = "MSG"
        case hmsg = "HMSG"
        case ping = "PING"
        case pong = "PONG"
        case ok = "+OK"
        case err = "-ERR"
        case info = "INFO"
    }

    private let line: ArraySlice<UInt8>
    /// Nil if the line begins with another word.
    let verb: Verb?
    /// The text after the verb, without surrounding blanks.
    let arguments: ArraySlice<UInt8>

    init(_ line: ArraySlice<UInt8>) {
        self.line = line
        let word = line.prefix { !Self.isBlank($0) }
        verb = Self.verbs.first { $0.rawValue.utf8.elementsEqual(word, by: { $0 == Self.upperCase($1) }) }
        arguments = Self.trimmed(line[word.endIndex...])
    }

    /// Whether a line can start with `byte`.
    static func isStart(_ byte: UInt8) -> Bool { verbs.contains { $0.rawValue.utf8.first == upperCase(byte) } }

    /// The arguments, split at blanks.
    var words: [ArraySlice<UInt8>] { arguments.split(whereSeparator: Self.isBlank) }

    /// The text of -ERR, without its quotes.
    var errorText: String {
        var text = arguments
        let quote = UInt8(ascii: "'")
        if text.count >= 2, text.first == quote, text.last == quote { text = text.dropFirst().dropLast() }
        return String(decoding: text, as: UTF8.self)
    }

    /// The start of the line, in quotes, for messages to the user.
    var excerpt: String {
        let start = Printable.text(String(decoding: line.prefix(Self.excerptLength), as: UTF8.self))
        return line.count > Self.excerptLength ? "\"\(start)\"…" : "\"\(start)\""
    }

    private static let verbs = Verb.allCases
    private static let excerptLength = 32

    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    private static func upperCase(_ byte: UInt8) -> UInt8 { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) ? byte - 0x20 : byte }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var bytes = bytes.drop(while: isBlank)
        while let last = bytes.last, isBlank(last) { bytes.removeLast() }
        return bytes
    }
}

/// The line of a message: `MSG subject sid [reply] size` or `HMSG subject sid [reply] headerSize size`.
struct MessageLine: Sendable {
    let subject: String
    let sid: UInt64
    let reply: String?
    /// The bytes of the headers at the start of the body; 0 in MSG.
    let headerSize: Int
    /// The bytes of the whole body, without its line end.
    let size: Int

    /// - Throws: ``NATSError`` of kind `malformed`, or `tooLarge`.
    init(_ line: ControlLine, maximumPayload: Int) throws(NATSError) {
        let words = line.words
        let numbers = line.verb == .hmsg ? 2 : 1
        guard (numbers + 2...numbers + 3).contains(words.count), words.allSatisfy({ $0.allSatisfy { $0 > 0x20 && $0 != 0x7f } }) else {
            throw Self.malformed(line)
        }
        guard let sid = DecimalText.value(words[1]), let size = words.last.flatMap({ DecimalText.value($0) }) else {
            throw Self.malformed(line)
        }
        guard size <= maximumPayload else { throw NATSError(.tooLarge, "a message of \(size) bytes exceeds \(maximumPayload)") }
        let headerSize = numbers == 2 ? DecimalText.value(words[words.count - 2]) : 0
        guard let headerSize, headerSize <= size else { throw Self.malformed(line) }
        subject = String(decoding: words[0], as: UTF8.self)
        self.sid = sid
        reply = words.count == numbers + 3 ? String(decoding: words[2], as: UTF8.self) : nil
        self.headerSize = Int(headerSize)
        self.size = Int(size)
    }

    private static func malformed(_ line: ControlLine) -> NATSError {
        NATSError(.malformed, "a message's line is malformed: \(line.excerpt)")
    }
}
