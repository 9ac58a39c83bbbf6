import QQCore
import Synchronization

/// What was asked of a system, and what came of it, counted by operation.
public final class CallMetrics: Sendable {
    public enum Outcome: String, Sendable, Hashable, CaseIterable {
        case success
        case failure
        /// The server named another one.
        case redirect
    }

    private struct Operation {
        var counts: [Outcome: UInt64] = [:]
        var retries: UInt64 = 0
        var buckets = [UInt64](repeating: 0, count: CallMetrics.bounds.count)
        var calls: UInt64 = 0
        var time: Duration = .zero
    }

    /// Upper bounds of the histogram's buckets, in seconds.
    static let bounds: [Double] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

    private let operations = Mutex<[String: Operation]>([:])

    public init() {}

    /// Counts one call.
    /// - Parameter operation: the method's name.
    public func record(_ operation: String, _ outcome: Outcome, took time: Duration) {
        operations.withLock { operations in
            var found = operations[operation] ?? Operation()
            found.counts[outcome, default: 0] += 1
            found.calls += 1
            found.time += time
            for (index, bound) in Self.bounds.enumerated() where time.seconds <= bound { found.buckets[index] += 1 }
            operations[operation] = found
        }
    }

    /// Counts a call that is made again after a failure.
    public func retried(_ operation: String) { operations.withLock { $0[operation, default: Operation()].retries += 1 } }

    /// The counts in the text format of Prometheus (prometheus.io, "Exposition formats").
    public func prometheus() -> String {
        let operations = operations.withLock { $0 }.sorted { $0.key < $1.key }
        var text = ""
        func family(_ name: String, _ type: String, _ help: String, _ lines: [String]) {
            text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n" + lines.map { $0 + "\n" }.joined()
        }
        func label(_ operation: String) -> String { "operation=\"\(operation)\"" }
        family(
            "qq_requests_total", "counter", "Calls made, redirected ones included.",
            operations.map { "qq_requests_total{\(label($0))} \($1.calls)" })
        for outcome in Outcome.allCases {
            let name = "qq_\(outcome.plural)_total"
            family(name, "counter", outcome.help, operations.map { "\(name){\(label($0))} \($1.counts[outcome] ?? 0)" })
        }
        family(
            "qq_retries_total", "counter", "Calls made again after a failure; redirects are none.",
            operations.map { "qq_retries_total{\(label($0))} \($1.retries)" })
        family(
            "qq_request_duration_seconds", "histogram", "How long calls took.",
            operations.flatMap { operation, counts in
                zip(Self.bounds, counts.buckets).map { bound, count in
                    "qq_request_duration_seconds_bucket{\(label(operation)),le=\"\(bound)\"} \(count)"
                } + [
                    "qq_request_duration_seconds_bucket{\(label(operation)),le=\"+Inf\"} \(counts.calls)",
                    "qq_request_duration_seconds_sum{\(label(operation))} \(counts.time.seconds)",
                    "qq_request_duration_seconds_count{\(label(operation))} \(counts.calls)",
                ]
            })
        return text
    }
}

extension CallMetrics.Outcome {
    fileprivate var plural: String {
        switch self {
        case .success: "successes"
        case .failure: "failures"
        case .redirect: "redirects"
        }
    }

    fileprivate var help: String {
        switch self {
        case .success: "Calls that were answered."
        case .failure: "Calls that failed."
        case .redirect: "Calls that a server sent elsewhere."
        }
    }
}
