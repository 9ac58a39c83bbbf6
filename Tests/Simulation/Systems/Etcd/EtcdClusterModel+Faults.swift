import Foundation
import QQCore
import QQEtcd
import Support

// Faults of the cluster.
extension EtcdClusterModel {
    func begin(_ fault: Int, argument: UInt64) {
        guard let fault = EtcdFault(rawValue: fault) else { return }
        sync()
        let member = Int(argument % UInt64(hosts.count))
        switch fault {
        case .move:
            // A member that is cut off, or the only one, cannot take over.
            if store.leader != nil, store.leader != member, store.seesLeader(member) { store.lead(member) }
        case .isolate: isolations[member] += 1
        case .former:
            guard hosts.count > 1, formerLeader == nil else { return }
            // Mostly the member that the holder of the election asks.
            if argument >> 9 & 3 > 0, let asked = holder?.preferred, store.leader != nil, store.leader != asked, store.seesLeader(asked) {
                store.lead(asked)
            }
            guard let leader = store.leader else { return }
            formerLeader = (leader, argument)
            store.faults.formerLeaders = [leader: store.term]
            isolations[leader] += 1
            world.note("is cut off, and goes on answering keep-alives", host: hosts[leader])
            // Long enough for a renewal, or a turn.
            world.after(.seconds(3) + Int64(argument >> 48) * ttl / 65_536) { [weak self] in self?.endFormerLeader() }
            guard argument >> 11 & 1 > 0 else { break }
            world.after(Int64(argument >> 32 & 0xffff) * ttl / 65_536) { [weak self] in
                if let self, formerLeader?.argument == argument { cutOff(argument) }
            }
        case .keepLeases: expiryFaults += 1
        case .compact: compact(keeping: Int64(argument % 4))
        case .cancelWatches:
            if argument % 2 == 0 { store.cancelWatches(reason: "") } else { store.endWatches(.leaderChanged) }
        case .lag: lags[member] += lag(argument)
        case .loseAnswers: losses += 1
        case .fill:
            fullness += 1
            store.fill()
        case .silence: silences += 1
        case .refuse: refuse(argument)
        case .lateWrites: lateWrites += 1
        case .putOver: putOver(argument)
        case .cutOff:
            cutOff(argument)
            if argument >> 10 & 1 > 0 { moveLater(argument) }
        case .slowThenCutOff: slowDown(argument)
        }
        apply()
    }

    func end(_ fault: Int, argument: UInt64) {
        guard let fault = EtcdFault(rawValue: fault) else { return }
        let member = Int(argument % UInt64(hosts.count))
        switch fault {
        case .move, .former, .compact, .cancelWatches, .refuse, .putOver: break
        case .lateWrites: lateWrites -= 1
        case .isolate: isolations[member] -= 1
        case .keepLeases: expiryFaults -= 1
        case .lag: lags[member] -= lag(argument)
        case .loseAnswers: losses -= 1
        case .fill:
            fullness -= 1
            if fullness == 0 { store.fill(false) }
        case .silence: silences -= 1
        case .cutOff: connect(argument)
        case .slowThenCutOff: speedUp(argument)
        }
        apply()
    }

    private func endFormerLeader() {
        guard let former = formerLeader else { return }
        formerLeader = nil
        store.faults.formerLeaders = [:]
        isolations[former.member] -= 1
        connect(former.argument)
        world.note("sees that it leads no more", host: hosts[former.member])
        apply()
    }

    private func apply() {
        store.faults.keepsExpiredLeases = expiryFaults > 0
        if store.faults.silentWatches, silences == 0 {
            store.faults.silentWatches = false
            // Tells the watches what they have missed.
            store.join([])
        }
        if silences > 0 { store.faults.silentWatches = true }
        sync()
    }

    // MARK: Machines of contenders

    /// The client of the contender that leads.
    private var holder: EtcdClientModel? { terms.first.flatMap { terms.maker(of: $0.lease) } }

    /// The machine of the leader, or any.
    private func client(_ argument: UInt64) -> Host? {
        if argument >> 8 & 1 > 0, let holder { return holder.process.host }
        let clients = world.hosts.filter { host in !hosts.contains { $0 === host } }
        return clients.isEmpty ? nil : clients[Int(argument >> 16 & 0xffff) % clients.count]
    }

    /// Another member leads before the lease of a holder that is cut off has ended, and the lease begins anew.
    private func moveLater(_ argument: UInt64) {
        world.after(Int64(argument >> 32 & 0xffff) * ttl / 65_536) { [weak self] in
            guard let self, let leader = store.leader else { return }
            sync()
            let others = hosts.indices.filter { $0 != leader && store.seesLeader($0) }
            if let next = random.element(others) { store.lead(next) } else if hosts.count == 1 { store.lead(leader) }
            sync()
        }
    }

