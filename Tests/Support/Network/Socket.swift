import Glibc

/// A connection broke, was refused, or brought no data in time.
public struct SocketError: Error, CustomStringConvertible {
    public let description: String

    public init(_ what: String, code: CInt? = nil) { description = code.map { "\(what): \(String(cString: strerror($0)))" } ?? what }
}

/// Plain TCP sockets on 127.0.0.1, as descriptors.
public enum Socket {
    private static func withAddress<Result>(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        return withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }

    private static func make() throws -> CInt {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SocketError("socket", code: errno) }
        return descriptor
    }

    private static func set(_ descriptor: CInt, level: CInt, _ option: CInt, _ value: CInt = 1) {
        var value = value
        setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<CInt>.size))
    }

    /// Connects. On this machine the kernel answers immediately.
    public static func connect(_ port: UInt16) throws -> CInt {
        let descriptor = try make()
        guard withAddress(port, { Glibc.connect(descriptor, $0, $1) }) == 0 else {
            let problem = errno
            close(descriptor)
            throw SocketError("connect to 127.0.0.1:\(port)", code: problem)
        }
        set(descriptor, level: CInt(IPPROTO_TCP), TCP_NODELAY)
        return descriptor
    }

    /// Connects without waiting: the kernel of a busy server might take the connection only later. Nil if there are no descriptors left.
    public static func beginToConnect(_ port: UInt16) -> CInt? {
        guard let descriptor = try? make() else { return nil }
        makeNonBlocking(descriptor)
        _ = withAddress(port) { Glibc.connect(descriptor, $0, $1) }
        return descriptor
    }

    /// Waits until a port that is no longer listened on refuses connections. A process that was just being started when the listening socket was closed has
    /// a copy of it until it executes its program, and connections are accepted and reset until then.
    public static func waitUntilRefused(_ port: UInt16) async {
        try? await waitUntil("port \(port) refuses connections", within: .seconds(30)) {
            guard let descriptor = try? connect(port) else { return true }
            close(descriptor)
            return false
        }
    }

    /// Connects to a Unix socket.
    public static func connect(unix path: String) throws -> CInt {
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SocketError("socket", code: errno) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        let result = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let problem = errno
            close(descriptor)
            throw SocketError("connect to \(path)", code: problem)
        }
        return descriptor
    }

    /// A socket that is bound and does not listen yet, so that connecting is refused. Port 0 takes a free port.
    public static func bind(_ port: UInt16 = 0) throws -> CInt {
        let descriptor = try make()
        set(descriptor, level: SOL_SOCKET, SO_REUSEADDR)
        guard withAddress(port, { Glibc.bind(descriptor, $0, $1) }) == 0 else {
            let problem = errno
            close(descriptor)
            throw SocketError("bind 127.0.0.1:\(port)", code: problem)
        }
        return descriptor
    }

    public static func port(of descriptor: CInt) -> UInt16 {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    public static func makeNonBlocking(_ descriptor: CInt) { _ = fcntl(descriptor, F_SETFL, O_NONBLOCK) }

    /// Accepts the next connection, non-blocking and without delay (TCP_NODELAY); nil if there is none.
    public static func accept(_ listener: CInt) -> CInt? {
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0 else { return nil }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        makeNonBlocking(descriptor)
        set(descriptor, level: CInt(IPPROTO_TCP), TCP_NODELAY)
        return descriptor
    }

    /// Sets how many bytes the kernel buffers at most for a connection in each direction.
    public static func setBuffers(_ descriptor: CInt, bytes: CInt) {
        set(descriptor, level: SOL_SOCKET, SO_RCVBUF, bytes)
        set(descriptor, level: SOL_SOCKET, SO_SNDBUF, bytes)
    }

    /// Closes with a reset (RST) instead of an orderly end.
    public static func reset(_ descriptor: CInt) {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
        close(descriptor)
    }

    /// Waits until the socket can be read or has ended.
    /// - Returns: false if neither happened before `end`.
    public static func waitReadable(_ descriptor: CInt, until end: ContinuousClock.Instant) -> Bool {
        var item = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while true {
            let left = max(.zero, ContinuousClock.now.duration(to: end))
            let count = poll(&item, 1, CInt(clamping: left.milliseconds))
            if count > 0 { return true }
            if count == 0, ContinuousClock.now >= end { return false }
            if count < 0, errno != EINTR { return true }
        }
    }

    /// The bytes that have arrived; empty at the end of the stream.
    public static func read(_ descriptor: CInt) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        let count = Glibc.recv(descriptor, &buffer, buffer.count, 0)
        guard count >= 0 else { throw SocketError("read", code: errno) }
        return Array(buffer[..<count])
    }

    /// Writes all bytes. The descriptor must be blocking.
    public static func write(_ descriptor: CInt, _ bytes: [UInt8]) throws {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress?.advanced(by: done), bytes.count - done, CInt(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw SocketError("write", code: errno) }
            done += count
        }
    }
}

extension Duration {
    /// Whole milliseconds, rounded up.
    var milliseconds: Int { Int(components.seconds) * 1000 + Int((components.attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000) }
}

/// Body and status of an HTTP answer, for the monitoring pages of servers on this machine.
public func httpGet(_ port: UInt16, _ path: String, within limit: Duration = .seconds(60)) throws -> (status: Int, body: [UInt8]) {
    try httpGet(on: try Socket.connect(port), "127.0.0.1:\(port)", path, within: limit)
}

/// The same over a Unix socket.
public func httpGet(unix file: String, _ path: String, within limit: Duration = .seconds(60)) throws -> (status: Int, body: [UInt8]) {
    try httpGet(on: try Socket.connect(unix: file), file, path, within: limit)
}

private func httpGet(
    on socket: CInt, _ place: String, _ path: String, within limit: Duration
) throws -> (status: Int, body: [UInt8]) {
    let end = ContinuousClock.now + limit
    defer { close(socket) }
    try Socket.write(socket, Array("GET \(path) HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".utf8))
    var answer: [UInt8] = []
    while true {
        guard Socket.waitReadable(socket, until: end) else { throw SocketError("no answer from \(place)\(path) within \(limit)") }
        let part = try Socket.read(socket)
        if part.isEmpty { break }
        answer += part
    }
    let blank = Array("\r\n\r\n".utf8)
    guard let head = answer.indices.first(where: { answer[$0...].starts(with: blank) }),
        let status = String(decoding: answer[..<head], as: UTF8.self).split(separator: " ").dropFirst().first.flatMap({ Int($0) })
    else { throw SocketError("not an HTTP answer from \(place)\(path)") }
    return (status, Array(answer[(head + 4)...]))
}
