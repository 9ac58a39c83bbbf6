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
            guard let leader = store.leader, hosts.count > 1, formerLeader == nil else { return }
            formerLeader = (leader, argument)
            store.faults.formerLeaders = [leader: store.term]
            isolations[leader] += 1
            world.note("is cut off, and goes on answering keep-alives", host: hosts[leader])
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
        case .cutOff: cutOff(argument)
        case .slowThenCutOff: slowDown(argument)
        }
        apply()
    }

    func end(_ fault: Int, argument: UInt64) {
        guard let fault = EtcdFault(rawValue: fault) else { return }
        let member = Int(argument % UInt64(hosts.count))
        switch fault {
        case .move, .compact, .cancelWatches, .refuse: break
        case .isolate: isolations[member] -= 1
        case .former:
            guard let former = formerLeader, former.argument == argument else { return }
            formerLeader = nil
            store.faults.formerLeaders = [:]
            isolations[former.member] -= 1
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

    private func client(_ argument: UInt64) -> Host? {
        let clients = world.hosts.filter { host in !hosts.contains { $0 === host } }
        return clients.isEmpty ? nil : clients[Int(argument >> 16 & 0xffff) % clients.count]
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
        for (from, to) in ways(argument, client) { world.network.cut(from: from, to: to) }
        world.note("is cut off from all members", host: client)
    }

    private func connect(_ argument: UInt64) {
        guard let client = client(argument) else { return }
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