    /// Which ways are cut: both, or one of them.
    private func ways(_ argument: UInt64, _ client: Host) -> [(Host, Host)] {
        hosts.flatMap { server in
            switch argument % 4 {
            case 0: [(client, server)]
            case 1: [(server, client)]
            default: [(client, server), (server, client)]
            }
        }
    }

    private func cutOff(_ argument: UInt64) {
        guard let client = client(argument) else { return }
        cutBy.append((argument, client))
        for (from, to) in ways(argument, client) { world.network.cut(from: from, to: to) }
        world.note("is cut off from all members", host: client)
    }

    private func connect(_ argument: UInt64) {
        guard let index = cutBy.firstIndex(where: { $0.argument == argument }) else { return }
        let client = cutBy.remove(at: index).client
        for (from, to) in ways(argument, client) { world.network.heal(from: from, to: to) }
        world.note("is connected with all members again", host: client)
    }

    /// Less than the time for one try: answers come, and late.
    private func slowness(_ argument: UInt64) -> Nanoseconds { .milliseconds(Int64(argument >> 24 & 0xffff) % 1_400) }

    private func slowDown(_ argument: UInt64) {
        slow.append((argument, false))
        for member in hosts.indices { lags[member] += slowness(argument) }
        world.after(Int64(argument >> 32 & 0xffff) * ttl / 40_000) { [weak self] in
            guard let self, let index = slow.firstIndex(where: { $0.argument == argument && !$0.isCutOff }) else { return }
            slow[index].isCutOff = true
            cutOff(argument)
        }
    }

    private func speedUp(_ argument: UInt64) {
        guard let index = slow.firstIndex(where: { $0.argument == argument }) else { return }
        if slow[index].isCutOff { connect(argument) }
        slow.remove(at: index)
        for member in hosts.indices { lags[member] -= slowness(argument) }
    }

    /// Something else writes the leader's key without its lease, which the leader has to see: the key does not end any more. An operator deletes it once no lease
    /// is left that was renewed before that.
    private func putOver(_ argument: UInt64) {
        // Programs of others do not look.
        guard let key = terms.first, store.leader != nil, !foreign.contains(where: { $0.lease == key.lease }) else { return }
        terms.touched.append(key.modRevision)
        let holder = holder
        // The one that has lost it leaves it to end, and can wait behind it.
        terms.isHandedOver(key.lease)
        do throws(EtcdServerError) {
            _ = try store.put(.with { ($0.key, $0.value) = (Data(key.key), Data("x".utf8)) }, EtcdStore.Caller(member: store.leader ?? 0))
        } catch { return }
        world.note("something else writes the leader's key, without its lease")
        // The servers raise the shortest TTL to 2 s.
        let span = max(ttl, .seconds(2)) / 10 * 11 + .seconds(3)
        world.after(span) { [weak self] in self?.deleteEndless(key) }
        // Half of the holders hear of it by their renewals only: their watches are stuck.
        guard argument & 1 > 0, let holder, muted == nil else { return }
        muted = holder.process
        world.after(span + ttl) { [weak self] in
            self?.muted = nil
            self?.sync()
        }
    }

    private func deleteEndless(_ key: EtcdTerms.Entry) {
        sync()
        guard let leader = store.leader else { return world.after(.seconds(1)) { [weak self] in self?.deleteEndless(key) } }
        let found = terms.entries.first { $0.key == key.key && $0.createRevision == key.createRevision && $0.boundTo == 0 }
        guard let found else { return }
        terms.touched.append(found.modRevision)
        do throws(EtcdServerError) {
            _ = try store.deleteRange(.with { $0.key = Data(found.key) }, EtcdStore.Caller(member: leader))
        } catch { return }
        world.note("an operator deletes the key that does not end")
        sync()
    }

    private func lag(_ argument: UInt64) -> Nanoseconds { .milliseconds(1) << Int64(argument >> 8 & 0xff) % 12 }

    /// The next requests of some kind are refused, as at a change of the leader or under load, and some are carried out all the same.
    private func refuse(_ argument: UInt64) {
        let count = Int(argument >> 8 & 0xff) % 4 + 1
        switch argument % 5 {
        case 0: store.faults.next["KV/Range"] = Array(repeating: .init(.leaderChanged), count: count)
        case 1: store.faults.next["KV/Txn"] = Array(repeating: .init(.proposalDropped), count: count)
        case 2: store.faults.next["KV/Txn"] = Array(repeating: .init(.tooManyRequests), count: count)
        case 3: store.faults.next["KV/Txn"] = Array(repeating: .init(.leaderFailed, argument % 2 == 0 ? .now : .later), count: count)
        default:
            store.faults.next["Lease/LeaseGrant"] = Array(repeating: .init(.leaderFailed, argument % 2 == 0 ? .now : .later), count: count)
        }
    }
}
