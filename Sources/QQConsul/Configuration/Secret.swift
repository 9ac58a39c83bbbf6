/// A text that nothing shows: neither messages nor dumps of values that contain it.
public struct Secret: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    let text: String

    public init(_ text: String) { self.text = text }

    public var description: String { "(hidden)" }

    public var customMirror: Mirror { Mirror(self, children: [:]) }

    /// Whether the text can be the value of a header field (RFC 9110, section 5.5).
    var fitsInHeader: Bool { text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f } }

    /// The text without blanks and line ends around it; nil if nothing is left.
    var trimmed: Secret? {
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }
        let bytes = text.utf8.drop(while: isBlank)
        guard let end = bytes.lastIndex(where: { !isBlank($0) }) else { return nil }
        return Secret(String(Substring(bytes[...end])))
    }
}
