import QQCore

extension ConsulStore {
    /// Whether a call that gets a bad answer is carried out.
    public enum Application: Sendable, Hashable {
        case no
        case yes
        /// After this time; nil for when `applyPending` is called. The write is checked then, so that it can come too late.
        case later(Duration?)
    }

    /// A fault of a call.
    public enum Fault: Sendable {
        /// 500 `No cluster leader` after 7 s.
        case noLeader
        /// 500 `leadership lost while committing log` after 450 ms.
        case leadershipLost(applied: Application = .no)
        /// 500 `rpc error making call: ` and this text.
        case rpcError(String = "EOF", applied: Application = .no)
        /// 429 in plain text.
        case tooManyRequests
        /// Another status with this text.
        case status(Int, String, applied: Application = .no)
        /// No answer ever comes, and the connection stays.
        case silence(applied: Application = .no)
        /// The connection is closed without an answer.
        case closed(applied: Application = .no)
        /// Carried out immediately, answered after this time.
        case slow(Duration)
    }

    /// The calls that get a fault.
    struct FaultRule: Sendable {
        var operations: Set<Operation>
        var agent: String?
        var skip: Int
        /// nil for all.
        var times: Int?
        var fault: Fault
    }

    /// Lets calls go wrong.
    /// - Parameters:
    ///   - agent: only at this agent; nil for all.
    ///   - skip: number of matching calls that are answered normally first.
    ///   - times: number of calls that get the fault; nil for all until `clearFaults`.
    public func fail(_ operations: Set<Operation>, at agent: String? = nil, skip: Int = 0, times: Int? = 1, with fault: Fault) {
        state.withLock { $0.rules.append(FaultRule(operations: operations, agent: agent, skip: skip, times: times, fault: fault)) }
    }

    public func clearFaults() { state.withLock { $0.rules = [] } }

    /// Carries out all writes that wait.
    public func applyPending() { change { state, now in state.applyPending(now) { _ in true } } }

    // MARK: The cluster

    public var leader: String { state.withLock { $0.leader } }
    public var condition: Condition { state.withLock { $0.condition } }

    /// Most servers have stopped a moment ago.
    public func loseQuorum() { setCondition(.losingQuorum) }

    /// The old leader has noticed that it has no quorum.
    public func loseLeader() { setCondition(.noLeader) }

    private func setCondition(_ condition: Condition) {
        change { state, now in
            if state.condition == .healthy { state.since = now }
            state.condition = condition
        }
    }

    /// Quorum is back. A leader is elected, who counts every session's double TTL anew; what the old leader had in its log is carried out.
    /// - Parameter leader: the new leader; nil for the old one.
    public func electLeader(_ leader: String? = nil) {
        change { state, now in
            if let leader, state.agent(leader)?.isServer == true { state.leader = leader }
            state.term += 1
            if state.condition == .leaderKilled {
                // Followers learn with the next message of a leader that an entry is committed.
                let lag = state.since - Limit.replicationLag
                for (key, delay) in state.contents.delays where delay.start >= lag { state.contents.delays[key]?.start = now }
            }
            state.condition = .healthy
            state.contents.index += 1
            state.restartSessions(at: now)
            state.applyPending(now) { $0.due == nil }
        }
    }

    /// Kills the leader. `electLeader` ends that.
    public func killLeader() {
        let leader = self.leader
        change { state, now in
            state.kill(leader, now)
            state.condition = .leaderKilled
            state.since = now
        }
    }

    /// Kills an agent: it answers no more, and after 6 s its node's check fails, which ends the sessions that are bound to the check.
    public func killAgent(_ name: String) {
        change { state, now in
            state.kill(name, now)
            // Blocking queries at this agent end.
            state.wakes += 1
        }
    }

    public func startAgent(_ name: String) {
        change { state, _ in
            for place in state.agents.indices where state.agents[place].name == name {
                state.agents[place].isAlive = true
                state.agents[place].isCritical = false
                state.agents[place].criticalAt = nil
            }
        }
    }
}

extension ConsulStore.State {
    mutating func kill(_ name: String, _ now: BootInstant) {
        for place in agents.indices where agents[place].name == name && agents[place].isAlive {
            agents[place].isAlive = false
            agents[place].criticalAt = now + ConsulStore.Limit.failureDetection
        }
    }

