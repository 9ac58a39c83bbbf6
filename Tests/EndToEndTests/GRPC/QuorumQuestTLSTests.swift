import QQCore
import Support
import Testing

@testable import QQCLI

@Suite("TLS to Quorum Quest")
struct QuorumQuestTLSTests {
    private func onTLS(mutual: Bool = false, _ body: (QuestPlace, Certificates) async throws -> Void) async throws {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box)
            var settings = GRPCServerSettings()
            settings.tls = .init(certificates, verifiesClients: mutual)
            try await body(QuestPlace(box: box, server: try await QuorumQuestServer.start(settings, in: box)), certificates)
        }
    }

    @Test("with mutual TLS qq shows its certificate, and says so if one is missing or not accepted") func mutual() async throws {
        try await onTLS(mutual: true) { quest, certificates in
            let ours = [
                "--tls-ca", certificates.authority, "--tls-cert", certificates.client.certificate, "--tls-key", certificates.client.key,
            ]
            let good = try await quest.run(["acquire", "x", "--id", "me"] + ours + ["--", "true"])
            #expect(good.ending == .exited(0), "\(good.errors)")
            #expect(quest.server.calls.ids == ["me"])
            let status = try await quest.run(["cluster-status"] + ours)
            #expect(status.ending == .exited(0), "\(status.errors)")
            let none = try await quest.run(["acquire", "x", "--retries", "0", "--tls-ca", certificates.authority, "--", "true"])
            #expect(none.ending == .exited(77) && none.errors.contains("--tls-cert"), "\(none.ending) \(none.errors)")
            let strangers = try await Certificates(in: quest.box, name: "strangers")
            let other = try await quest.run(
                [
                    "acquire", "x", "--retries", "0", "--tls-ca", certificates.authority, "--tls-cert", strangers.client.certificate,
                    "--tls-key",
                    strangers.client.key, "--", "true",
                ])
            #expect(
                other.ending == .exited(77) && other.errors.contains("does not accept the client certificate"),
                "\(other.ending) \(other.errors)")
            #expect(quest.server.calls.ids == ["me"])
        }
    }

    @Test("plain text to a TLS server fails with a hint at TLS instead of hanging") func plainToTLS() async throws {
        try await onTLS { quest, _ in
            let run = try await quest.run(["acquire", "x", "--retries", "0", "--", "true"], at: "qq://127.0.0.1:\(quest.server.port)")
            #expect(run.ending == .exited(69), "\(run.errors)")
            #expect(run.errors.contains("qqs://"), "\(run.errors)")
        }
    }

    @Test("TLS to a plain-text server fails with an error about TLS") func tlsToPlain() async throws {
        try await onQuorumQuest { quest in
            let run = try await quest.run(["acquire", "x", "--retries", "0", "--", "true"], at: "qqs://localhost:\(quest.server.port)")
            #expect([.exited(69), .exited(78)].contains(run.ending), "\(run.ending) \(run.errors)")
            #expect(run.errors.contains("TLS"), "\(run.errors)")
        }
    }

    @Test("qq names a TLS file that it cannot use", arguments: ["missing.pem", "junk.pem"])
    func files(name: String) async throws {
        try await onTLS { quest, certificates in
            try quest.box.write("junk", to: "junk.pem")
            let path = quest.box.path(name)
            for words in [["--tls-ca", path], ["--tls-ca", certificates.authority, "--tls-cert", path, "--tls-key", path]] {
                let run = try await quest.run(["acquire", "x", "--retries", "0"] + words + ["--", "true"])
                #expect(run.ending == .exited(78) && run.errors.contains(path), "\(run.ending) \(run.errors)")
            }
        }
    }

    @Test("qq calls an expired certificate expired") func expired() async throws {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box, serverDays: -1)
            var settings = GRPCServerSettings()
            settings.tls = .init(certificates)
            let server = try await QuorumQuestServer.start(settings, in: box)
            let run = try await box.run(
                "acquire", "x", "--retries", "0", "--tls-ca", certificates.authority, "--", "true", environment: ["QQ_SERVER": server.url])
            #expect(run.ending == .exited(78) && run.errors.contains("expired"), "\(run.ending) \(run.errors)")
        }
    }

    @Test("a lease over TLS continues when its connections are cut") func overConnections() async throws {
        try await onTLS { quest, certificates in
            let run = try quest.qq(
                ["keepalive", "x", "--id", "me", "--ttl", "30s", "--renew-every", "300ms", "--json", "--tls-ca", certificates.authority])
            try await quest.waitForCall("KeepAlive", by: "me", after: 0, run)
            for _ in 0..<3 {
                let calls = quest.server.calls["KeepAlive"]
                quest.server.cutConnections()
                try await quest.waitForCall("KeepAlive", by: "me", after: calls + 1, run)
            }
            try await run.terminate()
            #expect(run.eventNames.filter { !["renewed", "retrying"].contains($0) } == ["elected", "released"], "\(run.errors)")
        }
    }
}
