import QQCore
import Support
import Testing

@Suite("TLS to NATS")
struct NATSTLSTests {
    private func serve(
        _ box: Sandbox, _ version: NATSVersion, _ certificates: Certificates, verifiesClients: Bool = false, isFirst: Bool = false
    ) async throws -> NATSServer {
        var settings = NATSSettings()
        settings.name = "tls\(UInt16.random(in: 0...UInt16.max))"
        settings.tls = NATSSettings.TLS(certificates, verifiesClients: verifiesClients, isFirst: isFirst)
        return try await NATSServer.start(version, settings, in: box)
    }

    private func enter(_ box: Sandbox, _ url: String, _ words: String...) async throws -> Run {
        try await box.start([Sandbox.binary, "-s", url, "acquire", "x", "--id", "me", "--retries", "0"] + words + ["--", "true"]).finish()
    }

    @Test("TLS is used if the URL, a flag or the server asks for it", arguments: NATSVersion.allCases)
    func upgrade(_ version: NATSVersion) async throws {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box)
            let server = try await serve(box, version, certificates)
            let tap = try LineTap(to: server.port, in: box)
            for scheme in ["tls", "nats"] {
                for host in ["localhost", "127.0.0.1"] {
                    let run = try await enter(box, "\(scheme)://\(host):\(server.port)", "--tls-ca", certificates.authority)
                    #expect(run.ending == .exited(0), "\(scheme) \(host): \(run.errors)")
                }
            }
            #expect(try await enter(box, "tls://localhost:\(tap.port)", "--tls-ca", certificates.authority).ending == .exited(0))
            #expect(!tap.lines.contains { $0.verb == "CONNECT" }, "no CONNECT is sent before TLS")
            // If the server asks for TLS, its certificate is still checked.
            let plain = try await enter(box, "nats://localhost:\(server.port)")
            #expect(plain.ending == .exited(78))
            #expect(plain.errors.contains("trusted authority"))
            #expect(plain.errors.contains("--tls-ca"))
        }
    }

    @Test("--tls-first starts with TLS, and its absence or excess is explained")
    func first() async throws {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box)
            let server = try await serve(box, .latest, certificates, isFirst: true)
            let url = "tls://localhost:\(server.port)"
            #expect(try await enter(box, url, "--tls-ca", certificates.authority, "--tls-first").ending == .exited(0))
            let waiting = try await enter(box, url, "--tls-ca", certificates.authority)
            #expect(waiting.ending == .exited(69), "\(waiting.errors)")
            #expect(waiting.errors.contains("--tls-first"), "\(waiting.errors)")
            let plain = try await NATSServer.start(in: box)
            let wrong = try await enter(box, "nats://localhost:\(plain.port)", "--tls-ca", certificates.authority, "--tls-first")
            // The server's plain-text words can be lost if it ends the connection immediately.
            #expect(wrong.code == 78 || wrong.code == 69, "\(wrong.errors)")
            #expect(wrong.errors.contains("--tls-first is for servers"), "\(wrong.errors)")
        }
    }

    @Test(
        "a server's certificate that is unknown, for another name or expired is refused with 78 and the reason",
        arguments: NATSVersion.allCases
    )
    func distrust(_ version: NATSVersion) async throws {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box)
            let strangers = try await Certificates(in: box, name: "strangers")
            let elsewhere = try await Certificates(in: box, name: "elsewhere", serverNames: "DNS:elsewhere.example")
            let expired = try await Certificates(in: box, name: "expired", serverDays: -1)
            let server = try await serve(box, version, certificates)
            let stranger = try await enter(box, server.url, "--tls-ca", strangers.authority)
            #expect(stranger.ending == .exited(78))
            #expect(stranger.errors.contains("trusted authority"), "\(stranger.errors)")
            let other = try await serve(box, version, elsewhere)
            let named = try await enter(box, other.url, "--tls-ca", elsewhere.authority)
            #expect(named.ending == .exited(78))
            #expect(
                named.errors.contains("not for localhost, but for elsewhere.example") && named.errors.contains("--tls-name"),
                "\(named.errors)")
            #expect(
                try await enter(box, other.url, "--tls-ca", elsewhere.authority, "--tls-name", "elsewhere.example").ending == .exited(0))
            #expect(
                try await enter(box, server.url, "--tls-ca", certificates.authority, "--tls-name", "elsewhere.example").ending
                    == .exited(78))
            let old = try await serve(box, version, expired)
            let late = try await enter(box, old.url, "--tls-ca", expired.authority)
            #expect(late.ending == .exited(78))
            #expect(late.errors.contains("expired"), "\(late.errors)")
            for (flag, file) in [("--tls-ca", "missing.pem"), ("--tls-cert", "missing.pem")] {
                let run = try await enter(box, server.url, flag, box.path(file))
                #expect(run.ending == .exited(78))
                #expect(run.errors.contains(file), "\(run.errors)")
            }
        }
    }

    @Test("TLS with a server that offers none is refused with 78, and nothing is sent in plain text", arguments: NATSVersion.allCases)
    func none(_ version: NATSVersion) async throws {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box)
            let server = try await NATSServer.start(version, in: box)
            let tap = try LineTap(to: server.port, in: box)
            for words in [
                ["-s", "tls://127.0.0.1:\(tap.port)"], ["-s", "nats://u:p4ss@127.0.0.1:\(tap.port)", "--tls-ca", certificates.authority],
            ] {
                let run = try await box.start([Sandbox.binary] + words + ["acquire", "x", "--retries", "0"]).finish()
                #expect(run.ending == .exited(78), "\(run.errors)")
                #expect(run.errors.contains("does not offer TLS"))
            }
            #expect(!tap.lines.contains { $0.from == .client })
        }
    }

    @Test("qq shows its client certificate if the server wants one, and fails without a valid one", arguments: NATSVersion.allCases)
    func mutual(_ version: NATSVersion) async throws {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box)
            let strangers = try await Certificates(in: box, name: "strangers")
            let server = try await serve(box, version, certificates, verifiesClients: true)
            let trust = ["--tls-ca", certificates.authority]
            func enter(_ words: [String]) async throws -> Run {
                try await box.start(
                    [Sandbox.binary, "-s", server.url, "acquire", "x", "--id", "me", "--retries", "0"] + trust + words + ["--", "true"]
                ).finish()
            }
            let pair = certificates.client
            #expect(try await enter(["--tls-cert", pair.certificate, "--tls-key", pair.key]).ending == .exited(0))
            try box.write(readText(pair.certificate) + readText(pair.key), to: "both.pem")
            #expect(try await enter(["--tls-cert", box.path("both.pem")]).ending == .exited(0))
            for words in [[], ["--tls-cert", strangers.client.certificate, "--tls-key", strangers.client.key]] {
                let run = try await enter(words)
                #expect([69, 77, 78].contains(run.code ?? 0), "\(run.ending)")
                #expect(run.errors.contains("certificate"), "\(run.errors)")
            }
            let mixed = try await enter(["--tls-cert", pair.certificate, "--tls-key", strangers.client.key])
            #expect(mixed.ending == .exited(78), "\(mixed.errors)")
        }
    }
}
