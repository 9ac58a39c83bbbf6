/// A metric as it is written and documented. qq-metrics(5) is generated from these declarations.
enum MetricFamily: String, CaseIterable {
    case buildInfo = "qq_build_info"
    case leading = "qq_leading"
    case terms = "qq_terms_total"
    case losses = "qq_losses_total"
    case leaseRemaining = "qq_lease_remaining_seconds"
    case leaseTTL = "qq_lease_ttl_seconds"
    case lastRenewalAge = "qq_last_renewal_age_seconds"
    case waiting = "qq_waiting"
    case waits = "qq_waits_total"
    case waited = "qq_wait_seconds_total"
    case requests = "qq_requests_total"
    case successes = "qq_successes_total"
    case failures = "qq_failures_total"
    case retries = "qq_retries_total"
    case requestDuration = "qq_request_duration_seconds"
    case redirects = "qq_redirects_total"

    enum Kind: String {
        case gauge, counter, histogram
    }

    enum Label: String, CaseIterable {
        case election, system, reason, operation, version
    }

    var name: String { rawValue }

    var kind: Kind {
        switch self {
        case .buildInfo, .leading, .leaseRemaining, .leaseTTL, .lastRenewalAge, .waiting: .gauge
        case .terms, .losses, .waits, .waited, .requests, .successes, .failures, .retries, .redirects: .counter
        case .requestDuration: .histogram
        }
    }

    /// The labels of every sample, in the order in which they are written.
    var labels: [Label] {
        switch self {
        case .buildInfo: [.version]
        case .leading, .terms, .leaseRemaining, .leaseTTL, .lastRenewalAge, .waiting, .waits, .waited: [.election, .system]
        case .losses: [.election, .reason, .system]
        case .requests, .successes, .failures, .retries, .requestDuration: [.operation, .system]
        case .redirects: [.system]
        }
    }

    /// One sentence.
    var help: String {
        switch self {
        case .buildInfo: "Always 1; the label has the version of qq."
        case .leading: "Whether this process leads the election: 1 while it holds a lease that has not expired, else 0."
        case .terms: "Terms that this process has begun or resumed."
        case .losses: "Terms that ended against the will of this process."
        case .leaseRemaining: "Time until the lease expires unless it is renewed; 0 while no lease is held."
        case .leaseTTL: "Time for which the lease is granted each time: as requested, until a lease was granted."
        case .lastRenewalAge: "Time since the lease was last granted or renewed, while it is held."
        case .waiting: "Whether this process waits for an election that another one leads: 1 while it waits, else 0."
        case .waits: "Times that this process has begun to wait for the election."
        case .waited: "Time that this process has spent waiting for the election, the present wait included."
        case .requests: "Requests to the system that have ended."
        case .successes: "Requests that were answered, whether the answer was yes or no."
        case .failures: "Requests that failed, such as for lack of an answer."
        case .retries: "Requests that repeated one that had failed."
        case .requestDuration: "Time until a request was answered or had failed."
        case .redirects: "Calls that a server passed on by naming another server; only RaftLock does that."
        }
    }
}

extension MetricFamily.Label {
    /// A sentence without its subject.
    var meaning: String {
        switch self {
        case .election: "The election as the command line names it; with `--slots` the name that the slots share."
        case .system: "The system of the server URL, as in qq-json(5), such as `nats`."
        case .reason:
            "Why a term was lost: "
                + LossLabel.allCases.map { "`\($0.rawValue)` (\($0.meaning))" }.joined(separator: ", ") + "."
        case .operation: "The kind of request: " + RequestOperation.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ") + "."
        case .version: "The version of `qq`."
        }
    }
}
