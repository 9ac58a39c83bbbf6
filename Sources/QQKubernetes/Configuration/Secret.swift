/// A text that nothing shows: neither messages nor dumps of values that contain it.
struct Secret: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    /// The secret itself.
    let text: String

    init(_ text: String) { self.text = text }

    var description: String { "(hidden)" }

    var customMirror: Mirror { Mirror(self, children: [:]) }
}

extension Secret {
    /// Whether the text can be the value of a header field: no control characters, which could end the field (RFC 9110, section 5.5).
    var fitsInHeader: Bool { text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f } }

    /// The text without blanks and line ends around it.
    var trimmed: Secret {
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }
        let bytes = text.utf8.drop(while: isBlank)
        let end = bytes.lastIndex { !isBlank($0) }
        return Secret(end.map { String(Substring(bytes[...$0])) } ?? "")
    }
}
