import QQCore
import Synchronization

/// The counts and states of one process: its elections, and its requests to systems. They cost nothing until a reader asks for them.
///
/// The number of series is bounded: elections come from the command line, and every other label has a fixed set of values.
final class Metrics: Sendable {
    struct Election: Hashable, Sendable {
        var system: String
        var name: String
    }

    private struct Requests: Hashable {
        var system: String
        var operation: RequestOperation

        var labels: PrometheusText.Labels { [(.operation, operation.rawValue), (.system, system)] }
    }

    private struct Failed: Hashable {
        var requests: Requests
        var subject: String
    }

    private struct State {
        var elections: [Election: ElectionMetrics] = [:]
        var requests: [Requests: RequestMetrics] = [:]
        /// Requests that failed the last time that they were sent.
        var failed: Set<Failed> = []
        var redirects: [String: UInt64] = [:]
    }

    /// Elections and failed requests beyond this number are left out, for sessions that run without an end.
    private static let most = 100_000

    private let clock: any LeaseClock
    private let state = Mutex(State())

    init(clock: any LeaseClock) { self.clock = clock }

    // MARK: Elections

    /// Adds an election, unless it was added before, so that its series exist from the beginning.
    func add(_ election: Election, ttl: Duration) {
        state.withLock { state in
            guard state.elections[election] == nil, state.elections.count < Self.most else { return }
            state.elections[election] = ElectionMetrics(ttl: ttl)
            for operation in [RequestOperation.acquire, .renew, .release] {
                let key = Requests(system: election.system, operation: operation)
                state.requests[key] = state.requests[key] ?? RequestMetrics()
            }
        }
    }

    /// Takes an event of an election's session; nil at the end of the session.
    func take(_ event: SessionEvent?, of election: Election) {
        let now = clock.now()
        state.withLock { state in
            if let event {
                state.elections[election]?.take(event, at: now)
            } else {
                state.elections[election]?.sessionEnded(at: now)
            }
        }
    }

    /// The guarded command of an election is ended because the lease was not renewed in time.
    func notRenewed(_ election: Election) { state.withLock { $0.elections[election]?.notRenewed() } }

    // MARK: Requests

    /// Counts a request. The first one after a failure of the same request is a retry.
    /// - Parameter subject: the election; empty for a request about none.
    func record(_ operation: RequestOperation, of subject: String, at system: String, isSuccess: Bool, took time: Duration) {
        let key = Requests(system: system, operation: operation)
        let request = Failed(requests: key, subject: subject)
        state.withLock { state in
            let isRetry = state.failed.remove(request) != nil
            if !isSuccess, state.failed.count < Self.most { state.failed.insert(request) }
            state.requests[key, default: RequestMetrics()].add(isSuccess: isSuccess, isRetry: isRetry, took: time)
        }
    }

    /// Sends a request, and counts and times it.
    func counting<Answer: Sendable>(
        _ operation: RequestOperation, of subject: String = "", at system: String,
        _ request: () async throws(CoordinationError) -> Answer
    ) async throws(CoordinationError) -> Answer {
        let began = clock.now()
        func record(isSuccess: Bool) {
            self.record(operation, of: subject, at: system, isSuccess: isSuccess, took: clock.now().duration(since: began))
        }
        do throws(CoordinationError) {
            let answer = try await request()
            record(isSuccess: true)
            return answer
        } catch {
            // A request that this process has called off itself shows no failure of the system.
            if !Task.isCancelled { record(isSuccess: false) }
            throw error
        }
    }

    /// Counts redirects at a system whose servers name other servers.
    /// - Returns: counts one redirect.
    func redirects(at system: String) -> @Sendable () -> Void {
        state.withLock { $0.redirects[system] = $0.redirects[system] ?? 0 }
        return { self.state.withLock { $0.redirects[system, default: 0] += 1 } }
    }

    // MARK: Text

    /// All metrics at this moment, in the text format of Prometheus, version 0.0.4.
    func prometheus() -> String {
        let state = state.withLock { $0 }
        let now = clock.now()
        let elections = state.elections.sorted { ($0.key.system, $0.key.name) < ($1.key.system, $1.key.name) }
        let requests = state.requests.sorted { ($0.key.system, $0.key.operation.rawValue) < ($1.key.system, $1.key.operation.rawValue) }
        var text = PrometheusText()
        for family in MetricFamily.all {
            let name = family.name
            text.begin(name, type: family.kind.rawValue, help: family.help)
            switch family.content {
            case .version: text.sample(name, [(.version, version)], 1)
            case .election(let number):
                for (election, metrics) in elections {
                    guard let value = number(metrics, now) else { continue }
                    text.sample(name, [(.election, election.name), (.system, election.system)], value)
                }
            case .losses:
                for (election, metrics) in elections {
                    for reason in LossLabel.allCases {
                        let labels: PrometheusText.Labels = [
                            (.election, election.name), (.reason, reason.rawValue), (.system, election.system),
                        ]
                        text.sample(name, labels, Double(metrics.losses(reason)))
                    }
                }
            case .requests(let count):
                for (key, metrics) in requests { text.sample(name, key.labels, Double(count(metrics))) }
            case .durations:
                for (key, metrics) in requests where key.operation.isTimed { text.histogram(name, key.labels, metrics.durations) }
            case .redirects:
                for (system, count) in state.redirects.sorted(by: { $0.key < $1.key }) {
                    text.sample(name, [(.system, system)], Double(count))
                }
            }
        }
        return text.text
    }
}
