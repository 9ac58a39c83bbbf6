import QQCore
import Support

/// What the servers know of the terms of the election.
final class ConsulTerms {
    // Used on the world's thread only.
    /// A session, and who has made it.
    private struct Made {
        var session: String
        var agents: ConsulAgents
        /// World time at which it was made or renewed last, by whichever server.
        var renewedAt: Nanoseconds
    }

    private var made: [Made] = []
    /// The lock of the key.
    private(set) var lock: (session: String, token: UInt64)?
    /// World time since when that session has had it.
    private(set) var lockedAt: Nanoseconds = 0
    /// World time since when its maker does not lead, and nothing keeps it from that.
    var orphanSince: Nanoseconds?
    private var index: UInt64 = 0
    /// Terms that an operator has ended, by their tokens.
    var ended: [UInt64] = []

    func look(at store: ConsulStore, _ key: String, _ now: Nanoseconds) {
        let index = store.index
        guard index != self.index else { return }
        self.index = index
        let found = store.lock(key)
        if found?.session != lock?.session { lockedAt = now }
        lock = found.map { ($0.session, $0.modified) }
    }

    func makes(_ session: String, _ agents: ConsulAgents, at now: Nanoseconds) {
        let locked = lock?.session
        made.removeAll { $0.agents.process.isDead && $0.session != locked }
        made.append(Made(session: session, agents: agents, renewedAt: now))
    }

    func renews(_ session: String, at now: Nanoseconds) {
        for index in made.indices where made[index].session == session { made[index].renewedAt = now }
    }

    func renewedAt(_ session: String) -> Nanoseconds? { made.first { $0.session == session }?.renewedAt }

    func maker(of session: String) -> ConsulAgents? { made.first { $0.session == session }?.agents }

    /// Another process can go on with the term of this session from now on.
    func isHandedOver(_ session: String?) {
        for index in made.indices where made[index].session == session { made[index].agents.handsOver() }
    }
}

// For the checker.
extension ConsulCluster {
    func lookAtLock() { terms.look(at: store, key, world.now) }

    func isHeld(_ term: Term) -> Bool? {
        guard let token = term.token?.value, !terms.ended.contains(token) else { return nil }
        lookAtLock()
        return terms.lock?.token == token
    }

    /// A session ends at twice its TTL. But one TTL is all that is promised.
    func timeLeft(_ term: Term) -> Nanoseconds? {
        lookAtLock()
        guard let lock = terms.lock, lock.token == term.token?.value, let renewedAt = terms.renewedAt(lock.session) else { return nil }
        return renewedAt + ttl - world.now
    }

    /// Notes that a session was made or renewed, by whichever server.
    func note(_ request: Request, _ outcome: ConsulStore.Outcome, made id: String?) {
        guard case .answer(let answer) = outcome, answer.status == 200 else { return }
        switch request.request.operation {
        case .create:
            guard let id, let agents = agents.first(where: { $0.process === request.reply.caller }) else { return }
            terms.makes(id, agents, at: world.now)
        case .renew: terms.renews(String(request.request.path.split(separator: "/").last ?? ""), at: world.now)
        default: break
        }
    }

    /// The longest that a contender can need to see that the key is its own, while all of its requests are answered: its longest pause and some requests.
    private static let longestUnseen = Nanoseconds.seconds(12)

    /// Looks whether a contender waits behind itself: its own session has the key by a request that it takes for refused.
    func lookForOrphans() {
        lookAtLock()
        guard let lock = terms.lock, let maker = terms.maker(of: lock.session), !maker.isTroubled(within: Self.longestUnseen),
            !world.checker.holds(maker.process)
        else {
            terms.orphanSince = nil
            return
        }
        let since = terms.orphanSince ?? world.now
        terms.orphanSince = since
        guard world.now - since > Self.longestUnseen else { return }
        world.fail(.model, "the session of \(maker.process.name) has the key, and it does not lead")
    }
}
