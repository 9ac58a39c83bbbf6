import Glibc
import QQLoop

/// A question to the user at the terminal.
enum Question {
    /// Waits for a line without blocking the loop.
    /// - Returns: the line; nil at the end of input, and if the task is cancelled.
    static func answer(on loop: MainLoop) async -> String? {
        while true {
            guard (try? await loop.readable(STDIN_FILENO)) != nil else { return nil }
            var bytes = [UInt8](repeating: 0, count: 4096)
            // A read from a terminal returns one line at most.
            let count = read(STDIN_FILENO, &bytes, bytes.count)
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count > 0 else { return nil }
            return String(decoding: bytes[..<count].prefix { $0 != 10 && $0 != 13 }, as: UTF8.self)
        }
    }

    static func isYes(_ answer: String?) -> Bool { ["y", "yes"].contains(answer?.lowercased()) }
}
