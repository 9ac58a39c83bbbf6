import CoreMetrics
import LeaderElection

/// The metrics of one election.
struct ElectionMetrics: Sendable {
    private let terms: Counter
    private let expired: Counter
    private let takenOver: Counter
    private let removed: Counter
    private let retries: Counter
    private let outages: Counter
    private let overruns: Counter
    private let leading: Gauge
    private let termDuration: CoreMetrics.Timer
    private let outageDuration: CoreMetrics.Timer
    /// When the present term began; nil between terms.
    private var elected: ContinuousClock.Instant?
    /// Whether the loss of the last term is counted already.
    private var hasLost = false
    /// Whether the overrun of the last term is counted already. It is reported twice.
    private var hasOverrun = false

    /// All counters exist from the beginning: a rate over a counter that appears with its first event would miss that event.
    init(_ election: String, _ factory: any MetricsFactory) {
        let dimensions = [("election", election)]
        func counter(_ name: String) -> Counter { Counter(label: name, dimensions: dimensions, factory: factory) }
        func losses(_ reason: String) -> Counter {
            Counter(label: "qq_losses_total", dimensions: dimensions + [("reason", reason)], factory: factory)
        }
        terms = counter("qq_terms_total")
        expired = losses("expired")
        takenOver = losses("taken_over")
        removed = losses("removed")
        retries = counter("qq_retries_total")
        outages = counter("qq_outages_total")
        overruns = counter("qq_overruns_total")
        leading = Gauge(label: "qq_leading", dimensions: dimensions, factory: factory)
        termDuration = Timer(label: "qq_term_duration_seconds", dimensions: dimensions, preferredDisplayUnit: .seconds, factory: factory)
        outageDuration = Timer(
            label: "qq_outage_duration_seconds", dimensions: dimensions, preferredDisplayUnit: .seconds, factory: factory)
        leading.record(0)
    }

    mutating func take(_ event: ElectionEvent, at now: ContinuousClock.Instant) {
        switch event {
        case .elected:
            terms.increment()
            leading.record(1)
            elected = now
            hasOverrun = false
            hasLost = false
        case .campaigning: hasLost = false
        case .cancelled(let reason, _): count(reason)
        case .lost(let loss):
            count(loss.reason)
            endTerm(at: now)
        case .released, .releaseFailed: endTerm(at: now)
        case .retrying: retries.increment()
        case .outage: outages.increment()
        case .outageOver(let duration): outageDuration.recordNanoseconds(Int64(duration / .nanoseconds(1)))
        case .overran: noteOverrun()
        case .waiting, .renewed, .leaderChanged, .stepDownAsked, .workFailed, .connection, .missed: break
        }
    }

    /// Counts a loss once, by its first reason: work that stops in time is cancelled and then gives the lease up, so that nothing else shows the loss.
    private mutating func count(_ reason: LeadershipLost.Reason) {
        let counter: Counter
        switch reason {
        case .expired: counter = expired
        case .takenOver: counter = takenOver
        case .removed: counter = removed
        // Given up on request, which no alert should fire for.
        case .steppedDown, .stopped, .released: return
        }
        if !hasLost { counter.increment() }
        hasLost = true
    }

    private mutating func noteOverrun() {
        if !hasOverrun { overruns.increment() }
        hasOverrun = true
    }

    private mutating func endTerm(at now: ContinuousClock.Instant) {
        guard let began = elected else { return }
        elected = nil
        leading.record(0)
        termDuration.recordNanoseconds(Int64((now - began) / .nanoseconds(1)))
    }
}
