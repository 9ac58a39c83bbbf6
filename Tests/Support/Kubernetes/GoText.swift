import QQCore

/// `text` as Go's `strconv.Quote` writes it.
func goQuoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": quoted += "\\\""
        case "\\": quoted += "\\\\"
        case "\n": quoted += "\\n"
        case "\r": quoted += "\\r"
        case "\t": quoted += "\\t"
        case "\u{0}"..<" ", "\u{7F}": quoted += "\\x" + hexadecimal(UInt8(scalar.value))
        default: quoted.unicodeScalars.append(scalar)
        }
    }
    return quoted + "\""
}

func hexadecimal(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

/// Base64 as Go's `base64.RawURLEncoding` has it: `-` and `_`, without padding.
enum RawURLBase64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let chunk = bytes[start..<min(start + 3, bytes.count)]
            let word = chunk.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - chunk.count))
            for digit in 0...chunk.count { text.append(alphabet[Int(word >> UInt32(18 - 6 * digit) & 63)]) }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Returns nil for text that is not Base64.
    static func decode(_ text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var (word, bits) = (UInt32(0), UInt32(0))
        for character in text.utf8 {
            guard let digit = alphabet.firstIndex(of: character) else { return nil }
            word = word << 6 | UInt32(digit)
            bits += 6
            guard bits >= 8 else { continue }
            bits -= 8
            bytes.append(UInt8(truncatingIfNeeded: word >> bits))
        }
        return text.utf8.count % 4 == 1 ? nil : bytes
    }
}

/// A length of time as Kubernetes shows ages: `6s`, `3m20s`, `45m`, `2d3h` (source: `duration.HumanDuration` of apimachinery).
func humanDuration(seconds: Int64) -> String {
    func pair(_ large: Int64, _ largeUnit: String, _ small: Int64, _ smallUnit: String) -> String {
        "\(large)\(largeUnit)" + (small == 0 ? "" : "\(small)\(smallUnit)")
    }
    switch seconds {
    case ..<(-1): return "<invalid>"
    case ..<0: return "0s"
    case ..<120: return "\(seconds)s"
    case ..<600: return pair(seconds / 60, "m", seconds % 60, "s")
    case ..<10_800: return "\(seconds / 60)m"
    case ..<28_800: return pair(seconds / 3600, "h", seconds / 60 % 60, "m")
    case ..<172_800: return "\(seconds / 3600)h"
    case ..<691_200: return pair(seconds / 86_400, "d", seconds / 3600 % 24, "h")
    case ..<63_072_000: return "\(seconds / 86_400)d"
    default: return pair(seconds / 31_536_000, "y", seconds / 86_400 % 365, "d")
    }
}

/// A time as HTTP has it: `Sun, 06 Nov 1994 08:49:37 GMT` (IMF-fixdate, RFC 9110, section 5.6.7).
func httpDate(_ time: WallTime) -> String {
    let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    // 2006-01-02T15:04:05Z
    let parts = time.rfc3339().split { "-T:Z".contains($0) }
    guard parts.count == 6, let month = Int(parts[1]) else { return "" }
    let day = Int(time.seconds / 86_400) - (time.seconds % 86_400 < 0 ? 1 : 0)
    return "\(days[((day % 7) + 7) % 7]), \(parts[2]) \(months[month - 1]) \(parts[0]) \(parts[3]):\(parts[4]):\(parts[5]) GMT"
}
