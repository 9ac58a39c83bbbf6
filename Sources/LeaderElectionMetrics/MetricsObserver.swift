public import CoreMetrics
public import LeaderElection
import Synchronization

/// Counts what happens in elections, with swift-metrics.
///
/// ```swift
/// var options = ElectionOptions()
/// options.observers = [MetricsObserver()]
/// ```
///
/// All metrics have the dimension `election`. Their names are those of the command line's metrics if they mean the same, so that rules for alerts fit both.
///
/// | name | kind | meaning |
/// |---|---|---|
/// | `qq_terms_total` | counter | terms begun |
/// | `qq_losses_total` | counter | terms in which the work was cancelled, or ended, against this process's will; dimension `reason`: `expired`, `taken_over`, `removed` |
/// | `qq_retries_total` | counter | requests repeated after a failure |
/// | `qq_outages_total` | counter | times in which the servers did not answer |
/// | `qq_overruns_total` | counter | terms in which work ran on after the end of the lease: another process can have led beside it |
/// | `qq_leading` | gauge | 1 from the beginning of a term to its end, otherwise 0 |
/// | `qq_term_duration_seconds` | timer | how long terms lasted |
/// | `qq_outage_duration_seconds` | timer | how long outages lasted |
///
/// - Note: `qq_leading` is set by events. A process that is stopped leaves it as it was: ask `Election.isLeader` for the moment.
public struct MetricsObserver: ElectionObserver {
    private let factory: any MetricsFactory
    private let elections = Elections()

    /// An observer for the process's metrics, or for a factory of one's own.
    /// - Parameter factory: by default the one with which `MetricsSystem` was bootstrapped.
    public init(factory: (any MetricsFactory)? = nil) { self.factory = factory ?? MetricsSystem.factory }

    /// Counts one event.
    public func observe(_ event: ElectionEvent, of election: String) {
        elections.update(election, factory) { $0.take(event, at: .now) }
    }
}

/// The metrics of each election that the observer has seen: as many as this process contends in.
private final class Elections: Sendable {
    private let all = Mutex<[String: ElectionMetrics]>([:])

    func update(_ name: String, _ factory: any MetricsFactory, _ change: (inout ElectionMetrics) -> Void) {
        all.withLock { all in
            var metrics = all[name] ?? ElectionMetrics(name, factory)
            change(&metrics)
            all[name] = metrics
        }
    }
}
