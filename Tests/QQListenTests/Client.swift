import Glibc
import QQCore
import Support

@testable import QQListen

/// A client of a listener on 127.0.0.1.
final class Client {
    let descriptor: CInt
    private(set) var received: [UInt8] = []

    init(_ listener: Listener) throws { descriptor = try Socket.connect(listener.port) }

    deinit { close(descriptor) }

    func send(_ text: String) throws { try Socket.write(descriptor, Array(text.utf8)) }

    /// Reads until the server ends the connection.
    /// - Returns: all that was received.
    func readToEnd(within limit: Duration = .seconds(60)) throws -> String {
        let end = ContinuousClock.now + limit
        while true {
            guard Socket.waitReadable(descriptor, until: end) else {
                throw SocketError("the server did not end the connection in \(limit)")
            }
            // A reset ends it as well.
            guard let part = try? Socket.read(descriptor), !part.isEmpty else { break }
            received += part
        }
        return String(decoding: received, as: UTF8.self)
    }

    /// Whether something arrives, or the connection ends, in this time.
    func hears(within limit: Duration) -> Bool { Socket.waitReadable(descriptor, until: ContinuousClock.now + limit) }

    /// Sends a text on a connection of its own, and reads to the end.
    static func ask(_ listener: Listener, _ text: String) throws -> String {
        let client = try Client(listener)
        try client.send(text)
        return try client.readToEnd()
    }
}

extension Listener {
    /// A listener on any free port that answers with the target of the request, or a body of this many bytes at `/big`.
    static func echo(_ limits: Limits = Limits(), big: Int = 0) throws -> Listener {
        try Listener(
            .tcp([127, 0, 0, 1], port: 0), limits: limits, failed: { _ in },
            answer: { request in
                request.path == "/big"
                    ? Answer(status: 200, type: "text/plain", body: [UInt8](repeating: 65, count: big)) : .text(200, request.target)
            })
    }

    var port: UInt16 { if case .tcp(_, let port) = address { port } else { 0 } }
}
