import QQCore
import Support
import Synchronization

/// When leases were written, as the server saw it.
final class LeaseWrites: Sendable {
    /// The renewals of a period.
    struct Observation {
        let ttl: Duration
        let interval: Duration
        var renewals = 0
        var late = 0
        var lost: Set<LeaseStore.Key> = []

        init(ttl: Duration, interval: Duration) { (self.ttl, self.interval) = (ttl, interval) }

        func isLate(_ time: BootInstant, after before: BootInstant) -> Bool {
            time.duration(since: before) > interval + interval / 10
        }
    }

    private struct Write {
        var time: BootInstant
        var holder: String?
    }

    private struct State {
        var last: [LeaseStore.Key: Write] = [:]
        var released: [LeaseStore.Key: BootInstant] = [:]
        var observation: Observation?
    }

    private let clock = SystemClock()
    private let state = Mutex(State())

    func note(_ change: LeaseStore.Change) {
        let write = Write(time: clock.now(), holder: change.holder)
        state.withLock { state in
            let before = state.last.updateValue(write, forKey: change.key)
            let isRelease = before?.holder != nil && write.holder == nil
            if isRelease, state.released[change.key] == nil { state.released[change.key] = write.time }
            guard let observation = state.observation, let before, before.holder != nil else { return }
            if write.holder != before.holder || write.time.duration(since: before.time) > observation.ttl {
                state.observation?.lost.insert(change.key)
            } else {
                state.observation?.renewals += 1
                if observation.isLate(write.time, after: before.time) { state.observation?.late += 1 }
            }
        }
    }

    /// Number of leases with a holder.
    var held: Int { state.withLock { $0.last.values.count { $0.holder != nil } } }

    func lastWrite(_ name: String) -> UInt64 {
        state.withLock { $0.last[LeaseStore.Key("team", name)]?.time.nanoseconds ?? 0 }
    }

    func firstRelease(_ name: String) -> UInt64 { state.withLock { $0.released[LeaseStore.Key("team", name)]?.nanoseconds ?? 0 } }

    func observe(ttl: Duration, interval: Duration) {
        state.withLock { $0.observation = Observation(ttl: ttl, interval: interval) }
    }

    /// What was observed. Leases that should have been renewed by now count as late, or as lost, too.
    func endObservation() -> Observation {
        let now = clock.now()
        return state.withLock { state in
            var seen = state.observation ?? Observation(ttl: .zero, interval: .zero)
            state.observation = nil
            for (key, write) in state.last where write.holder != nil {
                if now.duration(since: write.time) > seen.ttl {
                    seen.lost.insert(key)
                } else if seen.isLate(now, after: write.time) {
                    seen.late += 1
                }
            }
            return seen
        }
    }
}
