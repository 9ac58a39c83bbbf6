import QQCore
import QQNetwork
import Testing

@testable import QQGRPC
@testable import Support

@Suite("TLS under gRPC") struct TLSTests {
    private func options(_ certificates: Certificates?, _ change: (inout TLSOptions) -> Void = { _ in }) -> GRPCSettings {
        var options = TLSOptions()
        options.authority = (certificates?.authority).map { .file($0) }
        change(&options)
        return GRPCSettings(tls: options)
    }

    private func server(_ certificates: Certificates, mutual: Bool = false, in box: Sandbox) async throws -> TestServer {
        var settings = GRPCServerSettings()
        settings.tls = .init(certificates, verifiesClients: mutual)
        return try await TestServer(settings, in: box)
    }

    @Test("the certificate must have the host's name, or the configured one") func names() async throws {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box, serverNames: "DNS:quest.example")
            let server = try await server(certificates, in: box)
            let named = GRPCEndpoint.of(server.port, host: "localhost", options(certificates) { $0.serverName = "quest.example" })
            #expect(try await named.ask("x") == "x")
            let unnamed = GRPCEndpoint.of(server.port, host: "localhost", options(certificates))
            let failure = try #require(await unnamed.failure("x"))
            #expect(failure.tls?.kind == .configuration && failure.reason.contains("is not for localhost"), "\(failure)")
            #expect(failure.told("x", isChange: true).kind == .configuration && !failure.told("x", isChange: true).isUncertain)
            #expect(server.questions == ["x"])
            named.close()
            unnamed.close()
        }
    }

    @Test("an untrusted authority and an expired certificate are reported as such") func untrusted() async throws {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box)
            let strangers = try await Certificates(in: box, name: "strangers")
            let endpoint = GRPCEndpoint.of(try await server(certificates, in: box).port, host: "localhost", options(strangers))
            let failure = try #require(await endpoint.failure("x"))
            #expect(
                failure.tls?.kind == .configuration && failure.reason.contains("not signed by a trusted authority"), "\(failure)")
            let old = try await Certificates(in: box, name: "old", serverDays: -1)
            let late = GRPCEndpoint.of(try await server(old, in: box).port, host: "localhost", options(old))
            let expired = try #require(await late.failure("x"))
            #expect(expired.tls?.kind == .configuration && expired.reason.contains("expired"), "\(expired)")
            endpoint.close()
            late.close()
        }
    }

    @Test("a server that requires a client certificate gets it, and refuses another one or none") func mutual() async throws {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box)
            let strangers = try await Certificates(in: box, name: "strangers")
            let server = try await server(certificates, mutual: true, in: box)
            func endpoint(_ pair: Certificates.Pair?) -> GRPCEndpoint {
                GRPCEndpoint.of(
                    server.port, host: "localhost",
                    options(certificates) {
                        $0.certificate = (pair?.certificate).map { .file($0) }
                        $0.key = (pair?.key).map { .file($0) }
                    })
            }
            let ours = endpoint(certificates.client)
            #expect(try await ours.ask("x") == "x")
            for pair in [nil, strangers.client] {
                let other = endpoint(pair)
                let failure = try #require(await other.failure("y"))
                #expect(failure.told("x", isChange: true).kind == .denied, "\(failure)")
                other.close()
            }
            #expect(server.questions == ["x"])
            ours.close()
        }
    }

    @Test("a request that was sent over TLS counts as sent if the connection is cut, and is not made again", arguments: [false, true])
    func cut(reset: Bool) async throws {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box)
            var settings = GRPCServerSettings()
            settings.tls = .init(certificates, verifiesClients: false)
            let server = try await TestServer(settings, in: box) { text, context in
                if text == "change" { try await context.neverAnswer() }
                return text
            }
            // Cuts without the end that TLS prescribes, as a server that is killed does.
            let proxy = try Proxy(to: UInt16(server.port), in: box)
            let endpoint = GRPCEndpoint.of(Int(proxy.port), host: "localhost", options(certificates))
            #expect(try await endpoint.ask("first") == "first")
            async let answer = endpoint.failure("change", isRepeatable: false)
            try await waitUntil("it was received") { server.questions.contains("change") }
            proxy.cut(reset: reset)
            let failure = try #require(await answer)
            #expect(failure.code == .unavailable && failure.wasSent && !failure.isAnswer && failure.tls == nil, "\(failure)")
            #expect(failure.told("cannot x", isChange: true).isUncertain && !failure.reason.contains("library"), "\(failure)")
            #expect(server.questions == ["first", "change"])
            endpoint.close()
        }
    }

    @Test("a server without TLS is reported as such") func plain() async throws {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box)
            let endpoint = GRPCEndpoint.of(try await TestServer(in: box).port, host: "localhost", options(certificates))
            let failure = try #require(await endpoint.failure("x", timeout: .seconds(20)))
            #expect(failure.tls != nil && failure.reason.contains("TLS"), "\(failure)")
            endpoint.close()
        }
    }

    @Test("files that cannot be used are named in the error, and nothing is sent") func files() async throws {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box)
            let server = try await server(certificates, in: box)
            try box.write("junk", to: "junk.pem")
            for file in [box.path("missing.pem"), box.path("junk.pem")] {
                let endpoint = GRPCEndpoint.of(server.port, host: "localhost", options(nil) { $0.authority = .file(file) })
                let failure = try #require(await endpoint.failure("x"))
                #expect(failure.tls?.kind == .configuration && failure.endpoint == file, "\(failure)")
                endpoint.close()
            }
            #expect(server.questions == [])
        }
    }
}
