import QQCore
import Support

// The way of a request: from the agent that was asked to the leader, and of the answer back.
extension ConsulCluster {
    /// An agent gets a request.
    func receive(_ request: ConsulStore.Request, at place: Int, _ reply: Reply<ConsulReply>) {
        let request = Request(request: request, agent: place, reply: reply)
        lookAfterServers()
        if isDeposed(place) { return serveDeposed(request, at: place) }
        guard let target = knownLeader(at: place) else { return wait(request) }
        pass(request, to: target)
    }

    /// The leader that a server knows of.
    private func knownLeader(at place: Int) -> Int? {
        if cuts[place] > 0, place != leader { return nil }
        return leader
    }

    /// An agent that knows of no leader tries again for a while.
    private func wait(_ request: Request) {
        var request = request
        request.due = world.now + Self.leaderWait
        waiting.append(request)
    }

    func pass(_ request: Request, to target: Int) {
        let place = request.agent
        if target == place { return arrive(request, at: target) }
        guard hosts[target].isUp else {
            return request.reply.send(
                .failure("rpc error getting client: failed to get conn: dial tcp 127.0.0.1:0->server:8300: connect: connection refused"))
        }
        // Nothing comes through, and the connection does not break.
        if cuts[target] > 0 || cuts[place] > 0 { return }
        world.network.send(from: hosts[place], to: hosts[target], canBeLost: false) { [weak self] in
            guard let self else { return }
            guard hosts[target].isUp else {
                return world.network.send(from: hosts[target], to: hosts[place]) {
                    request.reply.send(.failure("rpc error making call: EOF"))
                }
            }
            arrive(request, at: target)
        }
    }

    /// A request has come to the server that its agent takes for the leader.
    private func arrive(_ request: Request, at place: Int) {
        lookAfterServers()
        if isDeposed(place) { return serveDeposed(request, at: place) }
        guard place == leader else { return respond(request, .failure("rpc error making call: No cluster leader"), from: place) }
        switch request.request.operation {
        case .renew, .sessionRead, .read, .blockingRead, .other:
            if request.request.query.contains(where: { $0.name == "consistent" }) {
                log(request)
            } else {
                // Also by a leader that has lost its quorum a moment ago.
                carryOut(request)
            }
        case .create, .destroy, .acquire, .release, .put, .delete, .transaction: log(request)
        }
    }

    /// Answers by way of the agent that was asked.
    func respond(_ request: Request, _ answer: ConsulReply, from place: Int? = nil, after delay: Nanoseconds = 0) {
        guard !request.reply.isAbandoned else { return }
        let from = place ?? leader ?? request.agent
        let agent = request.agent
        if delay > 0 {
            return world.after(delay) { [weak self] in self?.respond(request, answer, from: from) }
        }
        if from == agent { return request.reply.send(answer) }
        if cuts[from] > 0 || cuts[agent] > 0 || !hosts[from].isUp { return }
        var answer = answer
        if brokenCalls > 0, random.chance(300_000) { answer = .failure("rpc error making call: EOF") }
        world.network.send(from: hosts[from], to: hosts[agent], canBeLost: false) { [hosts, answer] in
            if hosts[agent].isUp { request.reply.send(answer) }
        }
    }

    // MARK: A leader that is none any more

    private func isDeposed(_ place: Int) -> Bool {
        guard let old = deposed[place] else { return false }
        if !hosts[place].isStopped, old.wentOnAt.map({ world.now < $0 + old.delay }) ?? true { return true }
        deposed[place] = nil
        return false
    }

    /// Default reads, renewals and session reads are answered as ever; whatever needs the other servers fails.
    private func serveDeposed(_ request: Request, at place: Int) {
        guard let old = deposed[place] else { return }
        world.note("answers, and is not the leader any more", host: hosts[place])
        let outcome = old.store.handle(request.request, at: Self.names[request.agent])
        note(request, outcome, made: nil)
        switch outcome {
        case .answer(let answer): respond(request, ConsulReply(answer), from: place, after: answer.after.nanoseconds)
        case .blocked, .closed, .refused, .silence:
            respond(request, .failure("rpc error making call: EOF"), from: place, after: random.within(0...(.milliseconds(300))))
        }
    }
}
