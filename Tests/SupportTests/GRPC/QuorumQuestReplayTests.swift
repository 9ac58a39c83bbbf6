import Support
import Testing

@Suite("Recording of a real Quorum Quest server") struct QuorumQuestReplayTests {
    /// Codes, messages and answers are compared byte for byte, because nothing in them varies from run to run. The duration of calls is compared only
    /// while the store is stopped.
    @Test("the test server answers like the recorded Quorum Quest server, call by call")
    func replay() async throws {
        try await inSandbox { box in
            let server = try await QuorumQuestServer.start(in: box)
            let client = try RawGRPC(server.port, in: box)
            var granted = ContinuousClock.now
            for line in try GRPCRecording("quorum-quest").lines {
                guard let method = line.method else {
                    try await takeOver(client, line, granted)
                    continue
                }
                let isStopped = line.note == "store stopped"
                server.setStore(isStopped ? .dead() : .alive)
                let begin = ContinuousClock.now
                if line.scenario == "expiry", method == "TryAcquireLock" { granted = begin }
                let answer = try await client.call(QuorumQuestServer.service, method, line.request)
                #expect(answer.code == line.code && answer.message == line.message, "\(line)")
                #expect(answer.bytes == line.response && answer.details == line.details, "\(line)")
                if isStopped { #expect(.now - begin > .milliseconds(45), "\(line)") }
            }
            let calls = server.calls
            #expect(calls["ReleaseLock"] == 5 && calls["ReleaseLock", "alice"] == 3)
        }
    }

    /// `alice` was granted the lease for 2 s. `bob` asks until the lease is granted to him.
    private func takeOver(_ client: RawGRPC, _ line: GRPCRecording.Line, _ granted: ContinuousClock.Instant) async throws {
        #expect(line.note == "2 s lease taken over by bob, polling every 10 ms")
        let request = Array("\u{0a}\u{03}exp\u{12}\u{0a}production\u{1a}\u{03}bob\u{20}\u{0a}".utf8)
        while try await client.call(QuorumQuestServer.service, "TryAcquireLock", request).bytes.isEmpty {
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(.now - granted >= .milliseconds(1990))
        #expect(.now - granted < .seconds(90))
    }
}
