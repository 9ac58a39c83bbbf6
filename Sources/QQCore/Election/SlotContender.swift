import Synchronization

/// A contender for one of the slots of a name: several elections, of which it holds at most one at a time.
///
/// A lease session campaigns with it for the name. The grant has the name of the slot, under which everything else works as for an election: renewing,
/// releasing, saving, marks of processes.
///
/// What keeps more than N from working at the same time:
/// 1. There are N slots, and each is an election that has at most one holder.
/// 2. All contenders mean the same N slots. After a slot was granted and before the grant counts, the elections are listed. If a slot of another number
///    of slots is held, or the name itself is, the grant is given back. Of two contenders that name different numbers, the one whose list comes last sees
///    the other, unless the list can be out of date. A system without a list does not show this; `acquire` then only tries the slots.
public final class SlotContender: Leasing, ElectionReader, WaitingQueue {
    let base: any Coordinator
    /// The number of slots.
    public let count: Int
    let clock: any LeaseClock
    /// Where places in queues are left that a grant need not wait for.
    private let executor: (any TaskExecutor)?
    private let state = Mutex(State())

    /// What this process knows of the slots, by their numbers.
    private struct State {
        /// The slot that is held, as far as this process knows.
        var held: Int?
        /// The slot that was granted last. Asked for early, it is granted early: one that comes after many refusals can come too late to count.
        var last: Int?
        /// Slots of which this process might have a place in the queue, or a lease by a request without an answer.
        var entered: Set<Int> = []
        /// Slots that this process might hold: the last request for them had no certain answer, or their lease was lost or could not be released.
        var uncertain: [Int] = []
        /// Slots of which the queue reported our turn.
        var turns: [Int] = []
        /// Slots with processes of an earlier term that cannot be ended: they are tried last.
        var avoided: Set<Int> = []
        /// The task that leaves queues beside the last grant. No slot is asked for before its end: it releases what it finds under our identity.
        var leaving: Task<Void, Never>?
        /// Why the slots were refused, and when.
        var refusals: [Int: (state: ElectionState, at: BootInstant)] = [:]
    }

    /// - Parameters:
    ///   - base: the system of the slots.
    ///   - count: the number of slots.
    ///   - executor: where places in queues are left that a grant need not wait for; nil for the default one.
    public init(_ base: any Coordinator, count: Int, clock: any LeaseClock, executor: (any TaskExecutor)? = nil) {
        self.base = base
        self.count = min(max(count, 1), Slot.most)
        self.clock = clock
        self.executor = executor
    }

    // MARK: Names

    private func name(_ number: Int, of election: String) -> String { base.name(of: Slot(number, of: count, election: election)) }

    /// The number of a slot of ours; nil if the name is that of another election.
    private func number(_ name: String) -> Int? { base.slot(named: name).flatMap { $0.count == count ? $0.number : nil } }

    private func request(_ number: Int, _ request: AcquireRequest) -> AcquireRequest {
        var asked = request
        asked.name = name(number, of: request.name)
        if asked.continuing?.name != asked.name { asked.continuing = nil }
        return asked
    }

    /// - Throws: `CoordinationError` of kind `.usage`, or `.unsupported` on a system where the name cannot have slots.
    public func validate(name: String, identity: String, ttl: Duration) throws(CoordinationError) {
        try base.validate(name: name, identity: identity, ttl: ttl)
        // The last slot has the longest name.
        let last = self.name(count, of: name)
        do throws(CoordinationError) { try base.validate(name: last, identity: identity, ttl: ttl) } catch {
            var told = error
            if told.kind == .usage { told.hint = told.hint ?? "--slots makes the name longer: choose a shorter one" }
            throw told
        }
    }

    // MARK: Acquiring

