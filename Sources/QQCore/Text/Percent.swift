/// Percent-encoding of URL parts (RFC 3986, section 2.1).
public enum Percent {
    /// Decodes `bytes`. Returns nil if an escape is incomplete or the result is not UTF-8. `+` is not an escape.
    public static func decode(_ bytes: some Sequence<UInt8>) -> String? { decode(Array(bytes)) }

    private static func decode(_ bytes: [UInt8]) -> String? {
        guard bytes.contains(where: { $0 == UInt8(ascii: "%") || $0 >= 0x80 }) else { return String(decoding: bytes, as: UTF8.self) }
        var decoded: [UInt8] = []
        var remaining = bytes.makeIterator()
        while let byte = remaining.next() {
            if byte == UInt8(ascii: "%") {
                guard let high = remaining.next().flatMap(hexadecimalValue), let low = remaining.next().flatMap(hexadecimalValue) else {
                    return nil
                }
                decoded.append(high << 4 | low)
            } else {
                decoded.append(byte)
            }
        }
        return String(validating: decoded, as: UTF8.self)
    }

    /// `text` with all characters escaped except letters, digits, `-._~` and those of `allowed`.
    public static func encode(_ text: String, allowing allowed: String = "") -> String {
        var encoded: [UInt8] = []
        for byte in text.utf8 {
            if isUnreserved(byte) || allowed.utf8.contains(byte) {
                encoded.append(byte)
            } else {
                encoded += [UInt8(ascii: "%"), hexadecimalDigit(byte >> 4), hexadecimalDigit(byte & 15)]
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"): true
        default: false
        }
    }

    private static func hexadecimalDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
    }
}

/// The value of a hexadecimal digit of either case, or nil for another byte.
func hexadecimalValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
