import QQCore
import Synchronization

/// What the loop that renews leases tells the thread that answers requests. Writers and readers hold its lock only to copy values.
public final class Board: Sendable {
    private struct Content: Sendable {
        var standings: [Standing] = []
        var index: [String: Int] = [:]
        var beat: BootInstant
    }

    private let content: Mutex<Content>

    public init(at now: BootInstant) { content = Mutex(Content(beat: now)) }

    /// Adds an election, in the order of answers. The names must be different.
    public func add(_ standing: Standing) {
        content.withLock { content in
            content.index[standing.election] = content.standings.count
            content.standings.append(standing)
        }
    }

    /// Changes what is known of an election.
    public func change(_ election: String, _ change: (inout Standing) -> Void) {
        content.withLock { content in
            guard let index = content.index[election] else { return }
            change(&content.standings[index])
        }
    }

    /// The loop that renews is at work.
    public func beat(at now: BootInstant) { content.withLock { $0.beat = now } }

    func snapshot() -> Snapshot { content.withLock { Snapshot(standings: $0.standings, beat: $0.beat) } }
}

/// A copy of the board for one answer. Pure.
struct Snapshot: Sendable {
    var standings: [Standing]
    /// When the loop that renews was last known to be at work.
    var beat: BootInstant

    /// Time that the loop can be silent, and that the end of a lease can go unnoticed. A probe that fails has its process restarted, which costs every lease:
    /// that is worth it only if the process has clearly stopped working.
    static let patience = Duration.seconds(10)

    /// Why the process does not do its duty at `now`; nil if it does. Neither an outage nor another leader is a reason: a restart would mend neither.
    func complaint(at now: BootInstant) -> String? {
        let silence = now.duration(since: beat)
        if silence > Self.patience { return "the loop that renews leases has not run for \(DurationText.brief(silence))" }
        for standing in standings {
            guard let end = standing.overdue(at: now) else { continue }
            let late = now.duration(since: end)
            if late > Self.patience {
                return "the lease of \(standing.election) ended \(DurationText.brief(late)) ago, and its end was not dealt with"
            }
        }
        return nil
    }
}
