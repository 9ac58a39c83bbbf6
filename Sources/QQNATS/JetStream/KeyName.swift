/// The rules for names of buckets and keys (ADR-8).
enum KeyName {
    /// `\A[a-zA-Z0-9_-]+\z`
    static func isValid(bucket: String) -> Bool {
        !bucket.isEmpty && bucket.utf8.allSatisfy { isLetterOrDigit($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") }
    }

    /// `\A[-/_=\.a-zA-Z0-9]+\z`, without a dot at either end. Two dots in a row are rejected too, because they do not form a subject; ADR-8 omits that.
    static func isValid(key: String) -> Bool {
        let bytes = key.utf8
        guard !bytes.isEmpty, bytes.first != UInt8(ascii: "."), bytes.last != UInt8(ascii: "."),
            zip(bytes, bytes.dropFirst()).allSatisfy({ $0 != UInt8(ascii: ".") || $1 != UInt8(ascii: ".") })
        else { return false }
        return bytes.allSatisfy { byte in
            isLetterOrDigit(byte)
                || [UInt8(ascii: "-"), UInt8(ascii: "/"), UInt8(ascii: "_"), UInt8(ascii: "="), UInt8(ascii: ".")].contains(byte)
        }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: false
        }
    }
}
