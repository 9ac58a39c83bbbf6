/// Bytes as characters of a few bits each, without padding: the common part of Base32 and Base64 (RFC 4648).
enum BitGroups {
    /// - Parameter bits: bits of a character, of which the alphabet has 2 to that power.
    static func encode(_ bytes: some Collection<UInt8>, _ alphabet: [UInt8], bits size: UInt32) -> String {
        let mask: UInt32 = 1 << size - 1
        var text: [UInt8] = []
        var accumulator: UInt32 = 0
        var bits: UInt32 = 0
        for byte in bytes {
            accumulator = accumulator << 8 | UInt32(byte)
            bits += 8
            while bits >= size {
                bits -= size
                text.append(alphabet[Int(accumulator >> bits & mask)])
            }
        }
        if bits > 0 { text.append(alphabet[Int(accumulator << (size - bits) & mask)]) }
        return String(decoding: text, as: UTF8.self)
    }

    /// - Parameter digit: the value of a character; nil for one that is not in the alphabet.
    /// - Returns: nil for such a character. Leftover bits are ignored.
    static func decode(_ text: some Collection<UInt8>, bits size: UInt32, _ digit: (UInt8) -> UInt8?) -> [UInt8]? {
        // Reserve the whole size: an array that grows leaves copies of a secret in memory.
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count * Int(size) / 8)
        var accumulator: UInt32 = 0
        var bits: UInt32 = 0
        for character in text {
            guard let digit = digit(character) else {
                Secret.wipe(&bytes)
                return nil
            }
            accumulator = accumulator << size | UInt32(digit)
            bits += size
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: accumulator >> bits))
            }
        }
        return bytes
    }
}
