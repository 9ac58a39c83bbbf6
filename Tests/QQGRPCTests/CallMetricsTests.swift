import Testing

@testable import QQGRPC

@Suite("The counts of calls") struct CallMetricsTests {
    @Test("counts are written in the format of Prometheus") func text() {
        let metrics = CallMetrics()
        metrics.record("Renew", of: "x", .failure, took: .seconds(3))
        // A call for another subject is not a retry.
        metrics.record("Renew", of: "y", .success, took: .milliseconds(2))
        metrics.record("Renew", of: "x", .success, took: .milliseconds(2))
        metrics.record("Renew", of: "x", .success, took: .milliseconds(2))
        metrics.record("Acquire", of: "x", .redirect, took: .microseconds(500))
        metrics.record("Acquire", of: "x", .success, took: .microseconds(500))
        let lines = metrics.prometheus().split(separator: "\n").map(String.init)
        #expect(lines.contains("# TYPE qq_requests_total counter"))
        #expect(lines.contains(#"qq_requests_total{operation="Renew"} 4"#))
        #expect(lines.contains(#"qq_successes_total{operation="Renew"} 3"#))
        #expect(lines.contains(#"qq_failures_total{operation="Renew"} 1"#))
        #expect(lines.contains(#"qq_redirects_total{operation="Acquire"} 1"#))
        #expect(lines.contains(#"qq_retries_total{operation="Renew"} 1"#))
        #expect(lines.contains(#"qq_retries_total{operation="Acquire"} 0"#))
        #expect(lines.contains(#"qq_request_duration_seconds_bucket{operation="Renew",le="0.0025"} 3"#))
        #expect(lines.contains(#"qq_request_duration_seconds_bucket{operation="Renew",le="5.0"} 4"#))
        #expect(lines.contains(#"qq_request_duration_seconds_bucket{operation="Acquire",le="0.001"} 2"#))
        #expect(lines.contains(#"qq_request_duration_seconds_bucket{operation="Renew",le="+Inf"} 4"#))
        #expect(lines.contains(#"qq_request_duration_seconds_count{operation="Renew"} 4"#))
    }

    @Test("only the descriptions are written before the first call") func empty() {
        #expect(CallMetrics().prometheus().split(separator: "\n").allSatisfy { $0.hasPrefix("#") })
    }
}
