import QQCore
import Testing

import struct LeaderElection.SystemConnector

@testable import QQCLI

@Suite("Systems") struct SystemsTests {
    @Test("systems have different names and schemes, and one of them is the embedded default") func names() {
        let names = Systems.all.map(\.url.name)
        let schemes = Systems.all.flatMap(\.url.schemes).map(\.name)
        #expect(Set(names).count == names.count && Set(schemes).count == schemes.count)
        #expect(Systems.all.filter { $0.embedded != nil }.map(\.url.name) == ["file"])
    }

    @Test("exactly the systems that this version can use are documented") func documentation() {
        for system in Systems.all { #expect((system.documentation != nil) == system.isSpoken, "\(system.url.name)") }
        let servers = Overview.servers.map(\.url).joined()
        for scheme in Systems.spoken.flatMap(\.url.schemes) { #expect(servers.contains(scheme.name + "://"), "\(scheme.name)") }
    }

    /// The error of a command line before any request is sent.
    private func error(_ line: String) throws -> CoordinationError? {
        let invocation = try invocation(line)
        let url = try Systems.url(try #require(invocation[Flags.server]))
        let system = try #require(Systems.of(url.system))
        do throws(CoordinationError) {
            try system.check(invocation, at: url)
            return nil
        } catch { return error }
    }

    @Test(
        "a system refuses other systems' flags and names the systems that take them",
        arguments: [
            ("nats://a --follow-redirects", "it is for RaftLock"), ("nats://a --retry-on timeout", "it is for RaftLock"),
            ("nats://a --max-message 1", "it is for Quorum Quest and RaftLock"),
            ("qq://a --creds x", "it is for NATS"), ("raftlock://a --nkey x", "it is for NATS"), ("qq://a --tls-first", "it is for NATS"),
            ("qq://a --retry-on timeout", "it is for RaftLock"), ("file:///x --creds x", "lease files are not reached over a network"),
            ("file:///x --max-message 1", "lease files are not reached over a network"),
            ("nats://a --kubeconfig x", "it is for Kubernetes"), ("k8s://c --creds x", "it is for NATS"),
            ("file:///x --kubeconfig x", "lease files are not reached over a network"),
            ("k8s://c --tls-ca x", "on Kubernetes the kubeconfig contains it"),
            ("k8s://c --tls-name x", "on Kubernetes the kubeconfig contains it"),
            ("nats://a --token-file x", "it is for Consul"), ("consul:// --login-file x", "it is for etcd"),
            ("etcd://e --token-file x", "it is for Consul"), ("etcd://e --max-message 1", "it is for Quorum Quest and RaftLock"),
            ("consul:// --creds x", "it is for NATS"),
            ("consul:// --kubeconfig x", "it is for Kubernetes"), ("consul:// --max-message 1", "it is for Quorum Quest and RaftLock"),
            ("file:///x --token-file x", "lease files are not reached over a network"),
            ("file:///x --tls-ca x", "lease files are not reached over a network"), ("file:///x --retry-on timeout", "it is for RaftLock"),
        ])
    func refusals(line: String, reason: String) throws {
        let found = try error("status x -s \(line)")
        #expect(found?.kind == .usage && found?.reason == reason)
    }

    @Test(
        "a system takes its own flags",
        arguments: [
            "nats://a --creds x --tls-first --tls-ca x",
            "raftlock://a --follow-redirects --retry-on timeout --max-message 1",
            "qq://a --max-message 1 --tls-ca x", "k8s://c/ns --kubeconfig x", "consul://a --token-file x --tls-ca x",
            "etcd://e/p --login-file x --tls-ca x",
            "file:///x --timeout 1s --metrics-file m", "nats://a --metrics-file m", "consul://a --metrics-file m",
        ])
    func own(line: String) throws {
        #expect(try error("status x -s \(line)") == nil)
    }

    @Test("a system that carries no notes refuses one with 80", arguments: ["acquire", "keepalive"], ["qq://a", "raftlock://a"])
    func noNotes(command: String, server: String) throws {
        let found = try error("\(command) x -s \(server) --note n")
        #expect(found?.exitCode == 80 && found?.what == "cannot use --note" && found?.hint == "leave --note out")
        #expect(found?.reason == (server == "qq://a" ? "Quorum Quest carries no note" : "RaftLock carries no note"))
        #expect(try error("\(command) x -s \(server)") == nil)
    }

    @Test(
        "the other systems carry notes", arguments: ["file:///x", "nats://a", "nats://a?format=v1", "k8s://c/ns", "etcd://e", "consul://a"])
    func notes(server: String) throws {
        #expect(try error("acquire x -s \(server) --note n") == nil)
    }

    @Test("a system that is known only by its URL is refused, with the systems that can be used") func unspoken() throws {
        let url = ServerURL.System(name: "later", schemes: [.init("later")], authority: .none)
        let server = try ServerURL.parse("later://", as: [url])
        let line = try invocation("status x -s file:///x")
        do throws(CoordinationError) {
            try SystemDescription(connector: SystemConnector(url: url, displayName: "Later")).check(line, at: server)
            Issue.record("it is not refused")
        } catch {
            #expect(error.exitCode == 80 && error.what == "cannot use later")
            #expect(
                error.reason == "this version of qq supports only lease files, Quorum Quest, RaftLock, NATS, Kubernetes, etcd and Consul")
        }
    }

    @Test("on Kubernetes a text with characters that no name has selects by labels") func labels() {
        for text in ["app=web", "app!=web", "!app", "tier in (a,b)"] {
            #expect(SystemDescription.kubernetes.isLabelSelector(text), "\(text)")
        }
        #expect(!SystemDescription.kubernetes.isLabelSelector("web-1.x"))
        #expect(!SystemDescription.nats.isLabelSelector("a=b"))
    }
}
