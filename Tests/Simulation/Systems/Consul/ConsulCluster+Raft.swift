import QQCore
import Support

// The log of the leader, and elections.
extension ConsulCluster {
    private static let leadershipLost = "leadership lost while committing log"
    /// How long a leader that hears nothing of the others still takes itself for one.
    private static let leaderLease = Nanoseconds.milliseconds(500)

    /// Whether a server runs, and is not cut off from the others.
    private func canServe(_ place: Int) -> Bool { hosts[place].isUp && !hosts[place].isStopped && cuts[place] == 0 }

    private var serving: [Int] { hosts.indices.filter(canServe) }

    private var hasMajority: Bool { (canServe(0) ? 1 : 0) + (canServe(1) ? 1 : 0) + (canServe(2) ? 1 : 0) >= 2 }

    /// Whether there is a leader that can commit.
    var isWorking: Bool {
        guard let leader, canServe(leader) else { return false }
        return hasMajority
    }

    // MARK: The log

    /// Lets a request wait until it is committed, or its leader is confirmed.
    func log(_ request: Request) {
        var request = request
        var delay = random.spread(.microseconds(200)...(.milliseconds(8)))
        if slowDisks > 0, random.chance(700_000) { delay += random.spread(.milliseconds(5)...(.seconds(2))) }
        request.loggedAt = world.now
        // In their order.
        request.due = max(lastDue, world.now + delay)
        lastDue = request.due
        log.append(request)
        let term = term
        world.at(request.due) { [weak self] in if let self, self.term == term { commit() } }
    }

    private func commit() {
        var count = 0
        while isWorking, stalledTerm != term, count < log.count, log[count].due <= world.now {
            let request = log[count]
            count += 1
            if random.chance(50_000) { store.advanceIndex(by: UInt64(random.within(1...5))) }
            carryOut(request)
        }
        // Often none, and removing none takes time.
        if count > 0 { log.removeFirst(count) }
    }

    // MARK: Elections

    /// What servers do as time passes.
    func lookAfterServers() {
        for place in hosts.indices where !hosts[place].isUp && !isDown[place] { noteDown(place) }
        if let leader {
            if isWorking {
                if impairedSince != nil { goesOn() }
                commit()
            } else {
                let since = impairedSince ?? world.now
                if impairedSince == nil { isImpaired(leader) }
                let runs = hosts[leader].isUp && !hosts[leader].isStopped
                if world.now - since >= (runs ? Self.leaderLease : noticeAfter) { loseLeader() }
            }
        }
        if leader == nil {
            if hasMajority {
                let moment = electionAt ?? world.now + random.spread(.milliseconds(300)...(.milliseconds(2_500)))
                electionAt = moment
                if world.now >= moment, let next = random.element(serving) { elect(next) }
            } else {
                electionAt = nil
            }
        }
        giveUpWaiting()
    }

    private func giveUpWaiting() {
        guard !waiting.isEmpty else { return }
        let late = waiting.filter { $0.due <= world.now }
        waiting.removeAll { $0.due <= world.now || $0.reply.isAbandoned }
        for request in late where hosts[request.agent].isUp && !hosts[request.agent].isStopped {
            request.reply.send(.failure("No cluster leader"))
        }
    }

    private func noteDown(_ place: Int) {
        isDown[place] = true
        deposed[place] = nil
        if place == leader { store.killLeader() } else { store.killAgent(Self.names[place]) }
    }

    private func isImpaired(_ leader: Int) {
        impairedSince = world.now
        noticeAfter = random.spread(.milliseconds(1_000)...(.milliseconds(2_000)))
        // No session ends meanwhile.
        if hosts[leader].isUp { store.loseQuorum() }
    }

    /// The leader has its quorum back before anybody has noticed.
    private func goesOn() {
        impairedSince = nil
        store.electLeader()
        leads()
    }

    /// The leader gives up, or the others give it up.
    func loseLeader() {
        guard let lost = leader else { return }
        let since = impairedSince ?? world.now
        let host = hosts[lost]
        world.note(host.isUp && !host.isStopped ? "leads no longer" : "is given up by the others", host: host)
        // The first entries of its log have reached another server, perhaps; none that came later did.
        let first = log.prefix { $0.loggedAt <= since }.count
        let count = Int(random.within(0...Int64(first)))
        survivors += log.prefix(count)
        let (failed, ended) = (log, blocked)
        (log, blocked, lastDue) = ([], [], 0)
        if host.isStopped {
            let copy = ConsulStore(clock: clock, servers: Self.names, clients: [])
            copy.restore(store.backup())
            copy.loseQuorum()
            deposed[lost] = Deposed(store: copy, delay: random.spread(.milliseconds(1)...(.milliseconds(500))))
        }
        if host.isUp { store.loseLeader() }
        leader = nil
        impairedSince = nil
        electionAt = nil
        term += 1
        // A server that stands still answers when it goes on.
        let isUp = host.isUp
        host.run { [weak self] in
            guard let self else { return }
            deposed[lost]?.wentOnAt = world.now
            for request in failed {
                fail(request, isUp ? Self.leadershipLost : "rpc error making call: EOF", from: lost, isUp)
            }
            for wait in ended { fail(wait.request, "rpc error making call: EOF", from: lost, isUp) }
        }
    }

