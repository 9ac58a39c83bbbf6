import Glibc
import QQCore

// Credentials are left out of all output: standard error ends up in logs, and screens are shared.
extension Hidden {
    /// Credentials with spaces among the arguments of this process: a message does not show which words belong to them. First used before the arguments are
    /// hidden.
    static let withSpaces = withSpaces(in: processArguments().dropFirst().map { String(cString: $0) })

    /// The credentials with spaces among these arguments. The user's shell commands are skipped: only the shell can split them into words.
    static func withSpaces(in arguments: [String]) -> [String] {
        var found: [String] = []
        var isCommand = false
        for argument in arguments.prefix(while: { $0 != "--" }) {
            let flag = argument.prefix { $0 != "=" }
            let startsCommand = flag.hasPrefix("--on-") || flag == "--exec"
            if !isCommand, !startsCommand {
                let bytes = Array(argument.utf8)
                if let range = credentialsOfURL(in: bytes), bytes[range].contains(where: { $0 <= 0x20 }) {
                    found.append(String(decoding: bytes[range], as: UTF8.self))
                }
            }
            isCommand = startsCommand && flag.count == argument.count && !isCommand
        }
        return found
    }

    /// Text with `***` for the credentials of each URL in it.
    static func redacted(_ text: String) -> String {
        var text = text
        for secret in withSpaces where text.contains(secret) {
            text = text.split(separator: secret, omittingEmptySubsequences: false).joined(separator: "***")
        }
        return text.contains("://") ? replacing(in: text, credentials) : text
    }

    /// An argument with `***` for everything that can be credentials: those of a URL, spaces included, and in each word the part before the `@` of something
    /// like `user:password@host`.
    static func redacted(word: String) -> String {
        let bytes = Array(word.utf8)
        if let range = credentialsOfURL(in: bytes) {
            return String(decoding: bytes[..<range.lowerBound] + Array("***".utf8) + bytes[range.upperBound...], as: UTF8.self)
        }
        return replacing(in: redacted(word), credentialsWithoutScheme)
    }

    /// The text with `***` for the range that `find` returns for each of its words. A word ends at a space or the end of the line.
    private static func replacing(in text: String, _ find: ([UInt8]) -> Range<Int>?) -> String {
        var shown: [UInt8] = []
        var word: [UInt8] = []
        func take() {
            if let range = find(word) { word.replaceSubrange(range, with: Array("***".utf8)) }
            shown += word
            word = []
        }
        for byte in text.utf8 {
            if byte > 0x20 {
                word.append(byte)
            } else {
                take()
                shown.append(byte)
            }
        }
        take()
        return String(decoding: shown, as: UTF8.self)
    }

    /// The credentials of an argument that is a URL: all text from `://` to the last `@`, spaces included. A flag can precede the URL, as in
    /// `--server=nats://user:pass word@host`.
    private static func credentialsOfURL(in argument: [UInt8]) -> Range<Int>? {
        let mark = Array("://".utf8)
        guard let at = argument.lastIndex(of: UInt8(ascii: "@")),
            let colon = argument.indices.dropLast(2).first(where: { argument[$0..<($0 + 3)].elementsEqual(mark) }),
            colon + mark.count <= at,
            !argument[..<colon].contains(where: { $0 <= 0x20 })
        else { return nil }
        let scheme = String(decoding: argument[..<colon], as: UTF8.self).lowercased()
        return Systems.endsInSchemeWithoutCredentials(scheme) ? nil : colon + mark.count..<at
    }

    /// The credentials before the last `@` of a word such as `user:password@host` or `--server=user:password@host`.
    private static func credentialsWithoutScheme(in word: [UInt8]) -> Range<Int>? {
        guard let at = word.lastIndex(of: UInt8(ascii: "@")), !String(decoding: word[..<at], as: UTF8.self).contains("://") else {
            return nil
        }
        let start = word[..<at].firstIndex(of: UInt8(ascii: "=")).map { $0 + 1 } ?? 0
        return word[start..<at].contains(UInt8(ascii: ":")) ? start..<at : nil
    }
}
