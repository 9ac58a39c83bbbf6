/// A recursive-descent parser for RFC 8259. Every read is bounds-checked by the array; recursion is bounded by `JSONValue.maximumDepth`.
struct JSONParser {
    private let bytes: [UInt8]
    private var position = 0
    private var depth = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Parses the document, which is a single value.
    mutating func document() throws(JSONError) -> JSONValue {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { throw error("starts with a byte order mark", at: 0) }
        skipWhiteSpace()
        let value = try value()
        skipWhiteSpace()
        guard position == bytes.count else { throw error("expected the end of the document, found \(found)", at: position) }
        return value
    }

    // MARK: Values

    private mutating func value() throws(JSONError) -> JSONValue {
        guard let first = peek else { throw expected("a value") }
        switch first {
        case UInt8(ascii: "{"): return .object(try object())
        case UInt8(ascii: "["): return .array(try array())
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw expected("a value")
        }
    }

    private mutating func object() throws(JSONError) -> JSONObject {
        try enter()
        var members: [JSONObject.Member] = []
        skipWhiteSpace()
        if take("}") {
            depth -= 1
            return JSONObject()
        }
        while true {
            guard peek == UInt8(ascii: "\"") else { throw expected(members.isEmpty ? "a name in quotes or '}'" : "a name in quotes") }
            let name = try string()
            skipWhiteSpace()
            guard take(":") else { throw expected("':' after the name") }
            skipWhiteSpace()
            members.append(JSONObject.Member(name: name, value: try value()))
            skipWhiteSpace()
            if take("}") { break }
            guard take(",") else { throw expected("',' or '}'") }
            skipWhiteSpace()
        }
        depth -= 1
        return JSONObject(members)
    }

    private mutating func array() throws(JSONError) -> [JSONValue] {
        try enter()
        var elements: [JSONValue] = []
        skipWhiteSpace()
        if take("]") {
            depth -= 1
            return elements
        }
        while true {
            elements.append(try value())
            skipWhiteSpace()
            if take("]") { break }
            guard take(",") else { throw expected("',' or ']'") }
            skipWhiteSpace()
        }
        depth -= 1
        return elements
    }

    /// Steps over the opening bracket.
    private mutating func enter() throws(JSONError) {
        guard depth < JSONValue.maximumDepth else { throw error("nested deeper than \(JSONValue.maximumDepth) levels", at: position) }
        depth += 1
        position += 1
    }

    private mutating func literal(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        for offset in 0..<word.utf8CodeUnitCount {
            guard let byte = peek, byte == word.utf8Start[offset] else { throw expected("\(word)") }
            position += 1
        }
        return value
    }

    // MARK: Numbers

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = position
        let negative = take("-")
        let integerStart = position
        if !take("0") { try digits() }
        if let byte = peek, Self.isDigit(byte) { throw error("a number must not start with 0", at: integerStart) }
        let integerEnd = position
        if take(".") { try digits() }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            try digits()
        }
        if position == integerEnd, let exact = Self.integer(bytes[integerStart..<integerEnd], negative: negative) { return exact }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        // RFC 8259, section 6, allows a parser to limit numbers: one beyond the range of `Double` has no value.
        return .double(Double(text) ?? .infinity)
    }

    private mutating func digits() throws(JSONError) {
        let start = position
        while let byte = peek, Self.isDigit(byte) { position += 1 }
        guard position > start else { throw expected("a digit") }
    }

    /// Returns nil if 64 bits do not hold the number, and for `-0`.
    private static func integer(_ digits: ArraySlice<UInt8>, negative: Bool) -> JSONValue? {
        var magnitude: UInt64 = 0
        for digit in digits {
            let (tenfold, tooLarge) = magnitude.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tenfold.addingReportingOverflow(UInt64(digit - UInt8(ascii: "0")))
            if tooLarge || carry { return nil }
            magnitude = sum
        }
        guard negative else { return .number(magnitude) }
        if magnitude == 0 || magnitude > Int64.min.magnitude { return nil }
        return .integer(Int64(truncatingIfNeeded: 0 &- magnitude))
    }

    // MARK: Strings

    private mutating func string() throws(JSONError) -> String {
        let opening = position
        position += 1
        var text = ""
        while true {
            let start = position
            var bits: UInt8 = 0
            while let byte = peek, byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
                bits |= byte
                position += 1
            }
            try append(bytes[start..<position], isASCII: bits < 0x80, to: &text)
            switch peek {
            case UInt8(ascii: "\""):
                position += 1
                return text
            case UInt8(ascii: "\\"): text.unicodeScalars.append(try escape())
            case nil: throw error("the string that starts at byte \(opening) does not end", at: position)
            default: throw error("a control character in a string must be escaped, found \(found)", at: position)
            }
        }
    }

    private func append(_ utf8: ArraySlice<UInt8>, isASCII: Bool, to text: inout String) throws(JSONError) {
        // The standard library's validation takes many times as long.
        if isASCII {
            text += String(decoding: utf8, as: UTF8.self)
            return
        }
        if let valid = String(validating: utf8, as: UTF8.self) {
            text += valid
            return
        }
        var decoder = Unicode.UTF8.ForwardParser()
        var remaining = utf8.makeIterator()
        var offset = utf8.startIndex
        while case .valid(let scalar) = decoder.parseScalar(from: &remaining) { offset += scalar.count }
        throw error("invalid UTF-8", at: offset)
    }

    private mutating func escape() throws(JSONError) -> Unicode.Scalar {
        let start = position
        position += 1
        guard let letter = peek else { throw expected("an escaped character") }
        position += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(letter)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try unicodeEscape()
        default: throw error("unknown escape in a string", at: start)
        }
    }

    /// Reads an escape after its `\u`. A high surrogate is combined with the low one that follows. Without one it becomes U+FFFD, and the text that
    /// follows is read separately.
    private mutating func unicodeEscape() throws(JSONError) -> Unicode.Scalar {
        let first = try hexadecimal()
        guard UTF16.isLeadSurrogate(first) else { return Unicode.Scalar(first) ?? "\u{FFFD}" }
        let next = position
        if take("\\"), take("u") {
            let second = try hexadecimal()
            if UTF16.isTrailSurrogate(second) {
                let value = 0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00)
                return Unicode.Scalar(value) ?? "\u{FFFD}"
            }
        }
        position = next
        return "\u{FFFD}"
    }

    private mutating func hexadecimal() throws(JSONError) -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = peek, let digit = hexadecimalValue(byte) else { throw expected("four hexadecimal digits after \\u") }
            value = value << 4 | UInt16(digit)
            position += 1
        }
        return value
    }

    // MARK: Bytes

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard peek == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func skipWhiteSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { position += 1 }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    // MARK: Errors

    private var found: String {
        switch peek {
        case nil: "the end of the document"
        case .some(let byte) where byte > 0x20 && byte < 0x7F: "'\(Unicode.Scalar(byte))'"
        case .some(let byte): "byte 0x" + (byte < 0x10 ? "0" : "") + String(byte, radix: 16)
        }
    }

    private func expected(_ what: String) -> JSONError { error("expected \(what), found \(found)", at: position) }

    private func error(_ reason: String, at offset: Int) -> JSONError { JSONError(reason: reason, offset: offset, in: bytes) }
}
