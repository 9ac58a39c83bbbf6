import QQCore

extension ConsulStore {
    /// What a call needs of the cluster.
    enum Need {
        case staleRead, read, consistentRead, renewal, write
    }

    /// What is done for a request.
    enum Action {
        case read((State) throws(Failure) -> Read)
        case write((inout State, BootInstant) throws(Failure) -> Answer)
        /// Answered by the agent, whatever the cluster's state.
        case local((State) throws(Failure) -> Answer)
    }
}

extension ConsulStore.State {
    typealias Request = ConsulStore.Request
    typealias Answer = ConsulStore.Answer
    typealias Failure = ConsulStore.Failure
    typealias Outcome = ConsulStore.Outcome

    /// What an agent does with a request, with the faults that are switched on.
    mutating func outcome(_ request: Request, at agent: String, _ now: BootInstant) -> Outcome {
        guard self.agent(agent)?.isAlive == true else { return .refused }
        if let fault = nextFault(for: request, at: agent) { return outcome(fault, request, at: agent, now) }
        return perform(request, at: agent, now)
    }

    mutating func perform(_ request: Request, at agent: String, _ now: BootInstant) -> Outcome {
        do {
            switch try route(request, at: agent) {
            case .read(let read): return try self.answer(read, request, at: agent, now)
            case .write(let write): return .answer(try write(&self, now))
            case .local(let body): return .answer(try body(self))
            }
        } catch {
            // A write without quorum is in the old leader's log, and is carried out if that log wins.
            if condition == .losingQuorum, error.text == Failure.leadershipLost.text, request.method != "GET", !isReplaying {
                pending.append(.init(request: request, agent: agent, due: nil))
            }
            return .answer(self.answer(to: error, from: agent))
        }
    }

    /// An error as the agent passes it on.
    func answer(to failure: Failure, from agent: String) -> Answer {
        let text = failure.isLocal || agent == leader ? failure.text : "rpc error making call: " + failure.text
        var answer = Answer.error(failure.status, text, failure.meta)
        answer.after = failure.after
        return answer
    }

    func route(_ request: Request, at agent: String) throws(Failure) -> ConsulStore.Action {
        let path = request.path
        if let datacenter = request.parameter("dc"), !datacenter.isEmpty, datacenter != self.datacenter {
            throw Failure(text: "No path to datacenter", isLocal: true)
        }
        if let key = request.path(after: "/v1/kv/") { return try routeKey(key, request, at: agent) }
        if let rest = request.path(after: "/v1/session/") { return try routeSession(rest, request, at: agent) }
        switch (request.method, path) {
        case ("PUT", "/v1/txn"): return try routeTransaction(request, at: agent)
        case ("GET", _): return routeCluster(path, request, at: agent)
        case (_, "/v1/txn"): throw Self.notAllowed(request.method)
        default: return .local { _ in .missing() }
        }
    }

    static func notAllowed(_ method: String) -> Failure { Failure(status: 405, text: "method \(method) not allowed", isLocal: true) }

    /// Throws unless an agent can get a call to where it has to go.
    func reach(_ need: ConsulStore.Need, from agent: String) throws(Failure) {
        if isReplaying { return }
        switch (condition, need) {
        case (.healthy, _), (_, .staleRead), (.losingQuorum, .read), (.losingQuorum, .renewal): return
        case (.losingQuorum, _): throw .leadershipLost
        case (.noLeader, _):
            // A server notices by itself, and a client agent is told by a server.
            let isServer = self.agent(agent)?.isServer ?? false
            throw Failure(
                text: isServer ? "No cluster leader" : "rpc error making call: No cluster leader", isLocal: true,
                after: ConsulStore.Limit.leaderWait)
        case (.leaderKilled, _):
            throw Failure(
                text: "rpc error getting client: failed to get conn: dial tcp 127.0.0.1:0->\(leader):8300: connect: connection refused",
                isLocal: true)
        }
    }

    /// The headers of a read.
    func meta(_ index: UInt64?, _ request: Request) -> ConsulStore.Meta {
        let isHealthy = condition == .healthy || condition == .losingQuorum
        guard !isHealthy, request.has("stale") else { return ConsulStore.Meta(index: index) }
        return ConsulStore.Meta(index: index, isLeaderKnown: false, lastContact: Int64(lastAdvance.duration(since: since).milliseconds))
    }
}

extension ConsulStore.Failure {
    static let leadershipLost = ConsulStore.Failure(text: "leadership lost while committing log", after: ConsulStore.Limit.commitWait)
}
