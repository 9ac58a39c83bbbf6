import QQCore
import Synchronization

/// Calls to a system and their outcomes, counted by operation.
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

    private struct Failing: Hashable {
        var operation: String
        var subject: String
    }

    private struct Counts {
        var operations: [String: Operation] = [:]
        /// Calls that failed the last time they were made.
        var failing: Set<Failing> = []
    }

    /// Upper bounds of the histogram's buckets, in seconds.
    static let bounds: [Double] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

    private let counts = Mutex(Counts())

    public init() {}

    /// Counts one call. The first call after a failure is a retry; a call to the server that another one named is not.
    /// - Parameters:
    ///   - operation: the method's name.
    ///   - subject: the subject of the call, such as the election's name.
    public func record(_ operation: String, of subject: String, _ outcome: Outcome, took time: Duration) {
        let key = Failing(operation: operation, subject: subject)
        counts.withLock { counts in
            var found = counts.operations[operation] ?? Operation()
            if counts.failing.remove(key) != nil { found.retries += 1 }
            if outcome == .failure { counts.failing.insert(key) }
            found.counts[outcome, default: 0] += 1
            found.calls += 1
            found.time += time
            for (index, bound) in Self.bounds.enumerated() where time.seconds <= bound { found.buckets[index] += 1 }
            counts.operations[operation] = found
        }
    }

    /// The counts in the text format of Prometheus (prometheus.io, "Exposition formats").
    public func prometheus() -> String {
        let operations = counts.withLock { $0.operations }.sorted { $0.key < $1.key }
        var text = ""
        for family in MetricFamily.all {
            text += "# HELP \(family.name) \(family.help)\n# TYPE \(family.name) \(family.type)\n"
            for (name, operation) in operations {
                let label = "operation=\"\(name)\""
                switch family.content {
                case .requests: text += "\(family.name){\(label)} \(operation.calls)\n"
                case .outcome(let outcome): text += "\(family.name){\(label)} \(operation.counts[outcome] ?? 0)\n"
                case .retries: text += "\(family.name){\(label)} \(operation.retries)\n"
                case .durations:
                    for (bound, count) in zip(Self.bounds, operation.buckets) {
                        text += "\(family.name)_bucket{\(label),le=\"\(bound)\"} \(count)\n"
                    }
                    text += "\(family.name)_bucket{\(label),le=\"+Inf\"} \(operation.calls)\n"
                    text += "\(family.name)_sum{\(label)} \(operation.time.seconds)\n"
                    text += "\(family.name)_count{\(label)} \(operation.calls)\n"
                }
            }
        }
        return text
    }
}

/// A metric as it is written to the output and described in the manual.
public struct MetricFamily: Sendable {
    enum Content: Sendable {
        case requests
        case outcome(CallMetrics.Outcome)
        case retries
        case durations
    }

    public let name: String
    public let type: String
    public let help: String
    let content: Content

    public static let all = [
        MetricFamily(
            name: "qq_requests_total", type: "counter", help: "Calls made, redirected ones and retries included.", content: .requests),
        MetricFamily(name: "qq_successes_total", type: "counter", help: "Calls that were answered.", content: .outcome(.success)),
        MetricFamily(name: "qq_failures_total", type: "counter", help: "Calls that failed.", content: .outcome(.failure)),
        MetricFamily(
            name: "qq_redirects_total", type: "counter", help: "Calls that a server redirected to another server.",
            content: .outcome(.redirect)),
        MetricFamily(
            name: "qq_retries_total", type: "counter", help: "Calls repeated after a failure; redirects are not counted.", content: .retries
        ),
        MetricFamily(name: "qq_request_duration_seconds", type: "histogram", help: "How long calls took.", content: .durations),
    ]
}
