internal import QQCore
internal import Synchronization

/// The records of elections in memory.
final class MemoryStore: Sendable {
    struct Record: Sendable {
        /// Nil if the lease was released or removed.
        var holder: String?
        /// The election object that holds it; nil for a holder of which only the identity exists.
        var owner: Int?
        var token: UInt64 = 0
        var ttl: Duration = .zero
        var deadline = BootInstant(nanoseconds: 0)
        var note: String?
        var stepDownAskedBy: String?
        /// Waiting owners in the order in which they came.
        var queue: [Int] = []
    }

    private struct State {
        var records: [String: Record] = [:]
        var isReachable = true
        /// The identities that are cut off alone.
        var cutOff: Set<String> = []
        var answersToLose = 0
        var disconnectsAfter = false
        var owners = 0
        var bells: [Int: Bell] = [:]
        var nextBell = 0
    }

    let clock: ManualLeaseClock
    private let state = Mutex(State())

    init(clock: ManualClock) { self.clock = ManualLeaseClock(clock: clock) }

    func makeOwner() -> Int {
        state.withLock { state in
            state.owners += 1
            return state.owners
        }
    }

    // MARK: Faults

    /// - Parameter identity: nil for all.
    func setReachable(_ isReachable: Bool, for identity: String?) {
        state.withLock { state in
            guard let identity else {
                state.isReachable = isReachable
                if isReachable { state.cutOff = [] }
                return
            }
            if isReachable { state.cutOff.remove(identity) } else { state.cutOff.insert(identity) }
        }
        ring()
    }

    /// - Parameter thenDisconnect: whether the servers are cut off together with the last of these answers.
    func loseAnswers(_ count: Int, thenDisconnect: Bool = false) {
        state.withLock { state in
            state.answersToLose = max(count, 0)
            state.disconnectsAfter = thenDisconnect
        }
    }

    /// - Throws: `.unavailable` while the servers are cut off.
    func reach(_ what: String, _ identity: String) throws(CoordinationError) {
        if state.withLock({ $0.isReachable && !$0.cutOff.contains(identity) }) { return }
        throw CoordinationError(.unavailable, what, because: "the servers are cut off", at: "memory")
    }

    /// Sends a request that changes something.
    /// - Throws: `.unavailable` while the servers are cut off, or an uncertain error if the answer is lost.
    func request<Answer>(_ what: String, _ identity: String, _ body: () -> Answer) throws(CoordinationError) -> Answer {
        try reach(what, identity)
        let answer = body()
        let isLost = state.withLock { state in
            guard state.answersToLose > 0 else { return false }
            state.answersToLose -= 1
            if state.answersToLose == 0, state.disconnectsAfter { state.isReachable = false }
            return true
        }
        if isLost { throw CoordinationError(.unavailable, what, because: "the answer was lost", at: "memory", isUncertain: true) }
        return answer
    }

    // MARK: Records

    /// The state as the election object `owner` sees it.
    func state(of name: String, for owner: Int?) -> QQCore.ElectionState {
        let now = clock.now()
        guard let record = state.withLock({ $0.records[name] }) else { return QQCore.ElectionState(name: name, phase: .free) }
        var found = QQCore.ElectionState(
            name: name, phase: record.holder == nil ? .free : record.deadline > now ? .held : .expired)
        found.waiters = record.queue.count
        guard let holder = record.holder else { return found }
        found.leader = holder
        found.note = record.note
        found.token = QQCore.FencingToken(record.token)
        found.termID = "term-\(record.token)"
        found.isOwn = owner.map { $0 == record.owner }
        found.ttl = record.ttl
        found.remaining = max(record.deadline.duration(since: now), .zero)
        found.stepDownAskedBy = record.stepDownAskedBy
        return found
    }

    /// Grants the lease to `owner` if nobody holds it and nobody waits in front.
    /// - Returns: whether it was granted.
    func grant(_ name: String, to owner: Int, _ request: AcquireRequest) -> Record? {
        let now = clock.now()
        return change(name) { record in
            if record.holder != nil, record.deadline > now { return nil }
            if let first = record.queue.first, first != owner { return nil }
            record.queue.removeAll { $0 == owner }
            record.holder = request.identity
            record.owner = owner
            record.token += 1
            record.ttl = request.ttl
            record.deadline = now + request.ttl
            record.note = request.note
            record.stepDownAskedBy = nil
            return record
        }
    }

    /// Changes the record of `grant`, if that term is in force.
    /// - Returns: whether it is.
    func change(_ grant: Grant, _ body: (inout Record) -> Void) -> Bool {
        let now = clock.now()
        return change(grant.name) { record in
            guard record.holder == grant.identity, record.token == grant.token?.value, record.deadline > now else { return false }
            body(&record)
            return true
        }
    }

    func takeOver(_ name: String, by identity: String, ttl: Duration) {
        let now = clock.now()
        change(name) { record in
            record.holder = identity
            record.owner = nil
            record.token += 1
            record.ttl = ttl
            record.deadline = now + ttl
            record.note = nil
            record.stepDownAskedBy = nil
        }
    }

    func remove(_ name: String) { change(name) { $0.holder = nil } }

    func askToStepDown(_ name: String, by identity: String) { change(name) { $0.stepDownAskedBy = identity } }

    // MARK: Waiting

    func enqueue(_ owner: Int, for name: String) { change(name) { if !$0.queue.contains(owner) { $0.queue.append(owner) } } }

    func leaveQueue(_ owner: Int, of name: String) {
        let waits = state.withLock { $0.records[name]?.queue.contains(owner) ?? false }
        if waits { change(name) { $0.queue.removeAll { $0 == owner } } }
    }

    /// When the lease ends, if it is not `owner`'s turn now; nil if it is.
    func turn(of owner: Int, for name: String) -> BootInstant? {
        let now = clock.now()
        return state.withLock { state in
            guard let record = state.records[name] else { return nil }
            if record.holder != nil, record.deadline > now { return record.deadline }
            return record.queue.first.map { $0 == owner } ?? true ? nil : .distantFuture
        }
    }

    /// Calls `body` with a bell that rings at each change.
    func withBell<Result>(_ body: (Bell) async -> Result) async -> Result {
        let bell = Bell()
        let id = state.withLock { state in
            state.nextBell += 1
            state.bells[state.nextBell] = bell
            return state.nextBell
        }
        defer { state.withLock { _ = $0.bells.removeValue(forKey: id) } }
        return await body(bell)
    }

    @discardableResult
    private func change<Result>(_ name: String, _ body: (inout Record) -> Result) -> Result {
        let result = state.withLock { body(&$0.records[name, default: Record()]) }
        ring()
        return result
    }

    private func ring() {
        let bells = state.withLock { $0.bells }
        for (_, bell) in bells.sorted(by: { $0.key < $1.key }) { bell.ring() }
    }
}
