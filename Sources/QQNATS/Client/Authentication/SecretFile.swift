import Glibc
import QQCore

/// Small files with secrets.
enum SecretFile {
    static let maximumSize = 64 << 10

    private static let hint = "--creds takes a file as written by nsc, --nkey a file with only the seed"

    /// Calls `body` with the content of the regular file at `path` and whether other users can access the file, then wipes the content from memory.
    ///
    /// - Throws: ``NATSError`` of kind `configuration` with the system's reason, and the errors of `body`. Each has the path as its location.
    static func read<Result>(
        _ path: String, _ body: (_ content: [UInt8], _ isReadableByOthers: Bool) throws(NATSError) -> Result
    ) throws(NATSError) -> Result {
        var (content, mode) = try load(path)
        defer { Secret.wipe(&content) }
        guard content.count <= maximumSize else { throw unreadable(path, "larger than \(maximumSize >> 10) KiB") }
        do throws(NATSError) {
            return try body(content, isOpen(mode))
        } catch {
            throw NATSError(
                error.kind, error.reason, at: Printable.text(path), hint: error.hint ?? (error.kind == .configuration ? Self.hint : nil))
        }
    }

    /// Whether the file at `path` exists and users other than its owner can access it.
    static func isReadableByOthers(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && isOpen(status.st_mode)
    }

    private static func isOpen(_ mode: mode_t) -> Bool { mode & 0o077 != 0 }

    /// Reads at most one byte more than the limit, which is enough to detect a file that is too large.
    private static func load(_ path: String) throws(NATSError) -> (content: [UInt8], mode: mode_t) {
        do throws(SystemCallError) {
            let file = try ReadableFile(path)
            let mode = try file.status().st_mode
            switch mode & S_IFMT {
            case S_IFREG: return (try file.read(upTo: maximumSize + 1), mode)
            case S_IFDIR: throw SystemCallError("read", code: EISDIR)
            default: throw SystemCallError("read", code: ESPIPE)
            }
        } catch {
            throw unreadable(path, error.code == ESPIPE ? "Not a regular file" : error.reason)
        }
    }

    private static func unreadable(_ path: String, _ reason: String) -> NATSError {
        NATSError(.configuration, "cannot read the login file: \(reason)", at: Printable.text(path), hint: hint)
    }
}
