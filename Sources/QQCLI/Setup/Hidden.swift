import Glibc
import QQCore

/// Secrets among our own arguments and variables. Everybody can read the arguments of a process, and its variables go on to all that it starts: so both are
/// overwritten where they stand, and what they said is kept here.
///
/// For the moment between the kernel's start of this process and `take()` they stand there all the same; a file is the better place.
enum Hidden {
    /// Variables that hold secrets, and which nothing that we start is given.
    static let names = Systems.all.flatMap(\.secretVariables)

    /// What the variables said, as far as they were taken away or changed.
    fileprivate static let variables = takeVariables()

    /// Hides everything. Call before anything is started, once the arguments have been copied.
    static func take() {
        _ = withSpaces
        for word in processArguments().dropFirst() {
            // What follows is the guarded command's, byte for byte.
            if strcmp(word, "--") == 0 { break }
            guard let range = credentials(in: GivenText.bytes(word)) else { continue }
            memset(word + range.lowerBound, CInt(UInt8(ascii: "*")), range.count)
        }
        _ = variables
    }

    /// The environment for a `qq` that is to know what we know, which hides it again: what we hid, too, and `more`; C strings.
    static func environment(and more: [String]) -> [[CChar]] {
        var entries: [[CChar]] = []
        var next = environ
        while let entry = next.pointee {
            let text = String(cString: entry)
            if !variables.keys.contains(where: { text.hasPrefix($0 + "=") }) {
                entries.append(Array(UnsafeBufferPointer(start: entry, count: strlen(entry) + 1)))
            }
            next += 1
        }
        return entries + (variables.map { "\($0.key)=\($0.value)" } + more).map { Array($0.utf8CString) }
    }

    private static func takeVariables() -> [String: String] {
        var taken: [String: String] = [:]
        for name in names {
            guard let value = getenv(name) else { continue }
            taken[name] = String(cString: value)
            explicit_bzero(value, strlen(value))
            unsetenv(name)
        }
        // Those that we start learn where, not as whom.
        if let value = getenv("QQ_SERVER") {
            let bytes = Array(String(cString: value).utf8)
            if let range = credentials(in: bytes) {
                taken["QQ_SERVER"] = String(cString: value)
                explicit_bzero(value, strlen(value))
                setenv("QQ_SERVER", String(decoding: bytes[..<range.lowerBound] + bytes[(range.upperBound + 1)...], as: UTF8.self), 1)
            }
        }
        return taken
    }

    /// Where in a word the credentials of a URL stand, up to its `@`; nil where there are none. In doubt too much is taken for them.
    static func credentials(in word: [UInt8]) -> Range<Int>? {
        let mark = Array("://".utf8)
        guard word.count > mark.count, let colon = (0...(word.count - mark.count)).first(where: { word[$0..<($0 + 3)].elementsEqual(mark) })
        else { return nil }
        let rest = word[(colon + mark.count)...]
        guard let at = rest.lastIndex(of: UInt8(ascii: "@")), !rest[..<at].contains(where: { $0 <= 0x20 }) else { return nil }
        if Systems.endsInSchemeWithoutCredentials(String(decoding: word[..<colon], as: UTF8.self).lowercased()) { return nil }
        return rest.startIndex..<at
    }
}

/// An environment variable as it was when we were started; nil where it was not set.
func variable(_ name: String) -> String? { Hidden.variables[name] ?? getenv(name).map { UTF8Text.escaping(GivenText.bytes($0)) } }

/// An environment variable that says something; nil where it is not set, or empty.
func filledVariable(_ name: String) -> String? { variable(name).flatMap { $0.isEmpty ? nil : $0 } }
