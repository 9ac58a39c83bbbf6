import CLineEditor
import Glibc

/// The lines that were typed, in this session and before it. Only this user reads the file; it is bounded, and holds no line with a secret.
///
/// Each line goes to the file as it is entered: sessions that run at once keep each other's lines, and one that is killed has lost nothing.
public struct History: Sendable {
    /// Lines that are kept.
    static let limit = 1000
    /// Bytes of a line that is kept.
    static let longest = 4096

    private let path: String?

    /// - Parameter path: nil to keep nothing beyond the session.
    public init(path: String?) { self.path = path }

    /// Reads what was kept. One that cannot be read is none.
    public func load() {
        qq_history_limit(CInt(Self.limit))
        guard let path else { return }
        for line in HistoryFile.read(path).suffix(Self.limit) { qq_history_add(line) }
    }

    /// Adds a line, unless it is empty, begins with a space, repeats the one before, or says what is nobody's business.
    /// - Returns: false where it could not be written to the file.
    @discardableResult public func add(_ line: String) -> Bool {
        guard Self.isKept(line), line != Self.lines.last else { return true }
        qq_history_add(line)
        guard let path else { return true }
        return HistoryFile.append(line, to: path, limit: Self.limit)
    }

    /// Whether a line is one for the history.
    static func isKept(_ line: String) -> Bool {
        guard let first = line.unicodeScalars.first, first != " ", line.utf8.count <= longest, !line.utf8.contains(10) else { return false }
        return line.utf8.contains { $0 > 0x20 } && !holdsSecret(line)
    }

    /// A URL with credentials, or something that calls itself a password. In doubt too much is taken for a secret.
    static func holdsSecret(_ line: String) -> Bool {
        line.split { $0 == " " || $0 == "\t" || $0 == "'" || $0 == "\"" }.contains { word in
            let word = word.lowercased()
            if let mark = word.firstRange(of: "://") {
                let scheme = word[..<mark.lowerBound]
                return word[mark.upperBound...].contains("@") && !scheme.hasSuffix("file") && !scheme.hasSuffix("k8s")
            }
            return ["password", "passwd", "secret"].contains { name in
                word == "--" + name || word.firstRange(of: name + "=") != nil
            }
        }
    }

    /// Oldest first.
    public static var lines: [String] {
        (0..<max(qq_history_length(), 0)).compactMap { index in qq_history_line(index).map { String(cString: $0) } }
    }
}
