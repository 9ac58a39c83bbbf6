import Glibc
import QQCore
import QQHTTP
import QQNetwork
import Support
import Testing

@Suite("TLS under HTTP", .serialized) struct TLSTests {
    private func endpoint(_ port: Int, host: String = "localhost", _ change: (inout TLSOptions) -> Void) -> HTTPEndpoint {
        var settings = HTTPSettings()
        change(&settings.tls)
        return HTTPEndpoint(HTTPServer(.https, host: host, port: port), settings, clock: SystemClock())
    }

    private func server(_ certificates: Certificates, mutual: Bool = false, tls12: Bool = false, in box: Sandbox) async throws -> TestServer
    {
        var settings = TestServer.Settings()
        settings.certificates = certificates.server
        settings.clientAuthority = mutual ? certificates.authority : nil
        settings.isTLS12 = tls12
        return try await TestServer(settings, in: box)
    }

    private func inBox(_ body: (Sandbox) async throws -> Void) async throws { _ = try await withSandbox(.light, body) }

    @Test func `the certificate must have the host's name, or the configured one, before a request is sent`() async throws {
        try await inBox { box in
            let certificates = try await Certificates(in: box, serverNames: "DNS:api.example")
            let server = try await server(certificates, in: box)
            let named = endpoint(server.port) {
                $0.authority = .file(certificates.authority)
                $0.serverName = "api.example"
            }
            #expect(try await named.text("/x") == "GET /x")
            // The address of the server is not one of its names.
            for host in ["localhost", "127.0.0.1"] {
                let failure = try #require(
                    await endpoint(server.port, host: host) {
                        $0.authority = .file(certificates.authority)
                        $0.hints.serverName = "set tls-server-name"
                    }.failure("/y", isRepeatable: false))
                #expect(
                    failure.tls?.kind == .configuration && failure.reason.contains("is not for \(host), but for api.example"), "\(failure)")
                #expect(failure.hint == "set tls-server-name" && !failure.wasSent && failure.kind == .notConnected)
            }
            #expect(server.targets == ["/x"])
        }
    }

    @Test func `an untrusted authority and an expired certificate are reported as such`() async throws {
        try await inBox { box in
            let certificates = try await Certificates(in: box)
            let strangers = try await Certificates(in: box, name: "strangers")
            let port = try await server(certificates, in: box).port
            let failure = try #require(await endpoint(port) { $0.authority = .file(strangers.authority) }.failure("/x"))
            #expect(failure.tls?.kind == .configuration && failure.reason.contains("not signed by a trusted authority"), "\(failure)")
            let old = try await Certificates(in: box, name: "old", serverDays: -1)
            let oldPort = try await server(old, in: box).port
            let expired = try #require(await endpoint(oldPort) { $0.authority = .file(old.authority) }.failure("/x"))
            #expect(expired.tls?.kind == .configuration && expired.reason == "the server's certificate has expired", "\(expired)")
        }
    }

    @Test func `nothing is checked if that is asked for`() async throws {
        try await inBox { box in
            let certificates = try await Certificates(in: box, serverNames: "DNS:other.example", serverDays: -1)
            let server = try await server(certificates, in: box)
            #expect(try await endpoint(server.port) { $0.checksServer = false }.text("/x") == "GET /x")
        }
    }

    @Test(arguments: [false, true])
    func `a server that requires a client certificate gets it, and refuses another one or none, before it processes a request`(
        tls12: Bool
    ) async throws {
        try await inBox { box in
            let certificates = try await Certificates(in: box)
            let strangers = try await Certificates(in: box, name: "strangers")
            for protocols in [["h2"], ["http/1.1"]] {
                var settings = TestServer.Settings()
                settings.certificates = certificates.server
                settings.clientAuthority = certificates.authority
                settings.isTLS12 = tls12
                settings.protocols = protocols
                let server = try await TestServer(settings, in: box)
                func endpoint(_ pair: Certificates.Pair?) -> HTTPEndpoint {
                    self.endpoint(server.port) {
                        $0.authority = .file(certificates.authority)
                        $0.certificate = (pair?.certificate).map { .file($0) }
                        $0.key = (pair?.key).map { .file($0) }
                        $0.hints.certificate = "see client-certificate"
                    }
                }
                #expect(try await endpoint(certificates.client).text("/x") == "GET /x")
                for pair in [nil, strangers.client] {
                    let failure = try #require(await endpoint(pair).failure("/y", isRepeatable: false))
                    // BoringSSL's servers do not say what they miss before TLS 1.3.
                    if tls12, pair == nil {
                        #expect(failure.tls != nil && !failure.wasSent, "\(failure)")
                        continue
                    }
                    #expect(
                        failure.tls?.kind == .denied && failure.hint == "see client-certificate" && !failure.wasSent,
                        "\(protocols) \(failure)")
                    let words = pair == nil ? "requires a client certificate" : "does not accept the client certificate"
                    #expect(failure.reason.hasPrefix("the server \(words)"), "\(failure)")
                }
                #expect(server.targets == ["/x"])
            }
        }
    }

    @Test func `certificates and keys can come from memory`() async throws {
        try await inBox { box in
            let certificates = try await Certificates(in: box)
            let server = try await server(certificates, mutual: true, in: box)
            func bytes(_ path: String) -> PEMSource { .bytes(Array(readText(path).utf8), from: "config") }
            let endpoint = endpoint(server.port) {
                $0.authority = bytes(certificates.authority)
                $0.certificate = bytes(certificates.client.certificate)
                $0.key = bytes(certificates.client.key)
            }
            #expect(try await endpoint.text("/x") == "GET /x")
            let broken = self.endpoint(server.port) { $0.authority = .bytes(Array("junk".utf8), from: "config, user a", hint: "hint") }
            let failure = try #require(await broken.failure("/x"))
            #expect(failure.tls?.kind == .configuration && failure.endpoint == "config, user a" && failure.hint == "hint", "\(failure)")
            #expect(failure.reason == "the authorities' certificates cannot be read: there is no PEM certificate", "\(failure)")
        }
    }

    @Test func `renewed files are used for the next connection`() async throws {
        try await inBox { box in
            let certificates = try await Certificates(in: box)
            let strangers = try await Certificates(in: box, name: "strangers")
            let server = try await server(certificates, in: box)
            let file = box.path("ca.pem")
            try box.write(readText(strangers.authority), to: file)
            let endpoint = endpoint(server.port) { $0.authority = .file(file) }
            #expect(await endpoint.failure("/x")?.tls != nil)
            try box.write(readText(certificates.authority), to: file)
            #expect(try await endpoint.text("/x") == "GET /x")
        }
    }

    @Test func `a server without TLS, and one with, are reported to clients that expect the other`() async throws {
        try await inBox { box in
            let certificates = try await Certificates(in: box)
            let plain = try await TestServer(in: box)
            let failure = try #require(
                await endpoint(plain.port) { $0.authority = .file(certificates.authority) }.failure("/x", timeout: .seconds(30)))
            #expect(failure.tls != nil && failure.reason.contains("TLS"), "\(failure)")
            #expect(failure.hint?.contains("http://") == true && !failure.wasSent, "\(failure)")
            let secure = try await server(certificates, in: box)
            let client = HTTPEndpoint(HTTPServer(.http, host: "localhost", port: secure.port), clock: SystemClock())
            let other = try #require(await client.failure("/x", timeout: .seconds(30)))
            #expect(other.hint?.contains("https://") == true, "\(other) \(other.hint ?? "")")
        }
    }
}
