import QQCore
import Support
import Testing

@Suite("NATS servers with authentication") struct NATSSecurityTests {
    @Test("a NATS server accepts only clients with the right credentials", arguments: NATSVersion.allCases)
    func credentials(version: NATSVersion) async throws {
        try await inSandbox { box in
            let key = NKey(.user)
            let boss = try NATSOperator()
            let user = try boss.user()
            let cases: [(NATSSettings.Authorization, RawNATS.Credentials, RawNATS.Credentials)] = [
                (.user("u", password: "p"), .user("u", password: "p"), .user("u", password: "q")),
                (.token("t"), .token("t"), .token("u")),
                (.nkeys([key.publicText]), .nkey(key), .nkey(NKey(.user))),
                (.operatorMode(boss), .jwt(user.token, user.key), .jwt(try NATSOperator().user().token, user.key)),
            ]
            for (number, (authorization, right, wrong)) in cases.enumerated() {
                var settings = NATSSettings()
                settings.name = "auth\(number)"
                settings.authorization = authorization
                let server = try await NATSServer.start(version, settings, in: box)
                try RawNATS(server.port, as: right).createBucket("b")
                #expect(throws: SocketError.self, "\(authorization)") { try RawNATS(server.port, as: wrong) }
                #expect(throws: SocketError.self, "\(authorization)") { try RawNATS(server.port) }
            }
        }
    }

    @Test("NKeys have the text form of NATS")
    func keys() {
        #expect(NKey(.user).publicText.first == "U")
        #expect(NKey(.account).publicText.first == "A")
        #expect(NKey(.operators).publicText.first == "O")
        #expect(NKey(.user).seed.hasPrefix("SU"))
        #expect(NKey(.user).seed.count == 58 && NKey(.user).publicText.count == 56)
    }

    @Test("a NATS server shows a certificate of its authority and requires the client's")
    func tls() async throws {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box)
            let strangers = try await Certificates(in: box, name: "strangers")
            var settings = NATSSettings()
            settings.tls = NATSSettings.TLS(certificates, verifiesClients: true, isFirst: true)
            let server = try await NATSServer.start(.latest, settings, in: box)
            func handshake(_ authority: String, _ pair: Certificates.Pair?) async throws -> String {
                var launch = box.launch(
                    [
                        "timeout", "3", "openssl", "s_client", "-connect", "127.0.0.1:\(server.port)", "-verify_return_error", "-CAfile",
                        authority,
                    ]
                        + (pair.map { ["-cert", $0.certificate, "-key", $0.key] } ?? []) + ["-ign_eof"])
                let output = box.path("s_client-\(UInt32.random(in: 0...UInt32.max))")
                launch.output = .file(output)
                launch.errors = .file(output)
                let child = try Child(launch)
                try await waitUntil("an answer") { !child.isRunning || readText(output).contains("INFO {") }
                child.signal(9)
                try await child.wait()
                return readText(output)
            }
            #expect(try await handshake(certificates.authority, certificates.client).contains("INFO {"))
            #expect(try await !handshake(strangers.authority, certificates.client).contains("INFO {"))
            #expect(try await !handshake(certificates.authority, nil).contains("INFO {"))
            #expect(try await !handshake(certificates.authority, strangers.client).contains("INFO {"))
        }
    }

    @Test("a NATS server with TLS announces in its first line that TLS is required", arguments: NATSVersion.allCases)
    func upgrade(version: NATSVersion) async throws {
        try await inSandbox { box in
            var settings = NATSSettings()
            settings.tls = NATSSettings.TLS(try await Certificates(in: box))
            let server = try await NATSServer.start(version, settings, in: box)
            var wire = try NATSWire(port: server.port)
            defer { wire.close() }
            let line = try #require(try wire.next(until: ContinuousClock.now + .seconds(5)))
            let info = try JSONValue.parse(line.payload ?? [])
            #expect(info["tls_required"] == true)
            #expect(server.url == "tls://localhost:\(server.port)")
        }
    }
}
