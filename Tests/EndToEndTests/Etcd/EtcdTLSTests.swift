import Glibc
import Support
import Testing

@Suite("TLS to etcd") struct EtcdTLSTests {
    private func enter(_ box: Sandbox, _ url: String, _ words: [String]) async throws -> Run {
        try await box.start([Sandbox.binary, "-s", url, "acquire", "x", "--id", "me", "--retries", "0"] + words + ["--", "true"]).finish()
    }

    private func serve(_ box: Sandbox, _ certificates: Certificates, verifiesClients: Bool = false) async throws -> EtcdServer {
        try await EtcdServer.start(in: box) { ($0.tls, $0.verifiesClients) = (certificates, verifiesClients) }
    }

    @Test("a server's certificate that is unknown, for another name or expired is refused with 78 and the reason") func distrust()
        async throws
    {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box)
            let strangers = try await Certificates(in: box, name: "strangers")
            let elsewhere = try await Certificates(in: box, name: "elsewhere", serverNames: "DNS:elsewhere.example")
            let expired = try await Certificates(in: box, name: "expired", serverDays: -1)
            let server = try await serve(box, certificates)
            let trusted = try await enter(box, server.url, ["--tls-ca", certificates.authority])
            #expect(trusted.ending == .exited(0), "\(trusted.errors)")
            for words in [[], ["--tls-ca", strangers.authority]] {
                let stranger = try await enter(box, server.url, words)
                #expect(stranger.ending == .exited(78))
                #expect(stranger.errors.contains("trusted authority") && stranger.errors.contains("--tls-ca"), "\(stranger.errors)")
            }
            let renamed = try await enter(box, server.url, ["--tls-ca", certificates.authority, "--tls-name", "elsewhere.example"])
            #expect(renamed.ending == .exited(78) && renamed.errors.contains("not for elsewhere.example"), "\(renamed.errors)")
            let other = try await serve(box, elsewhere)
            let named = try await enter(box, other.url, ["--tls-ca", elsewhere.authority])
            #expect(named.ending == .exited(78))
            #expect(
                named.errors.contains("not for localhost, but for elsewhere.example") && named.errors.contains("--tls-name"),
                "\(named.errors)")
            let right = try await enter(box, other.url, ["--tls-ca", elsewhere.authority, "--tls-name", "elsewhere.example"])
            #expect(right.ending == .exited(0), "\(right.errors)")
            let old = try await serve(box, expired)
            // A contender that waits does not wait for another certificate.
            for words in [[], ["--wait"]] {
                let late = try await enter(box, old.url, ["--tls-ca", expired.authority] + words)
                #expect(late.ending == .exited(78) && late.errors.contains("expired"), "\(late.errors)")
            }
        }
    }

    @Test("every command refuses a server that is not trusted") func everyCommand() async throws {
        try await inSandbox { box in
            let server = try await serve(box, try await Certificates(in: box))
            let strangers = try await Certificates(in: box, name: "strangers")
            for line in ["status x", "status --all", "watch x", "keepalive x", "acquire x --wait", "step-down x --yes"] {
                let words = line.split(separator: " ").map(String.init) + ["--tls-ca", strangers.authority]
                let run = try await box.start([Sandbox.binary, "-s", server.url] + words).finish()
                #expect(run.ending == .exited(78) && run.errors.contains("trusted authority"), "\(line): \(run.errors)")
            }
            let cluster = try await box.run("-s", server.url, "cluster-status", "--tls-ca", strangers.authority)
            #expect(cluster.ending == .exited(69) && cluster.errors.contains("trusted authority"), "\(cluster.errors)")
        }
    }

    @Test("qq shows its client certificate if the server wants one, and is denied without a valid one") func mutual() async throws {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box)
            let strangers = try await Certificates(in: box, name: "strangers")
            let server = try await serve(box, certificates, verifiesClients: true)
            let trust = ["--tls-ca", certificates.authority]
            let pair = certificates.client
            let good = try await enter(box, server.url, trust + ["--tls-cert", pair.certificate, "--tls-key", pair.key])
            #expect(good.ending == .exited(0), "\(good.errors)")
            let none = try await enter(box, server.url, trust)
            #expect(none.ending == .exited(77))
            #expect(none.errors.contains("requires a client certificate") && none.errors.contains("--tls-cert"), "\(none.errors)")
            let stranger = try await enter(
                box, server.url, trust + ["--tls-cert", strangers.client.certificate, "--tls-key", strangers.client.key])
            #expect(stranger.ending == .exited(77))
            #expect(stranger.errors.contains("does not accept the client certificate"), "\(stranger.errors)")
            let mixed = try await enter(box, server.url, trust + ["--tls-cert", pair.certificate, "--tls-key", strangers.client.key])
            #expect(mixed.ending == .exited(78) && mixed.errors.contains("does not belong"), "\(mixed.errors)")
        }
    }

    @Test("the guardian of a killed qq gives the lease up over TLS with a client certificate") func guardian() async throws {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box)
            let server = try await serve(box, certificates, verifiesClients: true)
            let pair = certificates.client
            let flags = ["--tls-ca", certificates.authority, "--tls-cert", pair.certificate, "--tls-key", pair.key]
            let holder = try box.start(
                [Sandbox.binary, "-s", server.url, "acquire", "x", "--ttl", "120s"] + flags + ["--", Sandbox.stamp, box.path("stamps")])
            _ = try await box.waitForTerms(1)
            holder.child.signal(SIGKILL)
            let next = try await box.start(
                [Sandbox.binary, "-s", server.url, "acquire", "x", "--wait"] + flags + [
                    "--", Sandbox.stamp, box.path("stamps"), "--for", "5",
                ]
            ).finish(within: .seconds(120))
            #expect(next.ending == .exited(0), "\(next.errors)")
            #expect(box.stamps().offences == [] && box.stamps().terms.count == 2)
        }
    }

    @Test("TLS to a server without it, and plain text to one with it, fail with 69, and nothing secret is sent") func mismatch()
        async throws
    {
        try await inSandbox { box in
            let certificates = try await Certificates(in: box)
            let (plain, guarded) = (try await EtcdServer.start(in: box), try await serve(box, certificates))
            let login = ["QQ_ETCD_USER": "ann", "QQ_ETCD_PASSWORD": "p4ssw0rd"]
            for (url, hint) in [("etcds://127.0.0.1:\(plain.port)", "etcd://"), ("etcd://localhost:\(guarded.port)", "etcds://")] {
                let run = try await box.start(
                    [Sandbox.binary, "-s", url, "acquire", "x", "--retries", "0", "--", "true"], environment: login
                ).finish()
                #expect(run.ending == .exited(69) && run.errors.contains(hint), "\(url): \(run.errors)")
                #expect(!run.errors.contains("p4ssw0rd"))
            }
        }
    }
}
