/// Base64 in the alphabet of URLs, without padding (RFC 4648, section 5), as used by signatures and JWTs.
enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    static func encode(_ bytes: some Collection<UInt8>) -> String { BitGroups.encode(bytes, alphabet, bits: 6) }

    /// Returns nil for other characters and for a length that no encoding has. Leftover bits are ignored, as in Go.
    static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard text.count % 4 != 1 else { return nil }
        return BitGroups.decode(text, bits: 6) { character in alphabet.firstIndex(of: character).map { UInt8($0) } }
    }
}
