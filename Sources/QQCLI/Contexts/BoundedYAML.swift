import Yams

/// YAML of files that users keep, read within bounds.
///
/// An alias stands for all that its anchor holds. A few lines of aliases of aliases come to billions of values, which the library goes through one by one
/// where they are keys. (Nesting is bounded by the library itself.)
enum BoundedYAML {
    /// Why a text is not read.
    struct TooMuch: Error, Equatable {
        var reason: String
    }

    /// More than any file of contexts has use for: an alias makes one context equal to another.
    static let mostAliases = 16
    /// Bytes of a text with aliases.
    static let largestWithAliases = 1 << 16

    /// - Throws: `TooMuch`, or what the library finds wrong.
    static func compose(_ text: String) throws -> Node? {
        let count = aliases(in: text)
        if count > mostAliases { throw TooMuch(reason: "it has \(count) aliases (*NAME), more than \(mostAliases)") }
        if count > 0, text.utf8.count > largestWithAliases { throw TooMuch(reason: "it has aliases (*NAME), and is larger than 64 KiB") }
        return try Yams.compose(yaml: text)
    }

    /// How often something stands in the text that can be an alias: one in a quoted text or a comment counts as well.
    static func aliases(in text: String) -> Int {
        var count = 0
        var before = UInt8(ascii: "\n")
        for byte in text.utf8 {
            if byte == UInt8(ascii: "*"), " \t\r\n,:[{?-!".utf8.contains(before) { count += 1 }
            before = byte
        }
        return count
    }
}
