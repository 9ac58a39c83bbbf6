import Foundation
import Glibc
import Synchronization

/// A server on 127.0.0.1 that never reads, and sends one unit of data repeatedly, as fast as the client takes it. The answers that the client owes
/// for the units pile up in the client, unless it limits them.
public final class FloodServer: Sendable {
    private struct State: Sendable {
        var sent = 0
        var accepted = 0
        var floods = false
        var isClosed = false
        var hasEnded = false
        /// When the client last took data.
        var takenAt = ContinuousClock.now
    }

    public let port: UInt16
    private let state = Mutex(State())

    /// - Parameters:
    ///   - greeting: the first bytes of each connection.
    ///   - unit: the bytes that are sent repeatedly after the greeting, once `flood` was called.
    public init(greeting: [UInt8], unit: [UInt8], in sandbox: Sandbox) throws {
        let listener = try Socket.bind()
        // Otherwise the kernel buffers megabytes for each side. Connections inherit the setting.
        Socket.setBuffers(listener, bytes: 32 << 10)
        port = Socket.port(of: listener)
        listen(listener, 16)
        Socket.makeNonBlocking(listener)
        let chunk = Array(repeatElement(unit, count: max(1, 65536 / unit.count)).joined())
        Thread.detachNewThread { [self] in
            var connections: [Connection] = []
            while turn(listener, greeting, chunk, &connections) {}
            for connection in connections { close(connection.descriptor) }
            close(listener)
            state.withLock { $0.hasEnded = true }
        }
        sandbox.atClose { self.end() }
    }

    private struct Connection {
        let descriptor: CInt
        var greeting: ArraySlice<UInt8>
        /// Position in the chunk of the first byte that was not taken yet.
        var place = 0
    }

    private func turn(_ listener: CInt, _ greeting: [UInt8], _ chunk: [UInt8], _ connections: inout [Connection]) -> Bool {
        let (floods, isClosed) = state.withLock { ($0.floods, $0.isClosed) }
        if isClosed { return false }
        var items = [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
        for connection in connections where floods || !connection.greeting.isEmpty {
            items.append(pollfd(fd: connection.descriptor, events: Int16(POLLOUT), revents: 0))
        }
        _ = poll(&items, nfds_t(items.count), 20)
        while let descriptor = Socket.accept(listener) {
            connections.append(Connection(descriptor: descriptor, greeting: greeting[...]))
            state.withLock { $0.accepted += 1 }
        }
        connections = connections.compactMap { connection in
            var connection = connection
            let isGreeting = !connection.greeting.isEmpty
            guard isGreeting || floods else { return connection }
            let bytes = isGreeting ? connection.greeting : chunk[connection.place...]
            let count = bytes.withUnsafeBytes { send(connection.descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            if count < 0 {
                if errno == EAGAIN || errno == EINTR { return connection }
                close(connection.descriptor)
                return nil
            }
            if isGreeting {
                connection.greeting = connection.greeting.dropFirst(count)
            } else {
                connection.place = (connection.place + count) % chunk.count
                state.withLock { state in
                    state.sent += count
                    state.takenAt = .now
                }
            }
            return connection
        }
        return true
    }

    /// Begins to flood existing and later connections.
    public func flood() {
        state.withLock { state in
            state.floods = true
            state.takenAt = .now
        }
    }

    private func end() {
        state.withLock { $0.isClosed = true }
        while !state.withLock({ $0.hasEnded }) { usleep(1000) }
    }

    /// Number of connections that were ever accepted.
    public var accepted: Int { state.withLock { $0.accepted } }
    /// Bytes of the flood that were taken, on all connections.
    public var sent: Int { state.withLock { $0.sent } }
    /// Time since the flood was last taken.
    public var quietFor: Duration { state.withLock { .now - $0.takenAt } }
}

/// A field of `/proc/PID/status` in kilobytes, such as `VmHWM`; 0 if there is none.
public func kilobytes(_ field: String, of pid: pid_t) -> Int {
    for line in readText("/proc/\(pid)/status").split(separator: "\n") where line.hasPrefix(field + ":") {
        return line.split(separator: " ").compactMap { Int($0) }.first ?? 0
    }
    return 0
}
