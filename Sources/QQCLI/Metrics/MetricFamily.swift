import QQCore

/// A metric: its name, what it means and where its samples come from. Text and qq-metrics(5) are made from these declarations.
struct MetricFamily: Sendable {
    enum Kind: String, Sendable {
        case gauge, counter, histogram
    }

    /// The source of the samples, which decides on the labels.
    enum Content: Sendable {
        /// The version of `qq`.
        case version
        /// A number for each election; none at moments at which it has no meaning.
        case election(@Sendable (ElectionMetrics, BootInstant) -> Double?)
        /// The lost terms of each election.
        case losses
        /// A number for each kind of request to a system.
        case requests(@Sendable (RequestMetrics) -> UInt64)
        /// The durations of each kind of request to a system.
        case durations
        /// The redirects of each system that has them.
        case redirects
    }

    let name: String
    let kind: Kind
    /// A sentence.
    let help: String
    let content: Content

    init(_ name: String, _ kind: Kind, _ help: String, _ content: Content) {
        self.name = name
        self.kind = kind
        self.help = help
        self.content = content
    }

    /// In the order in which they are written.
    var labels: [MetricLabel] {
        switch content {
        case .version: [.version]
        case .election: [.election, .system]
        case .losses: [.election, .reason, .system]
        case .requests, .durations: [.operation, .system]
        case .redirects: [.system]
        }
    }

    static let all = [
        MetricFamily("qq_build_info", .gauge, "Always 1; the label has the version of qq.", .version),
        MetricFamily(
            "qq_leading", .gauge, "1 while this process holds a lease of the election that has not expired, else 0.",
            .election { $0.isLeading(at: $1) ? 1 : 0 }),
        MetricFamily(
            "qq_terms_total", .counter, "Terms that this process has begun or resumed.", .election { metrics, _ in Double(metrics.terms) }),
        MetricFamily("qq_losses_total", .counter, "Terms that ended although this process had not released the lease.", .losses),
        MetricFamily(
            "qq_lease_remaining_seconds", .gauge, "Time until the lease expires unless it is renewed; 0 while no lease is held.",
            .election { $0.remaining(at: $1).seconds }),
        MetricFamily(
            "qq_lease_ttl_seconds", .gauge, "Time for which the lease was last granted; before the first grant, the requested time.",
            .election { metrics, _ in metrics.ttl.seconds }),
        MetricFamily(
            "qq_last_renewal_age_seconds", .gauge, "Time since the lease was last granted or renewed; absent while no lease is held.",
            .election { $0.lastRenewalAge(at: $1)?.seconds }),
        MetricFamily(
            "qq_waiting", .gauge, "1 while this process waits for an election that another process leads, else 0.",
            .election { metrics, _ in metrics.isWaiting ? 1 : 0 }),
        MetricFamily(
            "qq_waits_total", .counter, "Waits for the election that this process has begun.",
            .election { metrics, _ in Double(metrics.waits) }),
        MetricFamily(
            "qq_wait_seconds_total", .counter,
            "Time that this process has spent waiting for the election, including a wait that continues.",
            .election { $0.waited(at: $1).seconds }),
        MetricFamily("qq_requests_total", .counter, "Requests to the system that have ended.", .requests(\.requests)),
        MetricFamily("qq_successes_total", .counter, "Requests that were answered, whatever the answer.", .requests(\.successes)),
        MetricFamily("qq_failures_total", .counter, "Requests that failed.", .requests(\.failures)),
        MetricFamily("qq_retries_total", .counter, "Requests that repeated a failed one.", .requests(\.retries)),
        MetricFamily(
            "qq_request_duration_seconds", .histogram, "Time until a request was answered or failed; waits have none.", .durations),
        MetricFamily(
            "qq_redirects_total", .counter, "Calls in which a server named another one to ask; only RaftLock does that.", .redirects),
    ]
}

/// A label of metrics.
enum MetricLabel: String, Sendable, CaseIterable {
    case election, system, reason, operation, version

    var meaning: String {
        switch self {
        case .election: "The election as it was named on the command line; with `--slots` the name that the slots share."
        case .system: "The system, named as in qq-json(5), for example `nats`."
        case .reason: LossLabel.allCases.map { "`\($0.rawValue)`: \($0.meaning)" }.joined(separator: "; ") + "."
        case .operation: "The kind of request: " + RequestOperation.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ") + "."
        case .version: "The version of `qq`."
        }
    }
}