    public func acquire(_ request: AcquireRequest) async throws(CoordinationError) -> AcquireAnswer {
        await left()
        // A slot whose lease was lost is asked for first: only asking for it ends what might be left of that lease.
        let turns = state.withLock { state in
            if let held = state.held, !state.uncertain.contains(held) { state.uncertain.append(held) }
            state.held = nil
            defer { state.turns = [] }
            return state.turns
        }
        let order: [Int]
        // The other slots are waited for, and their queues would have reported a change. A system that is only asked now and then reports nothing.
        if !turns.isEmpty, base.capabilities.has(.readLeader) {
            order = turns
        } else {
            let seen = try await survey(request.name)
            if let seen { try await refuseOthers(request.name, seen) }
            order = self.order(request, seen ?? [], after: turns)
        }
        for number in order {
            let asked = self.request(number, request)
            state.withLock { _ = $0.entered.insert(number) }
            switch try await ask(asked, number) {
            case .refused(let found):
                let now = clock.now()
                state.withLock { state in
                    state.refusals[number] = (found, now)
                    // What a request without an answer might still bring, is ended by leaving the queue.
                    state.uncertain.removeAll { $0 == number }
                }
            case .granted(let grant, let livenessLock):
                state.withLock { state in
                    state.held = number
                    state.last = number
                    state.refusals = [:]
                    state.avoided.remove(number)
                    state.uncertain.removeAll { $0 == number }
                }
                try await confirm(grant, livenessLock, number, request.name)
                await leaveOthers(request)
                return .granted(grant, livenessLock)
            }
        }
        return .refused(refusal(request.name))
    }

    private func ask(_ request: AcquireRequest, _ number: Int) async throws(CoordinationError) -> AcquireAnswer {
        do throws(CoordinationError) { return try await base.acquire(request) } catch {
            // The repeated request has to find the same slot, or each try could bring one more.
            state.withLock { state in
                state.uncertain.removeAll { $0 == number }
                if error.isTransient { state.uncertain.insert(number, at: 0) }
            }
            throw error
        }
    }

    /// The order in which slots are asked for: those that might be ours, those whose turn came, free ones, and the others. Those that seem to be held
    /// are asked for as well, because a list can be out of date.
    private func order(_ request: AcquireRequest, _ seen: [ElectionState], after turns: [Int]) -> [Int] {
        let (uncertain, avoided, last) = state.withLock { ($0.uncertain, $0.avoided, $0.last) }
        let continued = request.continuing.flatMap { number($0.name) }
        let own = seen.filter { $0.isLed && $0.leader == request.identity && $0.isOwn != false }.compactMap { number($0.name) }
        let held = Set(seen.filter(\.isLed).compactMap { number($0.name) })
        let all = Array(1...count)
        let isFree = { !held.contains($0) && !avoided.contains($0) }
        var order: [Int] = []
        var known: Set<Int> = []
        let groups = [
            continued.map { [$0] } ?? [], uncertain, own.sorted(), turns, [last].compactMap { $0 }.filter(isFree), all.filter(isFree),
            all.filter { !avoided.contains($0) }, all,
        ]
        for number in groups.joined() where known.insert(number).inserted { order.append(number) }
        return order
    }

    // MARK: Another number of slots

    /// The elections of the name: it itself and its slots, of any number. Nil if the system does not list elections, or does not let us.
    private func survey(_ name: String) async throws(CoordinationError) -> [ElectionState]? {
        guard base.capabilities.has(.listElections), let lister = base.lister else { return nil }
        var filter = ElectionFilter()
        // What the names of all slots have in common, on every system.
        filter.name = String(zip(name, self.name(1, of: name)).prefix { $0 == $1 }.map(\.0))
        do throws(CoordinationError) {
            return try await lister.list(filter).filter { $0.name == name || base.slot(named: $0.name)?.election == name }
        } catch {
            if error.kind == .denied || error.kind == .unsupported { return nil }
            var told = error
            told.what = "cannot acquire a slot of \(Printable.text(name))"
            // A list changes nothing.
            told.isUncertain = false
            throw told
        }
    }

    /// - Throws: `CoordinationError` of kind `.configuration` if the name is held otherwise than by one of our slots.
    private func refuseOthers(_ name: String, _ seen: [ElectionState]) async throws(CoordinationError) {
        for state in seen {
            let slot = base.slot(named: state.name)
            if slot?.election == name, slot?.count == count { continue }
            if let problem = state.problem { throw problem }
            // A command can outlive the lease of its slot, if its qq and its guardian are stopped. Only the next holder of that slot ends it.
            guard state.isLed || state.alive == true else { continue }
            if slot == nil, try await isOnlySlot(state, of: name) { continue }
            let holder = state.leader.map { "held by \(Printable.text($0))" } ?? "held"
            let asked = "--slots \(count)"
            let (reason, hint) =
                slot.map { slot in
                    (
                        "slot \(slot.number) of \(slot.count) is \(holder), and this is \(asked)",
                        "give all contenders the same number: --slots \(slot.count), or stop those first"
                    )
                } ?? ("it is \(holder) without slots, and this is \(asked)", "give all contenders --slots \(count), or stop that one first")
            throw CoordinationError(
                .configuration, "cannot acquire a slot of \(Printable.text(name))", because: reason, at: base.server.description, hint: hint
            )
        }
    }

