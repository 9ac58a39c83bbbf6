import QQCore

/// The headers of a message as bytes: `NATS/1.0 503 No Responders`, then `Name: value` lines, then an empty line (ADR-4).
enum HeaderBlock {
    private static let opening = Array("NATS/1.0".utf8)

    /// Reads a block as the Go client does: drops blanks after the colon, keeps the case of names, replaces bytes that are not UTF-8 by U+FFFD, and ignores
    /// everything after the empty line.
    ///
    /// - Throws: ``NATSError`` of kind `malformed`.
    static func parse(_ block: ArraySlice<UInt8>) throws(NATSError) -> NATSHeaders {
        var lines = LineIterator(rest: block)
        guard let first = lines.next(), first.starts(with: opening) else {
            throw NATSError(.malformed, "the headers do not start with NATS/1.0")
        }
        var headers = try status(first.dropFirst(opening.count))
        while let line = lines.next() {
            if line.isEmpty { return headers }
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { throw NATSError(.malformed, "a header has no colon") }
            let value = line[line.index(after: colon)...].drop(while: isBlank)
            // A header without a name is skipped, as in the Go client.
            if colon == line.startIndex { continue }
            headers.fields.append(.init(String(decoding: line[..<colon], as: UTF8.self), String(decoding: value, as: UTF8.self)))
        }
        throw NATSError(.malformed, "the headers do not end with an empty line")
    }

    /// The block for `headers`.
    ///
    /// - Throws: ``NATSError`` of kind `configuration` for a name or value that a reader would not get back unchanged.
    static func bytes(_ headers: NATSHeaders) throws(NATSError) -> [UInt8] {
        var block = opening
        if let status = headers.status {
            guard (100...999).contains(status) else { throw NATSError(.configuration, "a header status is not 100 to 999: \(status)") }
            block += " \(status)".utf8
            if let text = headers.statusText, !text.isEmpty {
                guard isValue(text), text.utf8.last != UInt8(ascii: " ") else { throw unsendable("status text", text) }
                block += " \(text)".utf8
            }
        }
        block += "\r\n".utf8
        for field in headers.fields {
            guard isName(field.name) else { throw unsendable("header name", field.name) }
            guard isValue(field.value) else { throw NATSError(.configuration, "the value of the header \(field.name) cannot be sent") }
            block += "\(field.name): \(field.value)\r\n".utf8
        }
        return block + "\r\n".utf8
    }

    /// Reads the rest of the first line, after `NATS/1.0`.
    private static func status(_ rest: ArraySlice<UInt8>) throws(NATSError) -> NATSHeaders {
        let text = rest.drop(while: isBlank)
        if text.isEmpty { return NATSHeaders() }
        let code = text.prefix { !isBlank($0) }
        guard rest.first.map(isBlank) == true, code.count == 3, let status = DecimalText.value(code).flatMap({ Int(exactly: $0) }) else {
            throw NATSError(.malformed, "the status in the headers is not a number of three digits")
        }
        var comment = text.dropFirst(3).drop(while: isBlank)
        while comment.last.map(isBlank) == true { comment.removeLast() }
        return NATSHeaders(status: status, statusText: comment.isEmpty ? nil : String(decoding: comment, as: UTF8.self))
    }

    /// Printable ASCII without the colon (ADR-4).
    private static func isName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.allSatisfy { (0x21...0x7e).contains($0) && $0 != UInt8(ascii: ":") }
    }

    /// No line ends or other control characters, and no leading space, which readers would strip.
    private static func isValue(_ value: String) -> Bool {
        value.utf8.first != UInt8(ascii: " ") && value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
    }

    private static func unsendable(_ what: String, _ text: String) -> NATSError {
        NATSError(.configuration, "the \(what) \"\(Printable.text(text))\" cannot be sent")
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
}

/// Lines that end with LF or CRLF; an unterminated rest is ignored.
private struct LineIterator: IteratorProtocol {
    var rest: ArraySlice<UInt8>

    mutating func next() -> ArraySlice<UInt8>? {
        guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        var line = rest[..<end]
        rest = rest[rest.index(after: end)...]
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        return line
    }
}
