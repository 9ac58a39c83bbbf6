import LeaderElection
import LeaderElectionLogging
import Logging
import Support
import Testing

@Suite("A log of elections", .timeLimit(.minutes(10))) struct LogObserverTests {
    private static let away = ElectionError(
        .unavailable, "cannot renew web", because: "connection refused", at: "nats://n1", hint: "see whether it runs")

    @Test("the level of a line tells how bad its event is") func levels() {
        let events: [(ElectionEvent, Logger.Level)] = [
            (.campaigning, .debug), (.waiting(Leader(identity: "two")), .info), (.leaderChanged(nil), .info),
            (.leaderChanged(Leader(identity: "two")), .info), (.leaderChanged(Leader(identity: "one", isUs: true)), .debug),
            (.retrying(Self.away, after: .milliseconds(200)), .debug),
            (.outage(Self.away), .warning), (.outageOver(after: .seconds(3)), .notice), (.stepDownAsked(by: "two"), .notice),
            (.cancelled(.expired(nil), within: .seconds(5)), .error), (.cancelled(.stopped, within: .seconds(5)), .notice),
            (.overran(.seconds(1)), .critical), (.lost(LeadershipLost(name: "web", reason: .expired(nil))), .error),
            (.lost(LeadershipLost(name: "web", reason: .takenOver(by: "two"))), .error),
            (.lost(LeadershipLost(name: "web", reason: .removed)), .error),
            (.lost(LeadershipLost(name: "web", reason: .steppedDown(by: nil))), .notice), (.released, .notice),
            (.releaseFailed(Self.away), .warning), (.connection(ConnectionEvent(.connected, "n1")), .debug), (.missed(3), .warning),
        ]
        let log = RecordedLog()
        let observer = LogObserver(log.logger)
        for (event, _) in events { observer.observe(event, of: "web") }
        #expect(log.lines.map(\.level) == events.map(\.1))
        #expect(log.lines.allSatisfy { $0.metadata["election"] == "web" })
    }

    @Test("an error is logged with its reason, its place and what to do") func errors() {
        let log = RecordedLog()
        LogObserver(log.logger).observe(.outage(Self.away), of: "web")
        #expect(log.lines.first?.metadata["error"] == "cannot renew web: connection refused (nats://n1); see whether it runs")
    }

    @Test("a waiter's line names the leader and its token") func leader() {
        let log = RecordedLog()
        LogObserver(log.logger).observe(.waiting(Leader(identity: "two", token: FencingToken(7))), of: "web")
        #expect(log.lines.first?.metadata == ["election": "web", "leader": "two", "leader-token": "7"])
    }

    @Test("a waiter's line is repeated only for another leader or term") func repeated() {
        let log = RecordedLog()
        let observer = LogObserver(log.logger)
        for (identity, token) in [("two", 7), ("two", 7), ("two", 8), ("three", 8), ("three", 8)] as [(String, UInt64)] {
            observer.observe(.waiting(Leader(identity: identity, token: FencingToken(token))), of: "web")
        }
        observer.observe(.waiting(Leader(identity: "three", token: FencingToken(8))), of: "db")
        observer.observe(.campaigning, of: "web")
        observer.observe(.waiting(Leader(identity: "three", token: FencingToken(8))), of: "web")
        #expect(log.lines.map(\.level) == [.info, .trace, .info, .info, .trace, .info, .debug, .info])
    }

    @Test("every line of a term has its identity and token, and lines between terms have none") func term() async throws {
        let contest = Contest()
        let log = RecordedLog()
        let election = try contest.election(observer: LogObserver(log.logger))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await election.run { _ in try await Task.sleep(for: .seconds(600)) } }
            try await waitUntil("the election") { election.isLeader }
            await contest.clock.advance(by: .seconds(6))
            election.stop()
            try await waitUntil("the release") { log.first("released") != nil }
            try await group.waitForAll()
        }
        let elected = try #require(log.first("elected"))
        let token = try #require(elected.metadata["token"])
        #expect(elected.level == .notice && elected.metadata["stop-time"] == "5.000s")
        for message in ["elected", "renewed", "released"] {
            let metadata = log.first(message)?.metadata
            #expect(metadata?["election"] == "web" && metadata?["identity"] == "one" && metadata?["token"] == token, "\(message)")
        }
        #expect(log.first("campaigning")?.metadata == ["election": "web"])
    }

    @Test("a loss is an error with its reason, and belongs to its term") func loss() async throws {
        let log = try await lose { $0.takeOver("web", by: "two") }
        // The thread that delivers an event can be another one than that on which leading ends.
        try await waitUntil("the loss") { log.first("lost") != nil }
        let lost = try #require(log.first("lost"))
        #expect(lost.level == .error && lost.metadata["identity"] == "one" && lost.metadata["token"] != nil)
        #expect(lost.metadata["reason"] == "taken over by two")
    }

    @Test("work that is cancelled because the lease cannot be renewed is an error, although it stops in time") func cancelled() async throws
    {
        let log = try await lose { $0.disconnect() }
        try await waitUntil("the cancellation") { log.first("work is cancelled") != nil }
        let cancelled = try #require(log.first("work is cancelled"))
        #expect(cancelled.level == .error && cancelled.metadata["token"] != nil)
        #expect(cancelled.metadata["reason"]?.hasPrefix("not renewed in time") == true && cancelled.metadata["within"] == "5.000s")
    }

    /// Leads until a fault ends leadership.
    private func lose(_ fault: (InMemoryElections) -> Void) async throws -> RecordedLog {
        let contest = Contest()
        let log = RecordedLog()
        let election = try contest.election(observer: LogObserver(log.logger))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                await #expect(throws: LeadershipLost.self) {
                    try await election.withLeadership { _ in try await Task.sleep(for: .seconds(600)) }
                }
            }
            try await waitUntil("the election") { election.isLeader }
            fault(contest.servers)
            await contest.clock.advance(by: .seconds(20))
            try await group.waitForAll()
        }
        return log
    }
}
