import Glibc
import QQCore

// Credentials are left out of whatever is printed: standard error ends up in logs, and screens are shared.
extension Hidden {
    /// Credentials with spaces among our arguments: in a message they cannot be told from other words. First used before the arguments are hidden.
    static let withSpaces: [String] = processArguments().dropFirst().prefix { strcmp($0, "--") != 0 }.compactMap { word in
        possibleCredentials(in: Array(String(cString: word).utf8)).flatMap { $0.contains(" ") ? $0 : nil }
    }

    /// Text with `***` for the credentials of each URL in it.
    static func redacted(_ text: String) -> String {
        var text = text
        for secret in withSpaces where text.contains(secret) {
            text = text.split(separator: secret, omittingEmptySubsequences: false).joined(separator: "***")
        }
        guard text.contains("://") else { return text }
        var shown: [UInt8] = []
        // A URL ends where a space or the end of the line is; what stands before it in a word, such as a quote, stays.
        var word: [UInt8] = []
        func take(_ word: [UInt8]) {
            var word = word
            if let range = credentials(in: word) { word.replaceSubrange(range, with: Array("***".utf8)) }
            shown += word
        }
        for byte in text.utf8 {
            if byte > 0x20 {
                word.append(byte)
            } else {
                take(word)
                word = []
                shown.append(byte)
            }
        }
        take(word)
        return String(decoding: shown, as: UTF8.self)
    }

    /// One argument with `***` for everything in it that can be credentials. If unsure, too much is left out.
    static func redacted(word: String) -> String {
        let bytes = Array(word.utf8)
        guard let range = possibleRange(in: bytes) else { return redacted(word) }
        return String(decoding: bytes[..<range.lowerBound] + Array("***".utf8) + bytes[range.upperBound...], as: UTF8.self)
    }

    /// What stands before the last `@` of a URL, spaces included, or of something like `user:password@host`.
    static func possibleCredentials(in word: [UInt8]) -> String? {
        possibleRange(in: word).map { String(decoding: word[$0], as: UTF8.self) }
    }

    private static func possibleRange(in word: [UInt8]) -> Range<Int>? {
        let mark = Array("://".utf8)
        guard let at = word.lastIndex(of: UInt8(ascii: "@")) else { return nil }
        if let colon = word.indices.dropLast(2).first(where: { word[$0..<($0 + 3)].elementsEqual(mark) }), colon < at {
            let scheme = String(decoding: word[..<colon], as: UTF8.self).lowercased()
            return scheme.hasSuffix("file") || scheme.hasSuffix("k8s") ? nil : colon + mark.count..<at
        }
        // A flag may stand before it, as in --server=user:password@host.
        let start = word[..<at].firstIndex(of: UInt8(ascii: "=")).map { $0 + 1 } ?? 0
        return word[start..<at].contains(UInt8(ascii: ":")) ? start..<at : nil
    }
}
