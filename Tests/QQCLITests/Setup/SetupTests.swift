import Foundation
import QQCore
import QQLoop
import Testing

@testable import QQCLI

/// The settings of a command before any request to a server.
@Suite("Settings of a command") struct SetupTests {
    /// Reads a line with a cluster file of this text, for which `FILE` stands in the line.
    private func setup(_ line: String, file: String = "{}") throws -> Setup {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("qq-context-\(UUID().uuidString).json").path
        try file.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try Setup(try invocation(line.words.map { $0 == "FILE" ? path : $0 }), loop: try MainLoop())
    }

    private static let file = """
        {"clusterId": "web", "nodeId": "web-3", "nats": {"servers": ["n1"]}, "election": {"leaseTtlMs": 6000, "heartbeatIntervalMs": 1500}}
        """

    @Test("a command has the defaults of its system") func defaults() throws {
        let files = try setup("acquire x -s file:///srv/x")
        #expect(files.ttl == .seconds(15) && files.renewEvery(of: files.ttl) == nil)
        #expect(files.identity.hasPrefix(Identity.hostName() + "/") && files.givenIdentity == nil)
        let nats = try setup("acquire x -s nats://a")
        #expect(nats.ttl == .seconds(10) && nats.renewEvery(of: nats.ttl) == nil)
        #expect(nats.identity == Identity.hostName() && nats.givenIdentity == nil)
    }

    @Test("a command takes its settings from the cluster file unless a flag overrides them") func clusterFile() throws {
        let plain = try setup("acquire --cluster-config FILE -s nats://a", file: Self.file)
        #expect(plain.names == ["web"] && plain.name == "web")
        #expect(plain.identity == "web-3" && plain.givenIdentity == "web-3")
        #expect(plain.ttl == .seconds(6) && plain.renewEvery(of: plain.ttl) == .milliseconds(1500))
        let told = try setup(
            "acquire other --cluster-config FILE -s nats://a --id me --ttl 20s --renew-every 2s -- true", file: Self.file)
        #expect(told.names == ["other"] && told.identity == "me" && told.ttl == .seconds(20))
        #expect(told.renewEvery(of: told.ttl) == .seconds(2))
    }

    @Test("a renewal interval from the cluster file is ignored if the lease is shorter") func longInterval() throws {
        let short = try setup("acquire x --cluster-config FILE -s nats://a --ttl 1s", file: Self.file)
        #expect(short.renewEvery(of: .seconds(1)) == nil)
    }

    @Test(
        "a command without a name takes it from the cluster file",
        arguments: ["acquire", "release", "keepalive", "step-down", "watch", "status", "acquire --min-hold 1s"])
    func nameFromFile(command: String) throws {
        let trailing = command.contains("min-hold") ? " -- true" : ""
        #expect(try setup("\(command) --cluster-config FILE -s nats://a\(trailing)", file: Self.file).names == ["web"])
    }

    @Test("a command takes no name from the cluster file if it needs none or the file has none") func withoutName() throws {
        #expect(try setup("status --all --cluster-config FILE -s nats://a", file: Self.file).names == [])
        #expect(try setup("cluster-status --cluster-config FILE -s nats://a", file: Self.file).names == [])
        #expect(try setup("status --cluster-config FILE -s nats://a").names == [])
        let error = #expect(throws: CoordinationError.self) { try setup("acquire --cluster-config FILE -s nats://a") }
        #expect(error?.kind == .configuration && error?.reason == "clusterId is missing")
    }

    @Test("an election that is named twice counts once") func namedTwice() throws {
        #expect(try setup("keepalive b a b -s nats://a").names == ["b", "a"])
    }

    @Test(
        "network flags are refused for lease files",
        arguments: ["--creds x", "--nkey x", "--tls-ca x", "--tls-cert x", "--tls-cert x --tls-key x", "--tls-name x", "--tls-first"])
    func networkFlags(flags: String) throws {
        let error = #expect(throws: CoordinationError.self) { try setup("status x -s file:///srv/x \(flags)") }
        #expect(error?.kind == .usage)
        #expect(error?.what == "cannot use \(flags.words[0])")
        #expect(try setup("status x -s nats://a \(flags)").names == ["x"])
    }

    @Test("unknown NATS URL options are refused") func unknownURLOption() {
        let error = #expect(throws: CoordinationError.self) { try setup("status x -s nats://a?replica=3") }
        #expect(error?.kind == .configuration && error?.exitCode == 78)
    }
}

@Suite("Sentences about elections") struct Sentences {
    private func state(_ phase: ElectionState.Phase, cooldown: Duration?) -> ElectionState {
        var state = ElectionState(name: "web", phase: phase)
        state.leader = phase == .free ? nil : "web-1"
        state.cooldown = cooldown
        return state
    }

    @Test("a sentence about a free election mentions the cooldown") func cooldown() {
        #expect(
            Rendering.sentence(state(.free, cooldown: .seconds(8)), for: "web-3") == "free, but web-3 stepped down and must not lead for 8s"
        )
        #expect(
            Rendering.sentence(state(.expired, cooldown: .milliseconds(8500)), for: "web-3")
                == "free, but web-3 stepped down and must not lead for 8.5s")
        #expect(Rendering.sentence(state(.held, cooldown: .seconds(8)), for: "web-3") == "held by web-1")
        #expect(Rendering.sentence(state(.free, cooldown: nil)) == "held by nobody")
    }
}
