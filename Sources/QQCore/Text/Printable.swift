/// Makes text from outside safe to show on a terminal.
public enum Printable {
    /// `text` with control characters shown as `\xNN`, and characters that are invisible or turn the writing direction as `\uNNNN`. Text from a file
    /// or a server's answer therefore cannot move the cursor, forge a line, or show a name as another one.
    public static func text(_ text: String) -> String { shown(text, where: { isControl($0) || isHidden($0) }) }

    /// `text` with DEL, C1 controls and hidden characters shown as escapes. Everything else stays, including line ends and the escapes of colours.
    public static func withoutHidden(_ text: String) -> String {
        shown(text, where: { $0.value >= 0x7f && (isControl($0) || isHidden($0)) })
    }

    /// Compact JSON in which DEL, C1 controls and hidden characters are escaped. Every parser reads it as the same text (RFC 8259, section 7).
    public static func json(_ text: String) -> String {
        guard !isPlain(text) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            guard scalar.value >= 0x7f, isControl(scalar) || isHidden(scalar) else {
                result.unicodeScalars.append(scalar)
                continue
            }
            for unit in String(scalar).utf16 { result += "\\u" + hex(UInt32(unit), digits: 4) }
        }
        return result
    }

    private static func shown(_ text: String, where isShown: (Unicode.Scalar) -> Bool) -> String {
        guard !isPlain(text), text.unicodeScalars.contains(where: isShown) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if !isShown(scalar) {
                result.unicodeScalars.append(scalar)
            } else {
                result += scalar.value <= 0xff ? "\\x" + hex(scalar.value, digits: 2) : "\\u" + hex(scalar.value, digits: 4)
            }
        }
        return result
    }

    private static func hex(_ value: UInt32, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(digits - text.count, 0)) + text
    }

    /// Whether the text has only visible ASCII characters, as most texts have.
    private static func isPlain(_ text: String) -> Bool { text.utf8.allSatisfy { (0x20..<0x7f).contains($0) } }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool { scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) }

    /// Whether the character has no shape of its own and changes how others are shown, or ends a line: bidirectional controls (UAX #9), zero-width
    /// spaces and joiners (except U+200C and U+200D, which scripts and emoji need), separators, annotations and tags.
    static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0xad, 0x61c, 0x180e, 0x200b, 0x200e...0x200f, 0x2028...0x202e, 0x2060...0x206f, 0xfeff, 0xfff9...0xfffb, 0xe0000...0xe007f:
            true
        default: false
        }
    }
}
