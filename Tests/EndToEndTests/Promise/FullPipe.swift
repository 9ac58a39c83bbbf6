import Glibc
import Support
import Synchronization

/// A full pipe: a writer waits until it is read.
final class FullPipe: Sendable {
    /// The end for a process's stdout or stderr.
    let end: CInt
    private let reading: CInt
    private let text = Mutex("")
    private static let capacity = 4096

    init() throws {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0, fcntl(ends[1], setPipeSize, CInt(Self.capacity)) == CInt(Self.capacity) else {
            throw CannotStart("no pipe")
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (reading, end) = (ends[0], ends[1])
        let filler = [UInt8](repeating: UInt8(ascii: "."), count: Self.capacity)
        guard filler.withUnsafeBytes({ write(end, $0.baseAddress, $0.count) }) == Self.capacity else { throw CannotStart("not filled") }
    }

    deinit {
        close(reading)
        close(end)
    }

    /// Reads all available bytes. Returns them with everything read before.
    func drain() -> String {
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        var item = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
        while poll(&item, 1, 0) == 1, item.revents & Int16(POLLIN) != 0 {
            let count = read(reading, &bytes, bytes.count)
            if count <= 0 { break }
            text.withLock { $0 += String(decoding: bytes[..<count], as: UTF8.self) }
        }
        return text.withLock { String($0.drop { $0 == "." }) }
    }

    /// The complete lines read so far.
    func lines() -> [String] { drain().split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init) }
}

/// F_SETPIPE_SZ, which the Glibc module leaves out (fcntl.h).
private let setPipeSize: CInt = 1031
