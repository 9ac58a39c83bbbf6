import Synchronization
import Testing

@testable import LeaderElection

/// Elections in memory, what was noted about them, and what their observers were told.
final class Trial: Sendable {
    let memory = InMemoryElections()
    let log = EventLog()
    private let lines = Mutex<[String]>([])

    var clock: ManualClock { memory.clock }
    var notes: [String] { lines.withLock { $0 } }

    func note(_ text: String) { lines.withLock { $0.append(text) } }

    func election(_ options: ElectionOptions = .init(identity: "a")) throws -> Election {
        var options = options
        options.observers = [log]
        return try Election("backup", in: memory, options: options)
    }

    /// Notes when the task is cancelled, and with how much of the lease left.
    func untilCancelled(_ lease: Lease) async {
        note("begins")
        try? await clock.sleep(for: .seconds(1_000_000))
        note("cancelled with \(lease.remaining)")
    }

    /// Sleeps even if the task is cancelled.
    func sleepOn(for duration: Duration) async {
        let clock = clock
        await clock.run { await Task(executorPreference: clock.executor) { try? await clock.sleep(for: duration) }.value }
    }
}

/// Remembers the events that an observer is told.
final class EventLog: ElectionObserver {
    private let events = Mutex<[ElectionEvent]>([])

    var words: [String] { events.withLock { $0.map(\.word) } }
    var all: [ElectionEvent] { events.withLock { $0 } }

    func observe(_ event: ElectionEvent, of election: String) { events.withLock { $0.append(event) } }
}

extension ElectionEvent {
    /// The event in a word, for comparisons.
    var word: String {
        switch self {
        case .campaigning: "campaigning"
        case .waiting(let leader): "waiting for \(leader?.identity ?? "nobody")"
        case .elected: "elected"
        case .renewed: "renewed"
        case .leaderChanged(let leader): "leader \(leader?.identity ?? "nobody")"
        case .retrying: "retrying"
        case .outage: "outage"
        case .outageOver: "outage over"
        case .stepDownAsked(let by): "asked by \(by)"
        case .cancelled(let reason, let within): "cancelled within \(within): \(reason.word)"
        case .overran(let length): "overran \(length)"
        case .workFailed: "work failed"
        case .lost(let loss): "lost: \(loss.reason.word)"
        case .released: "released"
        case .releaseFailed: "release failed"
        case .connection(let event): "connection \(event.kind)"
        case .missed(let count): "missed \(count)"
        }
    }
}

extension LeadershipLost.Reason {
    /// Without the text of errors.
    var word: String { if case .expired(let error) = self { "expired (\(error?.kind.rawValue ?? "nil"))" } else { description } }
}

/// What `body` throws; nil if it returns.
func thrown<Result>(by body: () async throws -> Result) async -> (any Error)? {
    do { _ = try await body() } catch { return error }
    return nil
}

extension Election {
    /// The name of the state.
    var stands: String {
        switch state {
        case .idle: "idle"
        case .campaigning: "campaigning"
        case .leading: "leading"
        case .stopping: "stopping"
        case .ended: "ended"
        }
    }
}
