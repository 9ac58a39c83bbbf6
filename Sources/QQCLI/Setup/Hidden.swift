import Glibc
import QQCore

/// Secrets among the arguments and variables of this process. Every user can read the arguments of a process, and its child processes inherit its variables.
/// Both are therefore overwritten in place, and their values are kept here.
///
/// The secrets can still be read between the start of this process and `take()`; a file is a better place for secrets.
enum Hidden {
    /// Variables that contain secrets, which child processes do not get.
    static let names = Systems.all.flatMap(\.secretVariables)

    /// The original values of the variables that were removed or changed.
    fileprivate static let variables = takeVariables()

    /// The words that this process was started with, its own name first, as they were. C strings.
    static let arguments = processArguments().map { Array(UnsafeBufferPointer(start: $0, count: strlen($0) + 1)) }

    /// Hides everything. Call before anything is started.
    static func take() {
        _ = arguments
        _ = withSpaces
        for word in processArguments().dropFirst() {
            // The words after `--` belong to the guarded command and stay unchanged.
            if strcmp(word, "--") == 0 { break }
            guard let range = credentials(in: GivenText.bytes(word)) else { continue }
            memset(word + range.lowerBound, CInt(UInt8(ascii: "*")), range.count)
        }
        _ = variables
    }

    /// The environment for a child `qq` that needs the secrets of this process, and hides them again: all variables, including the hidden ones, and `more`. C
    /// strings.
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
        // Child processes get the server URL without its credentials.
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

    /// The range of a URL's credentials in a word, up to the `@`; nil if there are none. If unsure, the range is too long rather than too short.
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

/// An environment variable as it was when this process started; nil if it was not set.
func variable(_ name: String) -> String? { Hidden.variables[name] ?? getenv(name).map { UTF8Text.escaping(GivenText.bytes($0)) } }

/// An environment variable that is not empty; nil if it is empty or not set.
func filledVariable(_ name: String) -> String? { variable(name).flatMap { $0.isEmpty ? nil : $0 } }
