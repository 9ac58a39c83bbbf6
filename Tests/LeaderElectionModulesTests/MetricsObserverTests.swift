import LeaderElection
import LeaderElectionMetrics
import Support
import Testing

@Suite("Metrics of elections", .timeLimit(.minutes(10))) struct MetricsObserverTests {
    private static let away = ElectionError(.unavailable, "cannot renew web")

    @Test("all series of an election exist from its first event on, with its name") func names() {
        let metrics = RecordedMetrics()
        MetricsObserver(factory: metrics).observe(.campaigning, of: "web")
        #expect(
            metrics.names == [
                "qq_terms_total{election=web}", "qq_losses_total{election=web,reason=expired}",
                "qq_losses_total{election=web,reason=taken_over}", "qq_losses_total{election=web,reason=removed}",
                "qq_retries_total{election=web}", "qq_outages_total{election=web}", "qq_overruns_total{election=web}",
                "qq_leading{election=web}", "qq_term_duration_seconds{election=web}", "qq_outage_duration_seconds{election=web}",
            ])
        #expect(metrics.last("qq_leading{election=web}") == 0)
    }

    @Test("losses are counted by their reason, and leadership that was given up is none") func losses() {
        let metrics = RecordedMetrics()
        let observer = MetricsObserver(factory: metrics)
        let reasons: [LeadershipLost.Reason] = [
            .expired(nil), .expired(Self.away), .takenOver(by: "two"), .takenOver(by: nil), .takenOver(by: "three"), .removed,
            .steppedDown(by: nil), .stopped,
        ]
        for reason in reasons {
            observer.observe(.campaigning, of: "web")
            observer.observe(.cancelled(reason, within: .seconds(5)), of: "web")
            observer.observe(.lost(LeadershipLost(name: "web", reason: reason)), of: "web")
        }
        #expect(metrics.sum("qq_losses_total{election=web,reason=expired}") == 2)
        #expect(metrics.sum("qq_losses_total{election=web,reason=taken_over}") == 3)
        #expect(metrics.sum("qq_losses_total{election=web,reason=removed}") == 1)
    }

    @Test("a term whose work stops in time because it cannot be renewed is a loss") func stoppedInTime() async throws {
        let contest = Contest()
        let metrics = RecordedMetrics()
        let election = try contest.election(observer: MetricsObserver(factory: metrics))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await election.run { _ in try await Task.sleep(for: .seconds(600)) } }
            try await waitUntil("the gauge") { metrics.last("qq_leading{election=web}") == 1 }
            contest.servers.disconnect()
            await contest.clock.advance(by: .seconds(15))
            try await waitUntil("the end of the term") { metrics.last("qq_leading{election=web}") == 0 }
            election.stop()
            try await group.waitForAll()
        }
        #expect(metrics.sum("qq_losses_total{election=web,reason=expired}") == 1)
        #expect(metrics.count("qq_term_duration_seconds{election=web}") == 1)
    }

    @Test("retries and outages are counted, and outages timed") func failures() {
        let metrics = RecordedMetrics()
        let observer = MetricsObserver(factory: metrics)
        for _ in 1...3 { observer.observe(.retrying(Self.away, after: .seconds(1)), of: "web") }
        observer.observe(.outage(Self.away), of: "web")
        observer.observe(.outageOver(after: .milliseconds(2500)), of: "web")
        #expect(metrics.sum("qq_retries_total{election=web}") == 3)
        #expect(metrics.sum("qq_outages_total{election=web}") == 1)
        #expect(metrics.last("qq_outage_duration_seconds{election=web}") == 2_500_000_000)
    }

    @Test("elections of one observer are counted apart") func apart() {
        let metrics = RecordedMetrics()
        let observer = MetricsObserver(factory: metrics)
        observer.observe(.outage(Self.away), of: "web")
        observer.observe(.outage(Self.away), of: "db")
        observer.observe(.outage(Self.away), of: "db")
        #expect(metrics.sum("qq_outages_total{election=web}") == 1)
        #expect(metrics.sum("qq_outages_total{election=db}") == 2)
    }

    @Test("a term is counted and timed, and the gauge is 1 while it lasts") func term() async throws {
        let contest = Contest()
        let metrics = RecordedMetrics()
        let election = try contest.election(observer: MetricsObserver(factory: metrics))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await election.run { _ in try await Task.sleep(for: .seconds(600)) } }
            try await waitUntil("the election") { election.isLeader }
            try await waitUntil("the gauge") { metrics.last("qq_leading{election=web}") == 1 }
            #expect(metrics.sum("qq_terms_total{election=web}") == 1)
            #expect(metrics.count("qq_term_duration_seconds{election=web}") == 0)
            election.stop()
            try await waitUntil("the end of the term") { metrics.last("qq_leading{election=web}") == 0 }
            try await group.waitForAll()
        }
        #expect(metrics.count("qq_term_duration_seconds{election=web}") == 1)
        #expect(metrics.sum("qq_terms_total{election=web}") == 1)
    }

    @Test("a term whose work overruns its lease is counted once, although it is reported twice") func overrun() {
        let metrics = RecordedMetrics()
        let observer = MetricsObserver(factory: metrics)
        observer.observe(.overran(.seconds(1)), of: "web")
        observer.observe(.overran(.seconds(3)), of: "web")
        #expect(metrics.sum("qq_overruns_total{election=web}") == 1)
    }
}
