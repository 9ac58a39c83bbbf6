import QQCore
import Synchronization

/// What the loop that renews leases tells the thread that answers requests. Each election has a lock of its own, which is held only to copy or change its
/// standing: however many elections and requests there are, a change costs the same.
public final class Board: Sendable {
    private final class Place: Sendable {
        let standing: Mutex<Standing>

        init(_ standing: Standing) { self.standing = Mutex(standing) }
    }

    private struct Places: Sendable {
        var inOrder: [Place] = []
        var byName: [String: Place] = [:]
    }

    private let places = Mutex(Places())
    private let lastBeat: Mutex<BootInstant>

    public init(at now: BootInstant) { lastBeat = Mutex(now) }

    /// Adds an election, in the order of answers. The names must be different.
    public func add(_ standing: Standing) {
        let place = Place(standing)
        places.withLock { places in
            places.inOrder.append(place)
            places.byName[standing.election] = place
        }
    }

    /// Changes what is known of an election.
    public func change(_ election: String, _ change: (inout Standing) -> Void) {
        let place = places.withLock { $0.byName[election] }
        place?.standing.withLock { change(&$0) }
    }

    /// The loop that renews is at work.
    public func beat(at now: BootInstant) { lastBeat.withLock { $0 = now } }

    func snapshot() -> Snapshot {
        let all = places.withLock { $0.inOrder }
        return Snapshot(standings: all.map { $0.standing.withLock { $0 } }, beat: lastBeat.withLock { $0 })
    }
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
