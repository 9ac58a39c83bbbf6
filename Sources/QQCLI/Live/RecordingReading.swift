import Glibc
import QQCore
import QQLoop

extension Recording {
    /// Reads a file, or a pipe to its end, without blocking the loop.
    /// - Throws: `CoordinationError`: `.configuration` if it cannot be read, `.brokenData` if it is not a recording; `CancellationError`.
    init(path: String, on loop: MainLoop) async throws { try self.init(try await Self.read(path, on: loop), path: path) }

    /// Size of the longest recording, in bytes. It is limited because the whole recording is in memory.
    private static let longest = 1 << 30

    private static func read(_ path: String, on loop: MainLoop) async throws -> [UInt8] {
        func failed(_ reason: String = SystemCallError("read").reason) -> CoordinationError {
            CoordinationError(.configuration, "cannot replay", because: reason, at: path)
        }
        // Opening a pipe without a writer must not block. The loop below waits for its data.
        let descriptor = Glibc.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failed() }
        defer {
            loop.forget(descriptor)
            close(descriptor)
        }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            // A regular file cannot be waited for. It is always readable.
            do { try await loop.readable(descriptor) } catch is SystemCallError {}
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count >= 0 else { throw failed() }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= longest else { throw failed("it is longer than 1 GiB") }
        }
    }
}