    private func fail(_ request: Request, _ text: String, from lost: Int, _ isUp: Bool) {
        // Those that asked a dead server are told by its kernel.
        if !isUp, request.agent == lost { return }
        let text = request.agent == lost || text.hasPrefix("rpc") ? text : "rpc error making call: " + text
        respond(request, .failure(text), from: isUp ? lost : request.agent, after: random.within(0...(.milliseconds(300))))
    }

    private func elect(_ place: Int) {
        world.note("leads the cluster", host: hosts[place])
        leader = place
        term += 1
        impairedSince = nil
        electionAt = nil
        deposed[place] = nil
        clock.follow(hosts[place])
        store.electLeader(Self.names[place])
        let late = survivors
        survivors = []
        for request in late {
            world.note("carries out what the last leader had in its log", host: hosts[place])
            _ = apply(request)
        }
        leads()
        let all = waiting
        waiting = []
        for request in all {
            if cuts[request.agent] > 0 { waiting.append(request) } else if hosts[request.agent].isUp { pass(request, to: place) }
        }
    }

    // MARK: Faults

    func restarts(_ host: Host) {
        guard let place = hosts.firstIndex(where: { $0 === host }) else { return }
        if !isDown[place] { noteDown(place) }
        // One that led stands for election again, as a follower.
        if place == leader { loseLeader() }
        isDown[place] = false
        deposed[place] = nil
        waiting.removeAll { $0.agent == place }
        store.startAgent(Self.names[place])
    }

    func begin(_ fault: Int, argument: UInt64) {
        switch ConsulFault(rawValue: fault) {
        case .cutOff:
            let place = leader ?? Int(argument % 3)
            cuts[place] += 1
            cutBy.append((argument, place))
            world.note("is cut off from the other servers", host: hosts[place])
            lookAfterServers()
        case .standsStill:
            guard let leader else { return }
            stoppedBy.append((argument, leader))
            hosts[leader].stop(countsTime: true)
            lookAfterServers()
        case .givesUp: if isWorking { loseLeader() }
        case .stalls: if isWorking { stalledTerm = term }
        case .slowDisks: slowDisks += 1
        case .brokenCalls: brokenCalls += 1
        case .destroys:
            guard argument % 4 > 0, let session = store.holder(key), let host = terms.maker(of: session)?.process.host else {
                return destroy()
            }
            // Because its holder cannot be reached.
            clientCuts.append((argument, host))
            for server in hosts {
                world.network.cut(from: host, to: server)
                world.network.cut(from: server, to: host)
            }
            world.note("is cut off from all servers", host: host)
            world.after(Int64(argument >> 16 & 0xffff) * ttl / 131_072) { [weak self] in self?.destroy() }
        case nil: break
        }
    }

    func end(_ fault: Int, argument: UInt64) {
        switch ConsulFault(rawValue: fault) {
        case .cutOff:
            guard let index = cutBy.firstIndex(where: { $0.argument == argument }) else { return }
            cuts[cutBy.remove(at: index).place] -= 1
        case .standsStill:
            guard let index = stoppedBy.firstIndex(where: { $0.argument == argument }) else { return }
            hosts[stoppedBy.remove(at: index).place].resume()
        case .stalls:
            // It can have been lost before.
            guard stalledTerm == term else { return }
            if isWorking { loseLeader() } else { stalledTerm = 0 }
        case .slowDisks: slowDisks -= 1
        case .brokenCalls: brokenCalls -= 1
        case .destroys:
            guard let index = clientCuts.firstIndex(where: { $0.argument == argument }) else { return }
            let host = clientCuts.remove(at: index).host
            for server in hosts {
                world.network.heal(from: host, to: server)
                world.network.heal(from: server, to: host)
            }
            world.note("is connected with all servers again", host: host)
        case .givesUp, nil: break
        }
    }

    private func destroy() {
        guard isWorking, let lock = store.lock(key) else { return }
        terms.ended.append(lock.modified)
        world.note("an operator destroys the holder's session")
        store.destroySession(lock.session)
        settle()
    }
}
