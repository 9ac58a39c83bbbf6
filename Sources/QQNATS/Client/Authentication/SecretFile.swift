import Glibc
import QQCore

/// A small file with secrets, in memory until it is let go.
final class SecretFile {
    static let maximumSize = 64 << 10

    private(set) var bytes: [UInt8]
    /// Whether its mode lets anybody but the owner read, write or execute it.
    let isReadableByOthers: Bool

    /// Reads the regular file at `path`.
    ///
    /// - Throws: ``NATSError`` of kind `configuration`, with the path and the system's reason.
    init(path: String) throws(NATSError) {
        do throws(SystemCallError) {
            // A pipe that nobody writes must not hold us up.
            let file = try SystemCallError.check("open", open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK))
            defer { close(file) }
            var status = stat()
            _ = try SystemCallError.check("fstat", fstat(file, &status))
            guard status.st_mode & S_IFMT == S_IFREG else {
                throw SystemCallError("open", code: status.st_mode & S_IFMT == S_IFDIR ? EISDIR : EINVAL)
            }
            isReadableByOthers = Self.isOpen(status.st_mode)
            bytes = try Self.contents(of: file)
        } catch {
            throw Self.unreadable(path, error.code == EINVAL ? "not a regular file" : error.reason)
        }
        guard bytes.count <= Self.maximumSize else { throw Self.unreadable(path, "larger than \(Self.maximumSize >> 10) KiB") }
    }

    deinit { Secret.wipe(&bytes) }

    static func isOpen(_ mode: mode_t) -> Bool { mode & 0o077 != 0 }

    /// A byte more than the limit at most.
    private static func contents(of file: CInt) throws(SystemCallError) -> [UInt8] {
        var failure: SystemCallError?
        let bytes = [UInt8](unsafeUninitializedCapacity: maximumSize + 1) { buffer, filled in
            while filled < buffer.count {
                let got = read(file, buffer.baseAddress?.advanced(by: filled), buffer.count - filled)
                if got < 0, errno == EINTR { continue }
                if got < 0 { failure = SystemCallError("read") }
                if got <= 0 { break }
                filled += got
            }
        }
        if let failure { throw failure }
        return bytes
    }

    private static func unreadable(_ path: String, _ reason: String) -> NATSError {
        NATSError(.configuration, "cannot read \(Printable.text(path)): \(reason)")
    }
}
