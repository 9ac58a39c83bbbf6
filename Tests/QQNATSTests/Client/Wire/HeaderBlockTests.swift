import Testing

@testable import QQNATS

@Suite("Header blocks") struct HeaderBlockTests {
    private static let many = NATSHeaders([.init("A", "1"), .init("a", ""), .init("A", "two: words "), .init("Nats-X", "ü")])

    @Test(
        "headers are read back as they were written",
        arguments: [
            NATSHeaders(), many, NATSHeaders(status: 503), NATSHeaders([.init("X", "y")], status: 408, statusText: "Request Timeout"),
        ])
    func roundTrip(_ headers: NATSHeaders) throws {
        #expect(try HeaderBlock.parse(HeaderBlock.bytes(headers)[...]) == headers)
    }

    @Test("headers are written as the Go client writes them") func written() throws {
        let headers = NATSHeaders([.init("KV-Operation", "DEL")])
        #expect(try HeaderBlock.bytes(headers) == Array("NATS/1.0\r\nKV-Operation: DEL\r\n\r\n".utf8))
    }

    @Test("the first of several headers with one name is returned") func order() {
        #expect(Self.many["A"] == "1")
        #expect(Self.many["b"] == nil)
    }

    @Test(
        "headers are read as the Go client reads them",
        arguments: [
            ("NATS/1.0 404  Not Found \r\n\r\n", NATSHeaders(status: 404, statusText: "Not Found")),
            ("NATS/1.0\r\nA:b\r\nC: \t d\r\n: skipped\r\n\r\n", NATSHeaders([.init("A", "b"), .init("C", "d")])),
            ("NATS/1.0 \nA:b\n\nignored", NATSHeaders([.init("A", "b")])),
        ])
    func read(_ text: String, _ headers: NATSHeaders) throws {
        #expect(try HeaderBlock.parse(Array(text.utf8)[...]) == headers)
    }

    @Test(
        "malformed headers are refused",
        arguments: [
            "", "NATS/1.0", "NATS/1.0\r\n", "NATS/1.1\r\n\r\n", "NATS/1.0503\r\n\r\n", "NATS/1.0 50\r\n\r\n", "NATS/1.0 -50\r\n\r\n",
            "NATS/1.0 5000\r\n\r\n",
            "NATS/1.0\r\nA\r\n\r\n", "NATS/1.0\r\nA: b\r\n", "\r\n\r\n",
        ]) func malformed(_ text: String)
    {
        let error = #expect(throws: NATSError.self) { try HeaderBlock.parse(Array(text.utf8)[...]) }
        #expect(error?.kind == .malformed)
    }

    @Test(
        "headers with a name or value that would change their meaning are not sent",
        arguments: [
            NATSHeaders([.init("", "x")]), NATSHeaders([.init("A b", "x")]), NATSHeaders([.init("A:", "x")]),
            NATSHeaders([.init("A\r\nB", "x")]),
            NATSHeaders([.init("Ä", "x")]), NATSHeaders([.init("A", "x\r\nB: y")]), NATSHeaders([.init("A", "x\n")]),
            NATSHeaders([.init("A", " x")]),
            NATSHeaders([.init("A", "x\0")]), NATSHeaders(status: 5), NATSHeaders(status: 1000),
            NATSHeaders(status: 503, statusText: "a\r\nb"),
        ]) func injection(_ headers: NATSHeaders)
    {
        let error = #expect(throws: NATSError.self) { try HeaderBlock.bytes(headers) }
        #expect(error?.kind == .configuration)
    }
}
