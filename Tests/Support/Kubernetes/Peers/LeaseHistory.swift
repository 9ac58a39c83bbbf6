import QQCore
import Synchronization

/// The states of one lease as the server stored them, from which follows who led by right, whatever a program believed.
public struct LeaseHistory: Sendable {
    public struct Entry: Sendable, Hashable {
        /// When the server stored the state, in nanoseconds on the clock of the stamps.
        public var at: UInt64
        /// The user that wrote it; nil for a test.
        public var user: String?
        /// Empty for nobody, and for a lease that was deleted.
        public var holder: String
        /// The lease's duration; 0 if it has none.
        public var durationSeconds: Int64
        public var renewed: WallTime?
        public var version: UInt64

        public init(
            at: UInt64, user: String? = nil, holder: String, durationSeconds: Int64, renewed: WallTime?, version: UInt64
        ) {
            self.at = at
            self.user = user
            self.holder = holder
            self.durationSeconds = durationSeconds
            self.renewed = renewed
            self.version = version
        }
    }

    /// A time in which a holder led by right: its name was in the lease, and the lease's duration had not passed since the last change that every
    /// other contender sees.
    public struct Reign: Sendable, Hashable {
        public var holder: String
        public var from: UInt64
        /// When the lease ended, or another state was stored.
        public var to: UInt64
        /// When the lease would have ended without that other state.
        public var due: UInt64
        /// The user that stored the other state; nil for a test.
        public var endedBy: String?
    }

    public var entries: [Entry]

    public init(_ entries: [Entry]) { self.entries = entries }

    /// All times in which a holder led by right, in order.
    public var reigns: [Reign] {
        var reigns: [Reign] = []
        var last: Entry?
        for entry in entries {
            if let last, !last.holder.isEmpty, entry.at < reigns[reigns.count - 1].due {
                if entry.holder == last.holder {
                    // Nobody can tell two renewals within one second apart.
                    if entry.renewed?.seconds != last.renewed?.seconds || entry.durationSeconds != last.durationSeconds {
                        reigns[reigns.count - 1].due = Self.end(of: entry)
                    }
                    reigns[reigns.count - 1].to = reigns[reigns.count - 1].due
                } else {
                    reigns[reigns.count - 1].to = entry.at
                    reigns[reigns.count - 1].endedBy = entry.user
                }
            }
            if !entry.holder.isEmpty, entry.holder != last?.holder || entry.at >= reigns[reigns.count - 1].due {
                let end = Self.end(of: entry)
                reigns.append(Reign(holder: entry.holder, from: entry.at, to: end, due: end))
            }
            last = entry
        }
        return reigns
    }

    private static func end(of entry: Entry) -> UInt64 { entry.at + UInt64(max(0, entry.durationSeconds)) * 1_000_000_000 }

    /// Each case of a guarded command that ran while a peer led by right, in words. A peer whose valid lease a `qq` wrote over leads on by right
    /// until that lease would have ended.
    ///
    /// One kind is unavoidable: a program can clear, delete or overwrite the valid lease of `qq`, as client-go does when it releases without
    /// looking, and a peer takes it before `qq` can hear of it. Until the end of its own lease, the deposed command is not counted.
    /// - Parameters:
    ///   - terms: those of the guarded commands.
    ///   - peers: the identities of the peers; all other holders are `qq`s.
    ///   - user: the user as which all `qq`s write.
    public func violations(_ terms: [Stamps.Term], peers: Set<String>, user: String) -> [String] {
        let reigns = reigns
        return terms.flatMap { term in
            reigns.indices.compactMap { index in
                let reign = reigns[index]
                let end = reign.endedBy == user ? reign.due : reign.to
                guard peers.contains(reign.holder), reign.from <= term.last, end > term.first else { return nil }
                if let own = reigns[..<index].last(where: { !peers.contains($0.holder) }), own.from <= term.first, own.to < own.due,
                    own.endedBy != user, own.to <= reign.from, term.last < own.due
                {
                    return nil
                }
                func milliseconds(_ time: UInt64) -> Double { Double(Int64(time) - Int64(reign.from)) / 1e6 }
                return "\(reign.holder) led by right for \(milliseconds(end)) ms, and term \(term.token) ran from "
                    + "\(milliseconds(term.first)) to \(milliseconds(term.last)) ms of it"
            }
        }
    }
}

extension LeaseHistory {
    /// Notes the states of all leases of a store from now on.
    public final class Recorder: Sendable {
        private let changes = Mutex<[(at: UInt64, change: LeaseStore.Change)]>([])

        public init(_ store: LeaseStore) { store.subscribe { [self] change in changes.withLock { $0.append((bootNow(), change)) } } }

        /// - Parameter calls: all calls of the servers, from which the writers follow.
        public func history(_ name: String, in namespace: String = "team", calls: [LeaseAPI.Call]) -> LeaseHistory {
            let key = LeaseStore.Key(namespace, name)
            var writes: [String: [LeaseAPI.Call]] = [:]
            for call in calls where call.verb == .update && call.name == name && call.namespace == namespace {
                guard let version = call.json?["metadata"]?["resourceVersion"]?.stringValue else { continue }
                writes[version, default: []].append(call)
            }
            return LeaseHistory(
                changes.withLock { $0 }.filter { $0.change.key == key }.map { at, change in
                    let spec = change.object.spec
                    return Entry(
                        at: at, user: Self.writer(among: change.previous.flatMap { writes[$0.metadata.resourceVersion] } ?? []),
                        holder: change.isDeletion ? "" : spec.holderIdentity ?? "", durationSeconds: Int64(spec.leaseDurationSeconds ?? 0),
                        renewed: spec.renewTime?.time, version: change.version)
                })
        }

        /// The user of the PUT on a version that was carried out. Of several that had no certain answer, it is one of them.
        private static func writer(among writes: [LeaseAPI.Call]) -> String? {
            (writes.first { $0.status == 200 } ?? writes.first { $0.status.map { $0 >= 500 } ?? true })?.user
        }
    }
}
