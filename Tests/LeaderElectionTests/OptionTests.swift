import Foundation
import Testing

@testable import LeaderElection

@Suite("Options") struct OptionTests {
    @Test(
        "options that cannot work are refused before anything is sent",
        arguments: [
            ElectionOptions(identity: ""), .init(identity: "a\u{7}"), .init(ttl: .milliseconds(10)),
            .init(ttl: .seconds(3), renewEvery: .seconds(3)),
            .init(ttl: .seconds(9), stopTime: .seconds(6)), .init(stopTime: .seconds(-1)), .init(wait: .atMost(.seconds(-1))),
            .init(note: "a\nb"),
            .init(retry: .init(initial: .zero)), .init(retry: .init(initial: .seconds(2), maximum: .seconds(1))),
            .init(retry: .init(jitter: 2)),
            .init(retry: .init(retries: -1)),
        ]) func refused(options: ElectionOptions) throws
    {
        do {
            _ = try Election("backup", in: InMemoryElections(), options: options)
            Issue.record("taken")
        } catch { #expect(error.kind == .usage) }
    }

    @Test("the times of a lease follow from its TTL") func defaults() throws {
        let short = try Election("backup", in: InMemoryElections(), options: .init(ttl: .seconds(9)))
        #expect(short.timing.renewEvery == .seconds(3))
        #expect(short.timing.stopTime == .seconds(3))
        let long = try Election("backup", in: InMemoryElections(), options: .init(ttl: .seconds(90)))
        #expect(long.timing.stopTime == .seconds(10))
        let half = short.timing.fitting(.seconds(4.5))
        #expect(half.stopTime == .seconds(1.5))
        #expect(half.renewEvery == .seconds(1.5))
    }

    @Test(
        "secrets are in no text",
        arguments: [
            ElectionOptions.Credentials.user("ann", password: "s3cret"), .token("s3cret"),
        ]) func secrets(credentials: ElectionOptions.Credentials)
    {
        let options = ElectionOptions(credentials: credentials)
        var dumped = ""
        dump(options, to: &dumped)
        for text in ["\(options)", "\(credentials)", String(reflecting: options), String(reflecting: credentials), dumped] {
            #expect(!text.contains("s3cret"))
        }
    }

    @Test("a token is its number") func token() throws {
        let token = FencingToken(18_446_744_073_709_551_615)
        let data = try JSONEncoder().encode([token])
        #expect(String(decoding: data, as: UTF8.self) == "[18446744073709551615]")
        #expect(try JSONDecoder().decode([FencingToken].self, from: data) == [token])
        #expect(FencingToken(2) > FencingToken(1))
    }

    @Test("two elections on lease files lead in turn") func files() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("leader-election-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: folder) }
        let trial = Trial()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<2 {
                let election = try Election("backup", at: "file://\(folder.path)")
                group.addTask {
                    for _ in 0..<3 {
                        try await election.withLeadership { lease in
                            trial.note("begins")
                            try lease.checkStillHeld()
                            #expect(try await election.leader()?.identity == election.identity)
                            trial.note("ends")
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(trial.notes == Array(repeating: ["begins", "ends"], count: 6).flatMap { $0 })
    }
}
