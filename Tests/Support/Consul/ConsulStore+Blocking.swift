import QQCore

extension ConsulStore {
    /// A query that waits until something changes.
    public struct BlockedQuery: Sendable {
        public var request: Request
        public var agent: String
        /// When it is answered unchanged.
        public var deadline: BootInstant
        var index: UInt64
        var watched: Watched
        var generation: Int
        /// Whether any server can answer it.
        var isStale: Bool
    }

    /// The state of what a query reads. A query is woken by nothing else.
    enum Watched: Sendable, Hashable {
        /// The key's ModifyIndex; nil for an absent key.
        case key(UInt64?)
        case list(UInt64)
        case session(Bool)
        case sessions(UInt64)
    }

    /// A read that can block.
    struct Read {
        var answer: Answer
        var index: UInt64
        var watched: Watched
    }

    enum Limit {
        static let defaultWait = Duration.seconds(300)
        static let maximumWait = Duration.seconds(600)
        static let value = 524_288
        static let operations = 64
        /// How long an agent waits for a leader.
        static let leaderWait = Duration.seconds(7)
        /// How long a leader that has lost its quorum tries to write.
        static let commitWait = Duration.milliseconds(450)
        /// From an agent's death to its node's failed check.
        static let failureDetection = Duration.seconds(6)
        /// A write can be unknown to the followers' stores for this long.
        static let replicationLag = Duration.milliseconds(100)
    }
}

extension ConsulStore.State {
    /// Answers a read, or lets it wait.
    func answer(
        _ read: (Self) throws(ConsulStore.Failure) -> ConsulStore.Read, _ request: ConsulStore.Request, at agent: String, _ now: BootInstant
    ) throws(ConsulStore.Failure) -> ConsulStore.Outcome {
        var index: UInt64 = 0
        var wait = ConsulStore.Limit.defaultWait
        if let text = request.parameter("wait") {
            guard let count = try? GoDuration.parse(text) else { throw .bad("Invalid wait time") }
            if count > 0 { wait = min(.nanoseconds(count), ConsulStore.Limit.maximumWait) }
        }
        if let text = request.parameter("index") {
            guard let number = UInt64(text) else { throw .bad("Invalid index") }
            index = number
        }
        let isStale = request.has("stale")
        if isStale, request.has("consistent") { throw .bad("Cannot specify ?stale with ?consistent, conflicting semantics.") }
        try reach(isStale ? .staleRead : request.has("consistent") ? .consistentRead : .read, from: agent)
        let result = try read(self)
        guard index > 0, max(result.index, 1) <= index else { return .answer(result.answer) }
        // Up to a sixteenth is added to the wait; half of that here.
        return .blocked(
            ConsulStore.BlockedQuery(
                request: request, agent: agent, deadline: now + wait + wait / 32, index: index, watched: result.watched,
                generation: generation, isStale: isStale))
    }

    mutating func poll(_ query: ConsulStore.BlockedQuery, _ now: BootInstant) -> ConsulStore.Outcome? {
        guard agent(query.agent)?.isAlive == true else { return .closed }
        if condition == .leaderKilled, !query.isStale {
            // The connection to the leader is gone, which the agent notices after a moment.
            guard query.agent != leader else { return .closed }
            var answer = ConsulStore.Answer.error(500, "rpc error making call: EOF")
            answer.after = .milliseconds(300)
            return .answer(answer)
        }
        var request = query.request
        request.query.removeAll { $0.name == "index" }
        if condition == .losingQuorum || condition == .noLeader, now < query.deadline { return nil }
        do {
            guard case .read(let read) = try route(request, at: query.agent) else { return nil }
            let result = try read(self)
            let isChanged = result.watched != query.watched && result.index > query.index
            if isChanged || generation != query.generation || now >= query.deadline { return .answer(result.answer) }
            return nil
        } catch { return .answer(answer(to: error, from: query.agent)) }
    }
}
