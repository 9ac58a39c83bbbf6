/// Writes JSON values as text (RFC 8259).
///
/// Doubles are written in the shortest form that reads back as the same number, in the notation of ECMAScript and Go (`1`, `0.1`, `1e+21`,
/// `1e-7`). A double that is not finite has no JSON form and is written as `null`. Members keep their order, duplicates included.
public struct JSONWriter {
    /// The layout and the escaping.
    public enum Style: Sendable, Hashable {
        /// One line without spaces. Escapes `"`, `\` and control characters only.
        case compact
        /// One member or element per line, two spaces per level, without a final newline. Escapes as `compact`.
        case indented
        /// Byte for byte as Go's `json.MarshalIndent(value, "", "  ")` since Go 1.22: as `indented`, and `<`, `>`, `&`, U+2028 and U+2029
        /// are escaped too.
        case goIndented
    }

    private let style: Style
    private var output: [UInt8] = []

    private init(style: Style) {
        self.style = style
    }

    /// `value` as UTF-8.
    public static func bytes(_ value: JSONValue, style: Style = .compact) -> [UInt8] {
        var writer = JSONWriter(style: style)
        writer.write(value, level: 0)
        return writer.output
    }

    /// `value` as text.
    public static func string(_ value: JSONValue, style: Style = .compact) -> String {
        String(decoding: bytes(value, style: style), as: UTF8.self)
    }

    private mutating func write(_ value: JSONValue, level: Int) {
        switch value {
        case .null: write("null")
        case .bool(let value): write(value ? "true" : "false")
        case .integer(let value): write(String(value))
        case .unsigned(let value): write(String(value))
        case .double(let value): write(jsonText(of: value))
        case .string(let value): writeQuoted(value)
        case .array(let elements):
            writeList(elements, "[", "]", level: level) { writer, element in
                writer.write(element, level: level + 1)
            }
        case .object(let object):
            writeList(object.members, "{", "}", level: level) { writer, member in
                writer.writeQuoted(member.name)
                writer.write(writer.style == .compact ? ":" : ": ")
                writer.write(member.value, level: level + 1)
            }
        }
    }

    private mutating func writeList<Item>(
        _ items: [Item], _ opening: String, _ closing: String, level: Int, item write: (inout JSONWriter, Item) -> Void
    ) {
        self.write(opening)
        for (index, item) in items.enumerated() {
            if index > 0 { self.write(",") }
            newLine(level + 1)
            write(&self, item)
        }
        if !items.isEmpty { newLine(level) }
        self.write(closing)
    }

    private mutating func newLine(_ level: Int) {
        guard style != .compact else { return }
        output.append(UInt8(ascii: "\n"))
        output.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * level))
    }

    private mutating func write(_ text: String) {
        output.append(contentsOf: text.utf8)
    }

    // MARK: Strings

    private mutating func writeQuoted(_ text: String) {
        output.append(UInt8(ascii: "\""))
        if style != .goIndented, !text.utf8.contains(where: { $0 < 0x20 || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) {
            // Nothing to escape, as nearly always: many times as fast.
            write(text)
        } else {
            for scalar in text.unicodeScalars {
                if let escape = escape(for: scalar) { write(escape) } else { output.append(contentsOf: scalar.utf8) }
            }
        }
        output.append(UInt8(ascii: "\""))
    }

    private func escape(for scalar: Unicode.Scalar) -> String? {
        switch scalar {
        case "\"": "\\\""
        case "\\": "\\\\"
        case "\u{8}": "\\b"
        case "\u{C}": "\\f"
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        case "\u{0}"..<" ": Self.hexadecimalEscape(scalar)
        case "<", ">", "&", "\u{2028}", "\u{2029}": style == .goIndented ? Self.hexadecimalEscape(scalar) : nil
        default: nil
        }
    }

    private static func hexadecimalEscape(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16)
        return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }
}
