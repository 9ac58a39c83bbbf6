import Foundation
import QQCore
import Synchronization
import Testing

@testable import QQCLI

/// A clock that stands still until the test moves it.
final class StillClock: LeaseClock {
    private let moment = Mutex(BootInstant(nanoseconds: 1_000_000_000_000))

    func now() -> BootInstant { moment.withLock { $0 } }

    func sleep(until deadline: BootInstant) async throws {}

    func advance(by duration: Duration) { moment.withLock { $0 = $0 + duration } }
}

@Suite("Metrics") struct MetricsTests {
    private let clock = StillClock()
    private let web = Metrics.Election(system: "nats", name: "web")

    private func grant(_ election: Metrics.Election, ttl: Duration = .seconds(15)) -> Grant {
        Grant(
            name: election.name, identity: "me", token: nil, ttl: ttl, deadline: clock.now() + ttl,
            acquiredAt: WallTime(seconds: 0), expiresAt: WallTime(seconds: 0))
    }

    private func samples(_ metrics: Metrics) -> [String] {
        metrics.prometheus().split(separator: "\n").map(String.init).filter { !$0.hasPrefix("#") }
    }

    @Test("before anything happens, the text has the descriptions and the version") func empty() {
        let lines = Metrics(clock: clock).prometheus().split(separator: "\n").map(String.init)
        #expect(lines.filter { !$0.hasPrefix("#") } == [#"qq_build_info{version="\#(version)"} 1"#])
        #expect(lines.filter { $0.hasPrefix("# TYPE ") }.count == MetricFamily.all.count)
        #expect(lines.contains("# TYPE qq_request_duration_seconds histogram") && lines.contains("# TYPE qq_leading gauge"))
    }

