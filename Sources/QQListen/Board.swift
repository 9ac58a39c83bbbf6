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

    private struct Pulse: Sendable {
        var beat: BootInstant
        var clocks: ClockReading
        /// When the wall clock was last noticed to have jumped ahead.
        var jumpedAt: BootInstant?

        mutating func look(_ now: ClockReading) {
            if now.hasJumped(since: clocks) { jumpedAt = now.moment }
            clocks = now
        }
    }

    private let places = Mutex(Places())
    private let pulse: Mutex<Pulse>

    public init(at now: ClockReading) { pulse = Mutex(Pulse(beat: now.moment, clocks: now)) }

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
    /// - Returns: when the wall clock was last noticed to have jumped ahead, be it by a request; nil if it never was.
    @discardableResult public func beat(at now: ClockReading) -> BootInstant? {
        pulse.withLock { pulse in
            pulse.beat = now.moment
            pulse.look(now)
            return pulse.jumpedAt
        }
    }

    /// What the answer to a request depends on.
    func snapshot(for request: Request, at now: ClockReading) -> Snapshot {
        let pulse = pulse.withLock { pulse in
            pulse.look(now)
            return pulse
        }
        let (count, chosen) = places.withLock { places -> (Int, [Place]) in
            let all = places.inOrder
            return switch (request.path, request.election) {
            case ("/leader", .absent) where all.count != 1: (all.count, [])
            case ("/leader", .value(let name)), ("/", .value(let name)): (all.count, places.byName[name].map { [$0] } ?? [])
            case ("/leader", .absent), ("/", .absent), ("/livez", _): (all.count, all)
            default: (all.count, [])
            }
        }
        return Snapshot(
            standings: chosen.map { $0.standing.withLock { $0 } }, count: count, beat: pulse.beat, jumpedAt: pulse.jumpedAt)
    }
}

/// A copy of the board for one answer. Pure.
struct Snapshot: Sendable {
    /// The elections that the request is about.
    var standings: [Standing]
    /// The number of all elections.
    var count: Int
    /// When the loop that renews was last known to be at work.
    var beat: BootInstant
    /// When the wall clock was last noticed to have jumped ahead.
    var jumpedAt: BootInstant?

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
