import Glibc
import QQCore
import QQLoop

/// The lines of a script, read one at a time.
actor ScriptLines {
    /// Length of the longest line, in bytes.
    static let longest = 1 << 20

    /// The name of the script in errors.
    let name: String
    private let descriptor: CInt
    private let loop: MainLoop
    private var pending: [UInt8] = []
    private var isAtEnd = false
    private var count = 0

    /// - Parameter path: nil for stdin.
    init(_ path: String?, _ loop: MainLoop) throws(CoordinationError) {
        name = path ?? "script"
        self.loop = loop
        // Opening a pipe without a writer must not block. `readMore` waits for its lines.
        descriptor = path.map { open($0, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY) } ?? STDIN_FILENO
        guard descriptor >= 0 else { throw Self.failure(SystemCallError("open"), name) }
    }

    private static func failure(_ error: SystemCallError, _ name: String) -> CoordinationError {
        CoordinationError(.configuration, "cannot read the script", because: error.reason, at: name)
    }

    /// The next line without its newline; nil after the last one.
    /// - Throws: `CoordinationError`, or `CancellationError`.
    func next() async throws -> String? {
        var searched = 0
        while true {
            if let end = pending[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { pending.removeSubrange(...end) }
                return try line(pending[..<end])
            }
            searched = pending.count
            guard searched <= Self.longest else {
                throw CoordinationError(
                    .brokenData, "cannot read the script", because: "a line is longer than 1 MiB", at: "\(name), line \(count + 1)")
            }
            if isAtEnd {
                defer { pending = [] }
                return pending.isEmpty ? nil : try line(pending[...])
            }
            try await readMore()
        }
    }

    private func line(_ bytes: ArraySlice<UInt8>) throws(CoordinationError) -> String {
        count += 1
        var bytes = bytes
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        // Some editors begin a file with a byte order mark.
        if count == 1, bytes.starts(with: [0xef, 0xbb, 0xbf]) { bytes.removeFirst(3) }
        // Replacement characters could make two identities equal.
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CoordinationError(.usage, "cannot read the script", because: "it is not valid UTF-8", at: "\(name), line \(count)")
        }
        return text
    }

    private func readMore() async throws {
        // A pipe might be empty for now. A regular file cannot be waited for; it is always readable.
        do { try await loop.readable(descriptor) } catch is CancellationError { throw CancellationError() } catch {}
        var chunk = [UInt8](repeating: 0, count: 4096)
        let count = read(descriptor, &chunk, chunk.count)
        if count < 0, errno == EINTR || errno == EAGAIN { return }
        guard count >= 0 else { throw Self.failure(SystemCallError("read"), name) }
        isAtEnd = count == 0
        pending += chunk[..<count]
    }
}
