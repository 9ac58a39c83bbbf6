import Glibc
import Synchronization

/// The socket of a service manager: collects the messages of sd_notify(3).
public final class NotifyListener: Sendable {
    /// The value of `NOTIFY_SOCKET`.
    public let address: String
    private let descriptor: CInt
    private let taken = Mutex<[String]>([])

    /// - Parameter address: a path, or a name that begins with `@`.
    public init(_ address: String) throws {
        self.address = address
        descriptor = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw SocketError("socket", code: errno) }
        guard Self.withAddress(address, { bind(descriptor, $0, $1) }) == 0 else {
            let problem = errno
            close(descriptor)
            throw SocketError("bind \(address)", code: problem)
        }
    }

    deinit { close(descriptor) }

    private static func withAddress(_ text: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt) -> CInt {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let isAbstract = text.hasPrefix("@")
        let bytes = isAbstract ? [0] + Array(text.utf8.dropFirst()) : Array(text.utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = MemoryLayout<sa_family_t>.size + bytes.count + (isAbstract ? 0 : 1)
        return withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(length)) }
        }
    }

    /// The messages so far, each with its lines.
    public var messages: [String] {
        taken.withLock { taken in
            var buffer = [UInt8](repeating: 0, count: 8192)
            while true {
                let count = recv(descriptor, &buffer, buffer.count, 0)
                if count < 0 { return taken }
                taken.append(String(decoding: buffer[..<count], as: UTF8.self))
            }
        }
    }

    /// The lines of all messages so far.
    public var lines: [String] { messages.flatMap { $0.split(separator: "\n").map(String.init) } }

    /// Fills the queue of the socket, so that nobody can send to it before `messages` is read.
    public func fill() throws {
        // A sender can also be stopped by the size of its own buffer. The queue is full (net.unix.max_dgram_qlen) if a new sender cannot send at all.
        for _ in 0..<1000 where try fillByOne() == 0 { return }
        throw SocketError("the queue of the socket has no end")
    }

    /// - Returns: the number of messages that one sender could send.
    private func fillByOne() throws -> Int {
        let sender = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard sender >= 0 else { throw SocketError("socket", code: errno) }
        defer { close(sender) }
        guard Self.withAddress(address, { connect(sender, $0, $1) }) == 0 else { throw SocketError("connect", code: errno) }
        var count = 0
        while count < 100_000, send(sender, "FILL=1", 6, CInt(MSG_NOSIGNAL)) == 6 { count += 1 }
        return count
    }
}
