import Glibc
import Support
import Testing

/// Messages that a server sends without reading the answers that they require.
private enum Flood: String, CaseIterable, CustomTestStringConvertible {
    case natsPings, natsInfo, http2Pings, http2Settings

    var testDescription: String { rawValue }

    private static let info = #"INFO {"server_id":"x","version":"2.12.0","proto":1,"headers":true,"max_payload":1048576,"jetstream":true}"#

    var isNATS: Bool { self == .natsPings || self == .natsInfo }

    var greeting: [UInt8] { isNATS ? Array("\(Self.info)\r\nPONG\r\n".utf8) : frame(4) }

    var unit: [UInt8] {
        switch self {
        case .natsPings: Array("PING\r\n".utf8)
        case .natsInfo:
            Array((1...9).map { #"INFO {"server_id":"x","connect_urls":["10.0.0.\#($0):4222"]}"# + "\r\nPING\r\n" }.joined().utf8)
        case .http2Pings: frame(6, Array("12345678".utf8))
        case .http2Settings: frame(4)
        }
    }

    /// RFC 9113, section 4.1.
    private func frame(_ type: UInt8, _ payload: [UInt8] = []) -> [UInt8] { [0, 0, UInt8(payload.count), type, 0, 0, 0, 0, 0] + payload }

    func url(_ port: UInt16) -> String { (isNATS ? "nats" : "raftlock") + "://127.0.0.1:\(port)" }
}

@Suite("A server that floods and does not read")
struct FloodTests {
    @Test("a flood never makes qq grow without limit, and qq still ends when told to", arguments: Flood.allCases)
    fileprivate func bounded(flood: Flood) async throws {
        try await inSandbox(.heavy) { box in
            let server = try FloodServer(greeting: flood.greeting, unit: flood.unit, in: box)
            let holder = try box.start(
                [Sandbox.binary, "keepalive", "x", "--ttl", "10s", "--timeout", "3s"], environment: ["QQ_SERVER": flood.url(server.port)])
            try await waitUntil("qq has connected: \(holder.errors)") { server.accepted > 0 }
            let before = kilobytes("VmHWM", of: holder.pid)
            server.flood()
            // Far more than qq is allowed to keep, or as much as it takes.
            try await waitUntil("the flood is over", within: .seconds(120)) {
                server.sent > 24 << 20 || server.accepted > 3 || server.quietFor > .seconds(2) || !holder.child.isRunning
            }
            #expect(server.sent > 0)
            let after = kilobytes("VmHWM", of: holder.pid)
            #expect(after - before < 12 << 10, "\(flood): from \(before) to \(after) kB, \(server.sent) bytes accepted")
            #expect(holder.child.isRunning, "\(holder.errors)")
            try await holder.terminate()
        }
    }
}
