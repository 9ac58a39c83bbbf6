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
    private(set) var text: String
    private let outer: [Substring]
    /// The value of the variable.
    var value: String { ([text[...]] + outer).joined(separator: ",") }

    var entry: String { Self.variable + "=" + value }
    var cgroup: String { "qq-" + text }

    /// - Parameters:
    ///   - election: how the election is named by every process that takes part in it (`Coordinator.electionKeys`).
    ///   - kind: the system and the name of the election alone.
    ///   - inherited: the variable as this process was started with it.
    public init(election: String, kind: String, inherited: String?, unique: UInt64 = .random(in: 0 ... .max)) {
        text = Self.digits(election) + "-" + Self.digits(kind) + "-" + Self.digits(unique)
        outer = (inherited ?? "").split(separator: ",").filter(Self.isMark).prefix(Self.mostTerms - 1).map { $0 }
    }

    /// The same without what elections of one name have in common: for a guardian that has no room to show its mark. Its term's processes would pass for
    /// unguarded ones to those who name the server in another way.
    func withoutKind() -> TermMark {
        var mark = self
        mark.text = text.prefix(17) + String(repeating: "0", count: 16) + text.suffix(17)
        return mark
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
