import CLineEditor
import QQCore

/// The lines that were typed in this session and before it. Only this user can read the file. Its size is limited, and it contains no line
/// with a secret.
///
/// Each line is written to the file as it is entered. Concurrent sessions therefore keep each other's lines, and a killed session loses
/// none.
public struct History: Sendable {
    /// Number of lines that are kept.
    static let limit = 1000
    /// Length of the longest line that is kept, in bytes.
    static let longest = 4096

    private let path: String?
    private let hasCredentials: @Sendable (String) -> Bool

    /// - Parameters:
    ///   - path: the history file; nil to keep nothing beyond the session.
    ///   - hasCredentials: whether a text contains credentials of a URL that it begins with, after a flag or not.
    public init(path: String?, hasCredentials: @escaping @Sendable (String) -> Bool) {
        self.path = path
        self.hasCredentials = hasCredentials
    }

    /// Reads the lines of earlier sessions. A file that cannot be read counts as empty.
    public func load() {
        qq_history_limit(CInt(Self.limit))
        guard let path else { return }
        for line in HistoryFile.read(path).suffix(Self.limit) { qq_history_add(line) }
    }

    /// Adds a line, unless it is empty, begins with a space, repeats the previous one, or contains a secret.
    /// - Throws: `SystemCallError` if the file cannot be written.
    public func add(_ line: String) throws(SystemCallError) {
        guard isKept(line), line != Self.lines.last else { return }
        qq_history_add(line)
        if let path { try HistoryFile.append(line, to: path, limit: Self.limit) }
    }

    /// Whether a line belongs in the history.
    func isKept(_ line: String) -> Bool {
        guard let first = line.unicodeScalars.first, first != " ", line.utf8.count <= Self.longest, !line.utf8.contains(10) else {
            return false
        }
        return line.utf8.contains { $0 > 0x20 } && !holdsSecret(line)
    }

    /// Whether a line contains credentials, or a value that is called a password or secret. If unsure, the line counts as secret.
    func holdsSecret(_ line: String) -> Bool {
        // A quoted URL can have spaces in its password.
        line.split { $0 == "'" || $0 == "\"" }.contains { part in
            hasCredentials(String(part))
                || part.split { $0 == " " || $0 == "\t" }.contains { word in
                    if hasCredentials(String(word)) { return true }
                    let word = word.lowercased()
                    return ["password", "passwd", "secret"].contains { name in
                        word == "--" + name || word.firstRange(of: name + "=") != nil
                    }
                }
        }
    }

    /// All lines, oldest first.
    public static var lines: [String] {
        (0..<max(qq_history_length(), 0)).compactMap { index in qq_history_line(index).map { String(cString: $0) } }
    }
}
