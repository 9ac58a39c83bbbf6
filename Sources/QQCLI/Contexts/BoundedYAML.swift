import Yams

/// Parses the YAML of user files within bounds.
///
/// An alias expands to everything under its anchor. A few lines of aliases of aliases expand to billions of values, and the library visits each of them if
/// they are keys. The library itself limits nesting.
enum BoundedYAML {
    /// The reason that a text is not parsed.
    struct TooMuch: Error, Equatable {
        var reason: String
    }

    /// More than a file of contexts needs, in which an alias makes one context equal to another.
    static let mostAliases = 16
    /// Size of the largest text with aliases, in bytes.
    static let largestWithAliases = 1 << 16

    /// - Throws: `TooMuch`, or the error of the library.
    static func compose(_ text: String) throws -> Node? {
        let count = aliases(in: text)
        if count > mostAliases { throw TooMuch(reason: "it has \(count) aliases (*NAME), more than \(mostAliases)") }
        if count > 0, text.utf8.count > largestWithAliases { throw TooMuch(reason: "it has aliases (*NAME) and is larger than 64 KiB") }
        return try Yams.compose(yaml: text)
    }

    /// The number of possible aliases, including those in quoted texts and comments.
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
