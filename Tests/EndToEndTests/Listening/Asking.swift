import Glibc
import QQCore
import Support
import Testing

/// An answer of `qq --listen`.
struct HealthAnswer {
    var status: Int
    var body: String

    func object() throws -> JSONObject { try EndToEndTests.object(body) }
}

extension Started {
    /// The port of `--listen :0`, which qq reports.
    func listeningPort(_ sourceLocation: SourceLocation = #_sourceLocation) async throws -> UInt16 {
        try await waitFor("qq reports its port: \(errors)") {
            guard child.isRunning else { throw TimedOut("qq ended: \(errors)") }
            return errors.split(separator: "\n").compactMap { line in
                line.firstRange(of: "listening on ").flatMap { _ in line.split(separator: ":").last.flatMap { UInt16($0) } }
            }.first
        }
    }

    /// Asks at the port of `--listen :0`.
    func ask(_ path: String) async throws -> HealthAnswer {
        let answer = try httpGet(try await listeningPort(), path)
        return HealthAnswer(status: answer.status, body: String(decoding: answer.body, as: UTF8.self))
    }

    /// Waits until `/leader` is answered with this status.
    func waitForLeader(_ status: Int, _ query: String = "") async throws {
        let port = try await listeningPort()
        try await waitUntil("/leader\(query) is \(status): \(errors)") { try httpGet(port, "/leader" + query).status == status }
    }
}

/// Sends a request, and reads its answer only later.
final class PendingRequest {
    private let descriptor: CInt

    init(_ port: UInt16, _ path: String) throws {
        descriptor = try Socket.connect(port)
        try Socket.write(descriptor, Array("GET \(path) HTTP/1.0\r\n\r\n".utf8))
    }

    deinit { close(descriptor) }

    /// The first line of the answer.
    func statusLine() throws -> String {
        var received: [UInt8] = []
        let end = ContinuousClock.now + .seconds(60)
        while Socket.waitReadable(descriptor, until: end) {
            let part = try Socket.read(descriptor)
            if part.isEmpty { break }
            received += part
        }
        return String(decoding: received.prefix { $0 != UInt8(ascii: "\r") }, as: UTF8.self)
    }
}

/// Many clients that send a text and read nothing.
final class Crowd {
    private let port: UInt16
    private let text: [UInt8]
    private let most: Int
    private var open: [CInt] = []
    /// The number of clients that could send.
    private(set) var sent = 0

    /// - Parameter most: the number of clients at a time; the oldest ones leave.
    init(_ port: UInt16, _ text: String, most: Int) { (self.port, self.text, self.most) = (port, Array(text.utf8), most) }

    deinit { leave() }

    func arrive(_ count: Int) {
        for _ in 0..<count {
            guard let descriptor = Socket.beginToConnect(port) else { continue }
            open.append(descriptor)
            if send(descriptor, text, text.count, CInt(MSG_NOSIGNAL)) == text.count { sent += 1 }
        }
        while open.count > most { close(open.removeFirst()) }
    }

    func leave() {
        for descriptor in open { close(descriptor) }
        open = []
    }
}
