import NIOCore
import Testing

@testable import QQHTTP

@Suite struct ProxyHandshakeTests {
    @Test func `any number of interim answers may precede the answer to CONNECT`() throws {
        var handshake = ConnectHandshake(HTTPServer(.https, host: "h"), nil)
        var bytes = ByteBuffer(string: String(repeating: "HTTP/1.1 100\n\n", count: 100_000))
        #expect(try handshake.receive(&bytes) == .needsMore)
        #expect(bytes.readableBytes == 0)
        bytes.writeString("HTTP/1.1 200 OK\r\n\r\nrest")
        #expect(try handshake.receive(&bytes) == .connected)
        #expect(String(buffer: bytes) == "rest")
    }
}
