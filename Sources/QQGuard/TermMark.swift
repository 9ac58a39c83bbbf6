import Glibc
import QQCore

/// The mark of the processes of one term: an environment entry of the guarded command, which everything that it starts inherits, and the
/// name of its cgroup. Not a secret. Leftovers.c describes how marks are searched for.
public struct TermMark: Sendable, Hashable {
    /// The variable that holds the marks of all terms that a process works under, innermost first, separated by commas.
    public static let variable = "QQ_TERM_ID"

    /// Number of nested terms whose marks are kept; further ones are dropped, outermost first.
    private static let mostTerms = 8

    /// EXACT-LOOSE-UNIQUE, each 16 hexadecimal digits.
    private(set) var text: String
    private let outer: [Substring]
    /// The value of the variable.
    var value: String { ([text[...]] + outer).joined(separator: ",") }

    var entry: String { Self.variable + "=" + value }
    var cgroup: String { "qq-" + text }

    /// - Parameters:
    ///   - election: the name by which every contender knows the election (`Coordinator.electionKeys`).
    ///   - kind: only the system and the name of the election.
    ///   - inherited: the value of the variable that this process was started with.
    public init(election: String, kind: String, inherited: String?, unique: UInt64 = .random(in: 0 ... .max)) {
        text = Self.digits(election) + "-" + Self.digits(kind) + "-" + Self.digits(unique)
        outer = (inherited ?? "").split(separator: ",").filter(Self.isMark).prefix(Self.mostTerms - 1).map { $0 }
    }

    /// The mark without the part that all elections of one name share, for a guardian that has no room to show its mark. Otherwise
    /// contenders that name the server in another way would take the term's processes for unguarded ones.
    func withoutKind() -> TermMark {
        var mark = self
        mark.text = text.prefix(17) + String(repeating: "0", count: 16) + text.suffix(17)
        return mark
    }

    /// Whether a text from outside has the form of a mark.
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
