import Foundation
import QQCore
import QQEtcd
import Support

/// What the majority of the members knows of the contenders of the election, as of its newest revision.
final class EtcdTerms {
    // Used on the world's thread only.
    struct Entry {
        var key: [UInt8]
        /// The lease by which the key is named, and which a process has made; 0 for another key.
        var lease: Int64
        /// The lease with which the key ends; 0 for none.
        var boundTo: Int64
        var createRevision: Int64
        var modRevision: Int64
        /// World time at which that lease ends unless it is renewed; nil for none.
        var endsAt: Nanoseconds?
    }

    /// In the order of their entry.
    private(set) var entries: [Entry] = []
    private var revision: Int64 = 0
    /// The processes that have made leases, and the leases.
    private var makers: [(lease: Int64, client: EtcdClientModel)] = []
    /// Terms that something else than time and contenders has touched, by their tokens.
    var touched: [Int64] = []
    private let name: String
    private let naming = ContenderNaming(prefix: "")

    init(_ name: String) { self.name = name }

    func makes(_ lease: Int64, _ client: EtcdClientModel) {
        makers.removeAll { [entries] made in
            made.client.process.isDead && !entries.contains { $0.lease == made.lease }
        }
        if !makers.contains(where: { $0.lease == lease }) { makers.append((lease, client)) }
    }

    func maker(of lease: Int64) -> EtcdClientModel? { makers.first { $0.lease == lease }?.client }

    /// Another process can go on with the term of this lease from now on.
    func isHandedOver(_ lease: Int64) { makers.removeAll { $0.lease == lease } }

    /// - Returns: whether anything has changed.
    func look(at store: EtcdStore, _ now: Nanoseconds) -> Bool {
        let isNew = store.revision != revision
        if isNew { read(store) }
        for index in entries.indices {
            let left = store.timeLeft(ofLease: entries[index].boundTo)
            entries[index].endsAt = left.map { now + $0 }
            // The leader looks for it later. Its process is told that it has ended, and need not delete the key.
            if let left, left <= 0 { isHandedOver(entries[index].lease) }
        }
        return isNew
    }

    private func read(_ store: EtcdStore) {
        revision = store.revision
        entries = store.states(below: name + "/").map { state in
            Entry(
                key: Array(state.key), lease: naming.lease(ofKey: Array(state.key), in: name) ?? 0, boundTo: state.lease,
                createRevision: state.createRevision, modRevision: state.modRevision)
        }
        entries.sort { $0.createRevision < $1.createRevision }
    }

    /// The contender that leads by the order of the keys.
    var first: Entry? { entries.first { $0.lease != 0 } }

    /// A living process that is twice in the queue: it waits behind itself.
    var twice: SimProcess? {
        for (index, entry) in entries.enumerated() {
            guard let process = maker(of: entry.lease)?.process, !process.isDead else { continue }
            for other in entries[..<index] where other.lease != entry.lease && maker(of: other.lease)?.process === process {
                return process
            }
        }
        return nil
    }
}

// For the checker.
extension EtcdClusterModel {
    /// Looks at what has changed, as of the store's present moment.
    func lookAtTerms() {
        guard terms.look(at: store, lastLook), let process = terms.twice else { return }
        world.fail(.model, "\(process.name) has two keys in the queue, and waits behind itself")
    }

    /// The key of a term; nil if there is none. The token of a program of others is another one: its lease shows which key it has.
    private func entry(of term: Term) -> EtcdTerms.Entry? {
        if let lease = foreign.first(where: { $0.process === term.process })?.lease { return terms.entries.first { $0.lease == lease } }
        return terms.entries.first { entry in term.token.map { $0.value == UInt64(clamping: entry.modRevision) } ?? false }
    }

    private func isTouched(_ term: Term) -> Bool {
        term.token.map { token in terms.touched.contains { UInt64(clamping: $0) == token.value } } ?? true
    }

    func isHeld(_ term: Term) -> Bool? {
        if isTouched(term) { return nil }
        guard let entry = entry(of: term) else { return false }
        // One that has ended, and whose end nobody has seen yet, can be kept by a next leader.
        return entry.endsAt.map { $0 > world.now } == true ? true : nil
    }

    func timeLeft(_ term: Term) -> Nanoseconds? {
        // The next leader gives it all of its time.
        if store.leader == nil || isTouched(term) { return nil }
        return entry(of: term)?.endsAt.map { $0 - world.now }
    }
}