    // MARK: Time

    /// A new leader knows of no renewals.
    mutating func restartSessions(at now: BootInstant) {
        for (id, session) in contents.sessions { contents.sessions[id]?.deadline = session.ttl.map { now + $0 + $0 } }
    }

    /// Does what is due by now, in order of time. Sessions end only under a leader.
    mutating func advance(to now: BootInstant) {
        lastAdvance = now
        applyPending(now) { pending in pending.due.map { $0 <= now } ?? false }
        guard condition == .healthy else { return }
        for place in agents.indices {
            guard let due = agents[place].criticalAt, due <= now else { continue }
            agents[place].criticalAt = nil
            agents[place].isCritical = true
            for session in bySession where session.node == agents[place].name && session.checks.contains("serfHealth") {
                contents.index += 1
                contents.end(session.id, at: due)
            }
        }
        // Most calls end none, and sorting takes time.
        guard contents.sessions.values.contains(where: { $0.deadline.map { $0 <= now } ?? false }) else { return }
        for session in bySession {
            guard let deadline = session.deadline, deadline <= now else { continue }
            contents.index += 1
            contents.end(session.id, at: deadline)
        }
    }

    private var bySession: [ConsulContents.Session] {
        contents.sessions.values.sorted { ($0.deadline ?? .distantFuture, $0.created) < ($1.deadline ?? .distantFuture, $1.created) }
    }

    var nextEvent: BootInstant? {
        let sessions = condition == .healthy ? contents.sessions.values.compactMap(\.deadline) + agents.compactMap(\.criticalAt) : []
        return (sessions + pending.compactMap(\.due)).min()
    }

    mutating func applyPending(_ now: BootInstant, where isDue: (ConsulStore.PendingWrite) -> Bool) {
        let due = pending.filter(isDue)
        pending.removeAll(where: isDue)
        isReplaying = true
        for write in due { _ = perform(write.request, at: write.agent, now) }
        isReplaying = false
    }

    // MARK: Faults

    mutating func nextFault(for request: Request, at agent: String) -> ConsulStore.Fault? {
        for place in rules.indices {
            let rule = rules[place]
            guard rule.operations.contains(request.operation), rule.agent == nil || rule.agent == agent, rule.times != 0 else { continue }
            if rule.skip > 0 {
                rules[place].skip -= 1
                continue
            }
            rules[place].times = rule.times.map { $0 - 1 }
            return rule.fault
        }
        return nil
    }

    mutating func outcome(_ fault: ConsulStore.Fault, _ request: Request, at agent: String, _ now: BootInstant) -> Outcome {
        func error(_ status: Int, _ text: String, after time: Duration = .zero) -> Outcome {
            var answer = Answer.error(status, text)
            answer.after = time
            return .answer(answer)
        }
        switch fault {
        case .noLeader: return error(500, "No cluster leader", after: ConsulStore.Limit.leaderWait)
        case .leadershipLost(let applied):
            apply(request, at: agent, applied, now)
            return error(500, Failure.leadershipLost.text, after: ConsulStore.Limit.commitWait)
        case .rpcError(let text, let applied):
            apply(request, at: agent, applied, now)
            return error(500, "rpc error making call: " + text)
        case .tooManyRequests: return error(429, "Your IP is issuing too many concurrent connections, please rate limit your calls\n")
        case .status(let status, let text, let applied):
            apply(request, at: agent, applied, now)
            return error(status, text)
        case .silence(let applied):
            apply(request, at: agent, applied, now)
            return .silence
        case .closed(let applied):
            apply(request, at: agent, applied, now)
            return .closed
        case .slow(let time):
            guard case .answer(var answer) = perform(request, at: agent, now) else { return perform(request, at: agent, now) }
            answer.after += time
            return .answer(answer)
        }
    }

    private mutating func apply(_ request: Request, at agent: String, _ applied: ConsulStore.Application, _ now: BootInstant) {
        switch applied {
        case .no: break
        case .yes: _ = perform(request, at: agent, now)
        case .later(let time): pending.append(.init(request: request, agent: agent, due: time.map { now + $0 }))
        }
    }
}
