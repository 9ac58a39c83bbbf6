/// Base32 without padding (RFC 4648, section 6), as used by NKeys.
enum Base32 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)

    static func encode(_ bytes: some Collection<UInt8>) -> String { BitGroups.encode(bytes, alphabet, bits: 5) }

    /// Returns nil for other characters and for a length that no encoding has. Leftover bits are ignored, as in Go.
    static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard ![1, 3, 6].contains(text.count % 8) else { return nil }
        return BitGroups.decode(text, bits: 5) { character in
            switch character {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
            case UInt8(ascii: "2")...UInt8(ascii: "7"): character - UInt8(ascii: "2") + 26
            default: nil
            }
        }
    }
}
