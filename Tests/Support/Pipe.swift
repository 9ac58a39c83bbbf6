import CSupport
import Glibc
import Synchronization

/// A pipe whose ends no child inherits by accident.
public final class Pipe: Sendable {
    public let reading: CInt
    public let writing: CInt
    private let isClosed = Atomic(false)

    public init() {
        var ends: [CInt] = [-1, -1]
        support_pipe(&ends)
        reading = ends[0]
        writing = ends[1]
    }

    deinit { if !isClosed.load(ordering: .relaxed) { close(reading) } }

    public func closeReading() {
        isClosed.store(true, ordering: .relaxed)
        close(reading)
    }

    public func closeWriting() { close(writing) }

    /// Reads what has arrived and appends it to `bytes`.
    /// - Returns: whether the stream has ended.
    public func drain(into bytes: inout [UInt8]) -> Bool {
        _ = fcntl(reading, F_SETFL, O_NONBLOCK)
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = read(reading, &buffer, buffer.count)
            if count == 0 { return true }
            if count < 0 { return errno != EAGAIN && errno != EINTR }
            bytes += buffer[..<count]
        }
    }
}