    /// Whether the only slot of a name is the election of that name itself, as on Consul.
    private func isOnlySlot(_ state: ElectionState, of name: String) async throws(CoordinationError) -> Bool {
        guard count == 1, let term = state.termID else { return false }
        return try await base.read(self.name(1, of: name)).termID == term
    }

    /// Lists the elections once more: a contender with another number of slots might have been granted one since. Either it sees our slot, or we see its.
    /// - Throws: what speaks against the grant, which has been given back.
    private func confirm(
        _ grant: Grant, _ livenessLock: (any LivenessLock)?, _ number: Int, _ name: String
    ) async throws(CoordinationError) {
        do throws(CoordinationError) {
            guard let seen = try await survey(name) else { return }
            try await refuseOthers(name, seen)
        } catch {
            livenessLock?.close()
            var told = error
            // Without the list it is unknown whether the grant counts, but not whether there is one.
            told.isUncertain = false
            var unused = grant
            // Nobody has looked for processes of earlier terms.
            unused.leavesProcesses = !grant.followsCleanEnd
            do throws(CoordinationError) {
                _ = try await base.release(unused)
                state.withLock { $0.held = nil }
            } catch let failure {
                told.reason += "; the slot could not be given back and expires by itself: \(failure)"
                state.withLock { state in
                    state.held = nil
                    state.uncertain.insert(number, at: 0)
                }
            }
            throw told
        }
    }

    // MARK: Refusals

    /// The state of the name when no slot was granted.
    private func refusal(_ name: String) -> ElectionState {
        let now = clock.now()
        let slots = state.withLock { state in
            (1...count).compactMap { number in
                state.refusals[number].map { refusal in
                    var slot = refusal.state
                    slot.remaining = slot.remaining.map { max($0 - now.duration(since: refusal.at), .zero) }
                    return slot
                }
            }
        }
        var refusal = ElectionState(name: name, slots: slots)
        refusal.refusal = slots.lazy.compactMap(\.refusal).first
        return refusal
    }

    // MARK: Holding

    public func renew(_ grant: Grant) async throws(CoordinationError) -> RenewAnswer { try await base.renew(grant) }

    public func release(_ grant: Grant) async throws(CoordinationError) -> ReleaseAnswer {
        let number = number(grant.name)
        do throws(CoordinationError) {
            let answer = try await base.release(grant)
            state.withLock { state in
                if state.held == number { state.held = nil }
                state.uncertain.removeAll { $0 == number }
                if let number, grant.leavesProcesses { state.avoided.insert(number) }
            }
            return answer
        } catch {
            state.withLock { state in
                if let number, grant.leavesProcesses { state.avoided.insert(number) }
            }
            throw error
        }
    }

    /// The slot that is held, or else one that might be; otherwise the name by the states of all its slots.
    public func read(_ name: String) async throws(CoordinationError) -> ElectionState {
        let (held, uncertain) = state.withLock { ($0.held, $0.uncertain) }
        if let held { return try await base.read(self.name(held, of: name)) }
        var slots: [ElectionState] = []
        for number in uncertain.isEmpty ? Array(1...count) : uncertain {
            let slot = try await base.read(self.name(number, of: name))
            if slot.isLed, slot.isOwn == true { return slot }
            slots.append(slot)
        }
        // Of one alone, the caller decides whether it is ours.
        return slots.count == 1 ? slots[0] : slots.first { $0.isLed && !uncertain.isEmpty } ?? ElectionState(name: name, slots: slots)
    }

    public func changes(of names: [String], withRenewals: Bool) -> AsyncThrowingStream<ElectionState, any Error> {
        base.changes(of: names, withRenewals: withRenewals)
    }

    // MARK: Waiting

    /// The time for taking places in queues. Called off before that, some would have to be taken again; a turn that comes meanwhile waits for its end.
    private static let timeToEnter: Duration = .milliseconds(30)

