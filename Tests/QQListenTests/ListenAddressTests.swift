import Testing

@testable import QQListen

@Suite("Addresses to listen on") struct ListenAddressTests {
    @Test(
        "an address is a port, a host with a port, or a path",
        arguments: [
            ("8080", "127.0.0.1:8080"), (":8080", "127.0.0.1:8080"), ("localhost:80", "127.0.0.1:80"), ("0", "127.0.0.1:0"),
            ("10.0.0.5:65535", "10.0.0.5:65535"), ("0.0.0.0:1", "0.0.0.0:1"), ("[::]:8080", "[::]:8080"), ("[::1]:8080", "[::1]:8080"),
            ("[2001:db8:0::5]:1", "[2001:db8::5]:1"), ("unix:/run/qq.sock", "unix:/run/qq.sock"), ("unix:a:b", "unix:a:b"),
        ])
    func parses(text: String, canonical: String) throws {
        let address = try ListenAddress.parse(text)
        #expect(address.description == canonical)
        #expect(try ListenAddress.parse(canonical) == address)
    }

    @Test(
        "other texts are rejected",
        arguments: [
            ("", "not a port"), (":", "not a port"), ("65536", "not a port"), ("-1", "not a port"), ("+80", "not a port"),
            (" 80", "not a port"), ("host:80", "not an IP address"), ("1.2.3:80", "not an IP address"), ("*:80", "not an IP address"),
            ("::1:80", "not an address"), ("[1.2.3.4]:80", "not an IPv6 address"), ("[::1]", "not a"),
            ("http://127.0.0.1:80", "not an address"), ("/run/x:80", "not an IP"),
            ("unix:", "the path is missing"), ("unix:/" + String(repeating: "x", count: 107), "too long"),
        ])
    func rejects(text: String, reason: String) {
        do {
            Issue.record("accepted as \(try ListenAddress.parse(text))")
        } catch { #expect(error.reason.contains(reason), "\(error.reason)") }
    }

    @Test("a path of 107 bytes fits") func longestPath() throws {
        let path = "/" + String(repeating: "x", count: 106)
        #expect(try ListenAddress.parse("unix:" + path) == .unix(path))
    }
}
