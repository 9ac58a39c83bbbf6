import Glibc
import QQCore

/// A connection to a NATS server, line by line, that does nothing automatically.
public struct NATSWire: Sendable {
    public let descriptor: CInt
    private var reader = NATSLineReader()

    public init(port: UInt16) throws { descriptor = try Socket.connect(port) }

    public func close() { Glibc.close(descriptor) }

    /// Sends a line. With a payload, the sizes of headers and payload are appended to the line.
    public func send(_ text: String, headers: String? = nil, payload: [UInt8]? = nil) throws {
        var bytes = Array(text.utf8)
        let block = Array((headers ?? "").utf8)
        if let payload {
            bytes +=
                Array((headers == nil ? " \(payload.count)" : " \(block.count) \(block.count + payload.count)").utf8) + [13, 10] + block
                + payload
        }
        try Socket.write(descriptor, bytes + [13, 10])
    }

    /// The next line; nil if none arrives before `end`. Throws at the end of the stream.
    public mutating func next(until end: ContinuousClock.Instant) throws -> NATSLine? {
        while true {
            if let line = try reader.next() { return line }
            guard Socket.waitReadable(descriptor, until: end) else { return nil }
            let more = try Socket.read(descriptor)
            if more.isEmpty { throw SocketError("the server ended the connection") }
            reader.append(more)
        }
    }
}

/// A header block: the names and values between `NATS/1.0` and the blank line.
public func natsHeaders(_ headers: [(String, String)]) -> String {
    "NATS/1.0\r\n" + headers.map { "\($0): \($1)\r\n" }.joined() + "\r\n"
}