    /// Waits for all slots at the same time, until the queue of one of them reports our turn.
    public func waitForTurn(
        _ request: AcquireRequest, behind blocker: ElectionState, until deadline: BootInstant
    ) async throws(CoordinationError) {
        await left()
        let begunAt = clock.now()
        var blockers: [Int: ElectionState] = [:]
        for slot in blocker.slots { if let number = number(slot.name) { blockers[number] = slot } }
        let result = await withTaskGroup(of: (Int, CoordinationError?)?.self) { group in
            for number in 1...count {
                let asked = self.request(number, request)
                let blocker = blockers[number] ?? ElectionState(name: asked.name, phase: .unknown)
                state.withLock { _ = $0.entered.insert(number) }
                group.addTask {
                    do throws(CoordinationError) {
                        try await self.base.waitForTurn(asked, behind: blocker, until: deadline)
                        return (number, nil)
                    } catch { return (number, error) }
                }
            }
            var turns: [Int] = []
            var failure: CoordinationError?
            var isOver = false
            while let next = await group.next() {
                switch next {
                case (let number, nil)?: if !isOver { turns.append(number) }
                case (_, let error?)?: if !isOver { failure = failure ?? error }
                case nil: isOver = true
                }
                if isOver || failure != nil || clock.now() >= begunAt + Self.timeToEnter {
                    isOver = true
                    group.cancelAll()
                } else if turns.count == 1 {
                    group.addTask {
                        try? await self.clock.sleep(until: begunAt + Self.timeToEnter)
                        return nil
                    }
                }
            }
            return (turns: turns, failure: failure)
        }
        // The last try before the deadline is for all slots.
        let turns = clock.now() < deadline ? result.turns.sorted() : []
        state.withLock { $0.turns = turns }
        if result.turns.isEmpty, let failure = result.failure { throw failure }
    }

    public func leaveQueue(_ request: AcquireRequest) async -> CoordinationError? {
        await left()
        return await leave(request, except: nil)
    }

    /// Returns when no queue is being left beside the last grant.
    private func left() async {
        let task = state.withLock { state in
            defer { state.leaving = nil }
            return state.leaving
        }
        await task?.value
    }

    /// The longest time that a grant waits until the places in the queues of other slots are left.
    private static let timeToLeave: Duration = .seconds(1)

    /// Leaves the queues of the other slots. What takes longer than the grant can wait goes on beside it.
    private func leaveOthers(_ request: AcquireRequest) async {
        let held = state.withLock { $0.held }
        guard state.withLock({ $0.entered.contains { $0 != held } }) else { return }
        let left = Bell()
        let task = Task(executorPreference: executor) {
            // What cannot be left is tried again at the end of the campaign, and expires by itself.
            _ = await self.leave(request, except: held)
            left.ring()
        }
        state.withLock { $0.leaving = task }
        await left.wait(until: clock.now() + min(request.ttl / 4, Self.timeToLeave), clock)
    }

    /// Gives up all places in queues and all leases that requests without an answer brought, except for one slot.
    /// - Returns: an error if something could not be given up and has to expire.
    private func leave(_ request: AcquireRequest, except held: Int?) async -> CoordinationError? {
        let (entered, uncertain) = state.withLock { ($0.entered.filter { $0 != held }.sorted(), Set($0.uncertain)) }
        return await withTaskGroup(of: (Int, CoordinationError?).self) { group in
            for number in entered {
                let asked = self.request(number, request)
                group.addTask {
                    let failure = await self.base.leaveQueue(asked)
                    return (number, uncertain.contains(number) ? await self.giveBack(asked) ?? failure : failure)
                }
            }
            var failure: CoordinationError?
            for await (number, error) in group {
                failure = failure ?? error
                if error == nil {
                    state.withLock { state in
                        state.entered.remove(number)
                        state.uncertain.removeAll { $0 == number }
                    }
                }
            }
            return failure
        }
    }

    /// Releases a slot that a request without an answer, or a lost lease, has left to us.
    private func giveBack(_ request: AcquireRequest) async -> CoordinationError? {
        do throws(CoordinationError) {
            let found = try await base.read(request.name)
            // A holder whose liveness lock is held is another process with the same identity.
            guard found.phase == .held, found.leader == request.identity, found.alive != true else { return nil }
            // A request that failed before it was sent has left nothing. Another process can have this identity, as all of one host on NATS have, and all
            // of one pod on Kubernetes: what is not known to be ours expires by itself.
            guard found.isOwn ?? Identity.isOurAlone(request.identity) else { return nil }
            var grant = Grant(
                name: found.name, identity: request.identity, token: found.token, termID: found.termID, details: found.details,
                ttl: request.ttl, deadline: clock.now() + request.ttl, acquiredAt: found.acquiredAt ?? .now(), expiresAt: .now())
            grant.leavesProcesses = true
            _ = try await base.release(grant)
            return nil
        } catch { return error }
    }
}