    @Test("an election that is led is written as it is at that moment") func text() {
        let metrics = Metrics(clock: clock)
        metrics.add(web, ttl: .seconds(10))
        metrics.take(.waiting(ElectionState(name: "web", phase: .held)), of: web)
        clock.advance(by: .milliseconds(1500))
        metrics.take(.elected(grant(web)), of: web)
        clock.advance(by: .milliseconds(250))
        let election = samples(metrics).filter { $0.contains("election=") }
        #expect(
            election == [
                #"qq_leading{election="web",system="nats"} 1"#, #"qq_terms_total{election="web",system="nats"} 1"#,
                #"qq_losses_total{election="web",reason="expired",system="nats"} 0"#,
                #"qq_losses_total{election="web",reason="taken_over",system="nats"} 0"#,
                #"qq_losses_total{election="web",reason="removed",system="nats"} 0"#,
                #"qq_lease_remaining_seconds{election="web",system="nats"} 14.75"#,
                #"qq_lease_ttl_seconds{election="web",system="nats"} 15"#,
                #"qq_last_renewal_age_seconds{election="web",system="nats"} 0.25"#,
                #"qq_waiting{election="web",system="nats"} 0"#, #"qq_waits_total{election="web",system="nats"} 1"#,
                #"qq_wait_seconds_total{election="web",system="nats"} 1.5"#,
            ])
        clock.advance(by: .seconds(60))
        #expect(samples(metrics).contains(#"qq_leading{election="web",system="nats"} 0"#))
        #expect(samples(metrics).contains(#"qq_lease_remaining_seconds{election="web",system="nats"} 0"#))
        metrics.take(nil, of: web)
        #expect(!samples(metrics).contains { $0.hasPrefix("qq_last_renewal_age_seconds") })
    }

    @Test("elections are told apart by system and name, and keep their counts when they are added again") func elections() {
        let metrics = Metrics(clock: clock)
        let others = [Metrics.Election(system: "etcd", name: "web"), Metrics.Election(system: "nats", name: "db")]
        for election in others + [web] { metrics.add(election, ttl: .seconds(10)) }
        metrics.take(.elected(grant(web)), of: web)
        metrics.add(web, ttl: .seconds(20))
        #expect(
            samples(metrics).filter { $0.hasPrefix("qq_terms_total") } == [
                #"qq_terms_total{election="web",system="etcd"} 0"#, #"qq_terms_total{election="db",system="nats"} 0"#,
                #"qq_terms_total{election="web",system="nats"} 1"#,
            ])
        // Events of an election that was not added make no series.
        metrics.take(.elected(grant(web)), of: Metrics.Election(system: "nats", name: "unknown"))
        #expect(!metrics.prometheus().contains("unknown"))
    }

    @Test("requests are counted by outcome, and the first one after a failure of the same request is a retry") func requests() {
        let metrics = Metrics(clock: clock)
        func record(_ subject: String, _ isSuccess: Bool, _ time: Duration = .milliseconds(2)) {
            metrics.record(.renew, of: subject, at: "nats", isSuccess: isSuccess, took: time)
        }
        record("x", false, .seconds(3))
        record("y", true)
        record("x", false, .seconds(40))
        record("x", true)
        record("x", true)
        let lines = samples(metrics)
        let labels = #"{operation="renew",system="nats"}"#
        for (name, count) in [("requests_total", 5), ("successes_total", 3), ("failures_total", 2), ("retries_total", 2)] {
            #expect(lines.contains("qq_\(name)\(labels) \(count)"), "\(name)")
        }
        #expect(lines.contains("qq_request_duration_seconds_sum\(labels) 43.006"))
        #expect(lines.contains("qq_request_duration_seconds_count\(labels) 5"))
        let buckets = lines.filter { $0.hasPrefix("qq_request_duration_seconds_bucket") }
        #expect(buckets.count == DurationHistogram.bounds.count + 1)
        for (bound, count) in [("0.001", 0), ("0.0025", 3), ("2.5", 3), ("5.0", 4), ("30.0", 4), ("+Inf", 5)] {
            #expect(buckets.contains(#"qq_request_duration_seconds_bucket{operation="renew",system="nats",le="\#(bound)"} \#(count)"#))
        }
    }

    @Test("the requests that hold an election have series before the first one is sent") func initial() {
        let metrics = Metrics(clock: clock)
        metrics.add(web, ttl: .seconds(10))
        for operation in ["acquire", "renew", "release"] {
            #expect(samples(metrics).contains(#"qq_failures_total{operation="\#(operation)",system="nats"} 0"#))
        }
        #expect(!samples(metrics).contains { $0.contains(#"operation="read""#) })
    }

    @Test("a wait is counted, but its length is not among the durations") func wait() {
        let metrics = Metrics(clock: clock)
        metrics.record(.wait, of: "x", at: "nats", isSuccess: true, took: .seconds(3600))
        #expect(samples(metrics).contains(#"qq_requests_total{operation="wait",system="nats"} 1"#))
        #expect(!samples(metrics).contains { $0.hasPrefix("qq_request_duration_seconds") })
    }

    @Test("redirects have a series only at a system that can redirect") func redirects() {
        let metrics = Metrics(clock: clock)
        #expect(!samples(metrics).contains { $0.hasPrefix("qq_redirects_total") })
        let redirected = metrics.redirects(at: "raftlock")
        #expect(samples(metrics).contains(#"qq_redirects_total{system="raftlock"} 0"#))
        redirected()
        redirected()
        #expect(samples(metrics).contains(#"qq_redirects_total{system="raftlock"} 2"#))
    }

    // MARK: The format

    @Test("values of labels are escaped: backslash, quote and line feed, and nothing else") func escaping() {
        let metrics = Metrics(clock: clock)
        metrics.add(Metrics.Election(system: "nats", name: "a\\b\"c\nd\r\ne\té"), ttl: .seconds(1))
        #expect(samples(metrics).contains(#"qq_terms_total{election="a\\b\"c\nd"# + "\r" + #"\ne"# + "\té" + #"",system="nats"} 0"#))
        #expect(PrometheusText.escaped("a\\b\"c\nd") == #"a\\b"c\nd"#)
    }

    @Test(
        "numbers are those that Prometheus reads",
        arguments: [
            (0, "0"), (1, "1"), (15, "15"), (0.25, "0.25"), (14.999999999, "14.999999999"), (.infinity, "+Inf"), (-.infinity, "-Inf"),
            (.nan, "NaN"), (1e-05, "1e-05"), (1e300, "1e+300"),
        ] as [(Double, String)])
    func numbers(value: Double, text: String) { #expect(PrometheusText.number(value) == text) }

    @Test("names follow the conventions: prefix, unit, _total for counters and for nothing else") func names() {
        #expect(Set(MetricFamily.all.map(\.name)).count == MetricFamily.all.count)
        for family in MetricFamily.all {
            #expect(family.name.hasPrefix("qq_") && family.name.allSatisfy { $0 == "_" || $0.isASCII && $0.isLowercase }, "\(family.name)")
            #expect(family.name.hasSuffix("_total") == (family.kind == .counter), "\(family.name)")
            if family.kind == .histogram { #expect(family.name.hasSuffix("_seconds")) }
            #expect(family.help.hasSuffix(".") && !family.labels.isEmpty, "\(family.name)")
        }
    }

    @Test("qq-metrics(5) has every metric and every label") func manual() {
        let terms = MetricsManual.page.sections.flatMap(\.blocks).compactMap { block -> String? in
            if case .term(let term, _) = block { Markup.plain(term) } else { nil }
        }
        #expect(terms == MetricFamily.all.map(\.name) + MetricLabel.allCases.map(\.rawValue))
    }

    @Test("docs/metrics.md has every metric, with its kind and labels") func document() throws {
        let text = try String(contentsOf: repository.appendingPathComponent("docs/metrics.md"), encoding: .utf8)
        let rows = text.split(separator: "\n").filter { $0.hasPrefix("| `qq_") }.map { row in
            row.split(separator: "|").prefix(3).map { $0.filter { $0 != "`" && $0 != " " } }
        }
        #expect(rows == MetricFamily.all.map { [$0.name, $0.kind.rawValue, $0.labels.map(\.rawValue).joined(separator: ",")] })
        for operation in RequestOperation.allCases { #expect(text.contains("`\(operation.rawValue)`")) }
        for reason in LossLabel.allCases { #expect(text.contains("`\(reason.rawValue)`")) }
    }
}
