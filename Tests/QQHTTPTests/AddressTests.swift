import QQHTTP
import Testing

@Suite struct HTTPServerTests {
    @Test func `a server's URL has a scheme, a host, perhaps a port and a path`() throws {
        let server = try #require(HTTPServer(url: "https://api.example:6443/k8s/c-1/"))
        #expect(server == HTTPServer(.https, host: "api.example", port: 6443, path: "/k8s/c-1"))
        #expect(server.description == "https://api.example:6443/k8s/c-1" && server.endpoint == "api.example:6443")
        #expect(HTTPServer(url: "HTTP://[::1]")?.endpoint == "[::1]:80")
        #expect(HTTPServer(url: "https://h/")?.description == "https://h")
        #expect(HTTPServer(url: "https://10.0.0.1:")?.port == 443)
    }

    @Test(arguments: [
        "", "h", "h:6443", "https://", "https://:1", "https://h:0", "https://h:65536", "https://h:x", "https://a@h", "https://a:b@h",
        "https://h?x=y",
        "https://h/#f", "ftp://h", "https://h h", "https://h\n", "https://[::1", "https://[::1]x", "https://[h]", "https://h:1:2",
        "https://%41",
    ]) func `other text is not a server's URL`(text: String) { #expect(HTTPServer(url: text) == nil) }
}

@Suite struct HTTPProxyTests {
    @Test func `a proxy's URL can contain a login, which its description lacks`() throws {
        let proxy = try HTTPProxy(url: "http://us%40er:p%3Aw%25@proxy.example:3128/")
        #expect(proxy == HTTPProxy(.http, host: "proxy.example", port: 3128, login: .init(user: "us@er", password: "p:w%")))
        #expect(proxy.description == "http://proxy.example:3128")
        #expect(try HTTPProxy(url: "proxy.example:3128") == HTTPProxy(.http, host: "proxy.example", port: 3128))
        #expect(try HTTPProxy(url: "https://p").port == 443 && HTTPProxy(url: "http://p").port == 80)
        #expect(try HTTPProxy(url: "socks5h://[fd00::1]").description == "socks5://[fd00::1]:1080")
        #expect(try HTTPProxy(url: "http://user@p").login == .init(user: "user", password: ""))
    }

    @Test(arguments: [
        "socks4://u:secret@p", "ftp://u:secret@p", "http://u:secret@", "http://u:secret@p:x", "http://u:%zz@p", "socks5://u@p",
    ])
    func `an error about a proxy's URL does not contain it`(text: String) {
        do throws(HTTPProxyError) {
            _ = try HTTPProxy(url: text)
            Issue.record("was taken")
        } catch { #expect(!error.description.contains("secret") && !error.description.contains("@"), "\(error)") }
    }

    private func proxy(for url: String, _ variables: [String: String]) throws -> String? {
        try HTTPProxy.fromEnvironment(for: try #require(HTTPServer(url: url))) { variables[$0] }?.description
    }

    @Test func `the environment names a proxy for each scheme, in capitals first`() throws {
        let variables = ["HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:2", "http_proxy": "socks5://c:3", "ALL_PROXY": "http://d:4"]
        #expect(try proxy(for: "https://h", variables) == "http://a:1")
        #expect(try proxy(for: "http://h", variables) == "socks5://c:3")
        #expect(try proxy(for: "https://h", ["HTTPS_PROXY": "", "https_proxy": "b:2"]) == "http://b:2")
        #expect(try proxy(for: "https://h", ["HTTP_PROXY": "http://c:3", "ALL_PROXY": "http://d:4"]) == nil)
        #expect(try proxy(for: "https://h", [:]) == nil)
        do throws(HTTPProxyError) {
            _ = try HTTPProxy.fromEnvironment(for: HTTPServer(.https, host: "h")) { $0 == "https_proxy" ? "ftp://u:secret@x" : nil }
            Issue.record("was taken")
        } catch { #expect(error.variable == "https_proxy" && !error.description.contains("secret")) }
    }

    // The cases of golang.org/x/net/http/httpproxy, proxy_test.go, and some more.
    @Test(arguments: [
        ("localhost", false), ("127.0.0.1", false), ("127.0.0.2", false), ("[::1]", false), ("[::2]", true), ("192.168.1.1", false),
        ("192.168.1.2", true), ("192.168.1.3", false), ("192.168.1.4", true), ("www.barbaz.net", false), ("192.168.1.55", true),
        ("172.16.255.254", false), ("172.17.0.1", true), ("[2001:db8::52:0:1]", false), ("foobar.com", false), ("www.foobar.com", false),
        ("foofoobar.com", true), ("baz.com", true), ("localhost.net", true), ("local.localhost", true), ("barbarbaz.net", true),
        ("www.foo.com", false),
        ("WWW.FOO.COM", false), ("foo.com", true), ("wildcard.io", true), ("nested.wildcard.io", false), ("awildcard.io", true),
        ("10.1.2.3", false), ("[fd00::5]", false), ("[fd01::5]", true),
    ]) func `NO_PROXY names exceptions as Go understands it`(host: String, isProxied: Bool) throws {
        let exceptions =
            "foobar.com, barbaz.net, *.wildcard.io, 192.168.1.1, 192.168.1.2:81, 192.168.1.3:80, 10.0.0.0/30, 2001:db8::52:0:1, 2001:db8::/64x, "
            + "172.16.0.0/16, .foo.com, , :80, 10.1.2.3:80, fd00::/16"
        #expect(try proxy(for: "http://\(host)", ["http_proxy": "p:1", "no_proxy": exceptions]) == (isProxied ? "http://p:1" : nil))
    }

    @Test func `a star excepts all, and a port only that port`() throws {
        #expect(try proxy(for: "https://h", ["https_proxy": "p:1", "NO_PROXY": "a, * "]) == nil)
        #expect(try proxy(for: "https://h:6443", ["https_proxy": "p:1", "NO_PROXY": "h:6443"]) == nil)
        #expect(try proxy(for: "https://h:6443", ["https_proxy": "p:1", "NO_PROXY": "h:443"]) == "http://p:1")
        #expect(try proxy(for: "https://[fd00::1]:6443", ["https_proxy": "p:1", "NO_PROXY": "[fd00::1]:6443"]) == nil)
        #expect(try proxy(for: "https://h", ["https_proxy": "p:1", "NO_PROXY": "", "no_proxy": "h"]) == nil)
        #expect(try proxy(for: "https://[::ffff:10.0.0.1]", ["https_proxy": "p:1", "NO_PROXY": "10.0.0.0/8"]) == nil)
    }
}
