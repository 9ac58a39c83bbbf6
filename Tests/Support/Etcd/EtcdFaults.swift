import QQEtcd

/// Faults that tests switch on.
package struct EtcdFaults: Sendable {
    /// What becomes of a write that is answered with a failure.
    package enum Effect: Sendable, Hashable {
        case none, now
        /// It takes effect with ``EtcdStore/applyLateWrites()``.
        case later
    }

    package struct Fault: Sendable, Hashable {
        package var failure: EtcdServerError
        package var effect: Effect

        package init(_ failure: EtcdServerError, _ effect: Effect = .none) { (self.failure, self.effect) = (failure, effect) }
    }

    /// No member knows a leader, although all are connected.
    package var noLeader = false
    /// By method (`KV/Put`): the failures of its next calls.
    package var next: [String: [Fault]] = [:]
    /// Whether writes that time out for want of a leader take effect when there is one again.
    package var keepsProposals = false
    /// Watches are neither answered nor sent any changes. They catch up when this is switched off.
    package var silentWatches = false
    /// Keep-alives are neither carried out nor answered.
    package var unansweredKeepAlives = false
    /// Members that led until another was elected, in this term, and do not know of that yet: they answer keep-alives without effect.
    package var formerLeaders: [Int: UInt64] = [:]
    /// Expired leases stay, and so do their keys.
    package var keepsExpiredLeases = false
    /// By method: the number of calls so far.
    package internal(set) var calls: [String: Int] = [:]

    package init() {}

    mutating func take(_ method: String) -> Fault? {
        guard let fault = next[method]?.first else { return nil }
        next[method]?.removeFirst()
        return fault
    }
}

extension EtcdStore {
    /// Carries out the writes that were answered with a failure and have yet to take effect.
    package mutating func applyLateWrites() {
        let writes = late
        late = []
        for write in writes { write(&self) }
    }

    /// Time from the loss of a leader to the election of the next one.
    package static let failover: Int64 = 1_200_000_000

    /// Cuts members off from the others; clients still reach them. The others elect a leader if they are a majority and have lost theirs.
    package mutating func isolate(_ lost: Set<Int>) {
        cut.formUnion(lost.intersection(members.indices))
        settle()
    }

    /// Joins members with the others again. Writes that waited take effect, if there is a leader.
    package mutating func join(_ back: Set<Int>) {
        cut.subtract(back)
        settle()
        if leader != nil { applyLateWrites() }
        deliver()
    }

    private var hasMajority: Bool { members.count - cut.count > members.count / 2 }

    private mutating func settle() {
        for member in members.indices {
            let isAlone = !hasMajority || cut.contains(member)
            if !isAlone {
                isolated[member] = nil
            } else if isolated[member] == nil {
                isolated[member] = Isolation(since: now, keys: keys, term: term, raftIndex: raftIndex, wasLeader: member == leader)
            }
        }
        guard hasMajority else {
            (leader, election) = (nil, nil)
            return
        }
        if let leader, isolated[leader] == nil { return }
        leader = nil
        election = election ?? now + Self.failover
    }

    mutating func elect() {
        election = nil
        let connected = members.indices.filter { isolated[$0] == nil }
        guard let next = candidate.flatMap({ connected.contains($0) ? $0 : nil }) ?? connected.first else { return }
        (leader, candidate) = (next, nil)
        term += 1
        raftIndex += 1
        leases.extend(at: now)
        applyLateWrites()
        deliver()
    }

    /// Moves the lead to another member immediately.
    package mutating func lead(_ member: Int) {
        candidate = member
        elect()
    }

    /// Raises or ends the alarm that the database is full, as one of a member.
    package mutating func fill(_ isFull: Bool = true, member: Int = 0) {
        alarms.removeAll { $0.alarm == .nospace }
        guard isFull, members.indices.contains(member) else { return }
        var alarm = Etcdserverpb_AlarmMember()
        (alarm.memberID, alarm.alarm) = (members[member].id, .nospace)
        alarms.append(alarm)
    }

    /// Raises the revision, as writes of other clients do that no test looks at.
    package mutating func skip(toRevision revision: Int64) { keys.skip(to: revision) }

    /// The next lease whose id the server chooses gets the id after this one.
    package mutating func skip(toLease id: Int64) { leases.skip(toID: id) }
    package mutating func skip(toTerm term: UInt64) { self.term = max(self.term, term) }
    package mutating func skip(toIndex index: UInt64) { raftIndex = max(raftIndex, index) }
}
