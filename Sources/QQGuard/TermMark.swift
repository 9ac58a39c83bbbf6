import Glibc
import QQCore

/// What marks the processes of one term: an entry in the environment of the guarded command, which everything inherits that it starts, and the name of
/// its cgroup. Not a secret. Leftovers.c tells how marks are looked for.
public struct TermMark: Sendable, Hashable {
    /// The variable that holds the marks of all terms that a process works under, the innermost first, between commas.
    public static let variable = "QQ_TERM_ID"

    /// A command in a command in a command: marks beyond this many are dropped, the outermost first.
    private static let mostTerms = 8

    /// EXACT-LOOSE-UNIQUE, each 16 hexadecimal digits.
    let text: String
    /// The value of the variable.
    let value: String

    var entry: String { Self.variable + "=" + value }
    var cgroup: String { "qq-" + text }

    /// - Parameters:
    ///   - election: how the election is named by every process that takes part in it (`Coordinator.electionKeys`).
    ///   - kind: the system and the name of the election alone.
    ///   - inherited: the variable as this process was started with it.
    public init(election: String, kind: String, inherited: String?, unique: UInt64 = .random(in: 0 ... .max)) {
        text = Self.digits(election) + "-" + Self.digits(kind) + "-" + Self.digits(unique)
        let outer = (inherited ?? "").split(separator: ",").filter(Self.isMark).prefix(Self.mostTerms - 1)
        value = ([text[...]] + outer).joined(separator: ",")
    }

    /// Whether a text from outside can be a mark at all.
    private static func isMark(_ text: Substring) -> Bool {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        return parts.count == 3 && parts.allSatisfy { $0.utf8.count == 16 && $0.allSatisfy(\.isHexDigit) }
    }

    static func digits(_ text: String) -> String { digits(fnv1a64(Array(text.utf8))) }

    private static func digits(_ number: UInt64) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }
}
