import Glibc
import QQCore
import QQLoop
import Synchronization

extension Setup {
    /// `step-down NAME`: makes the current leader step down; of a name that several holders share, those that are meant.
    func stepDown() async throws -> Int32 {
        try coordinator.validate(name: name, identity: identity, ttl: ttl)
        let state = try await current(name)
        if state.phase == .unknown {
            try coordinator.capabilities.require(.stepDownOthers, for: "make another leader step down", at: server)
        }
        if let refusal = refusal(state) { return try tell(refusal, state) }
        let targets = try await targets(state)
        let results: [StepDownResult]
        switch try await makeStepDown(targets) {
        case .results(let found): results = found
        case .signalled(let number): return ExitCode.signal(number)
        }
        let done = zip(targets, results).compactMap { target, result in if case .done = result { target } else { nil } }
        for target in done where target.isOurs {
            if let saved = try GrantStore().load(name: target.state.name, server: server) { GrantStore().forget(saved, server: server) }
        }
        return try report(results, done, state)
    }

    /// The state of the name. Slots that were found in a list are read again, because a list leaves out details of terms.
    private func current(_ name: String) async throws(CoordinationError) -> ElectionState {
        let state = try onlyState(try await states(of: name), of: name)
        guard !state.slots.isEmpty, invocation[Flags.slotsToRead] == nil else { return state }
        return ElectionState(name: name, slots: try await readAll(state.slots.map(\.name)))
    }

    /// Whether another node is asked to step down, without force.
    private var isAsking: Bool { invocation[Flags.node] != nil && !invocation[Flags.force] }

    // MARK: Who is meant

    /// A term that has to end.
    private struct Target: Sendable {
        /// The state of the election, which can be a slot.
        let state: ElectionState
        let isOurs: Bool
        /// The number of the slot; nil for an election without slots.
        let slot: Int?

        var leader: String { Printable.text(state.leader ?? "a command whose lease was removed") }
    }

    /// Whether the flags mean the leader of an election or a slot.
    private func isMeant(_ holding: ElectionState) -> Bool {
        if let node = invocation[Flags.node], node != holding.leader { return false }
        return invocation[Flags.token].map { $0 == holding.token?.value } ?? true
    }

    /// The reason why no leader has to step down; nil if one has to.
    private func refusal(_ state: ElectionState) -> String? {
        guard state.isLed else { return "nobody leads" }
        if state.holdings.contains(where: { isMeant($0) }) { return nil }
        let held =
            state.slots.isEmpty
            ? Rendering.sentence(state) : "held in \(SlotText.held(state)), by \(SlotText.leaders(state.holdings))"
        if let node = invocation[Flags.node], !state.holdings.contains(where: { $0.leader == node }) {
            return "it is \(held), not by \(node)"
        }
        return "it is \(held): another term than \(invocation[Flags.token] ?? 0)"
    }

    /// The terms that have to end, once the user has confirmed that those of others should. Without a flag that means others, only our own slots.
    private func targets(_ state: ElectionState) async throws(CoordinationError) -> [Target] {
        let held =
            state.slots.isEmpty ? [(number: nil, state: state)] : state.heldSlots.map { (number: Int?.some($0.number), state: $0.state) }
        let meant = try held.filter { isMeant($0.state) }.map { slot throws(CoordinationError) in
            Target(state: slot.state, isOurs: try isOurs(slot.state), slot: slot.number)
        }
        let others = meant.filter { !$0.isOurs }
        if others.isEmpty || (others.count < meant.count && !isAsking && !invocation[Flags.force]) { return meant.filter(\.isOurs) }
        if isAsking {
            try coordinator.capabilities.require(
                .askNodeToStepDown, for: "ask \(others[0].state.leader ?? "the leader") to step down", at: server)
        } else {
            try coordinator.capabilities.require(.stepDownOthers, for: "make another leader step down", at: server)
        }
        try await confirm(others, of: state)
        return meant
    }

    /// Requires a confirmation that other leaders should step down: a flag, or the user's answer.
    /// - Throws: `.denied` without a confirmation.
    private func confirm(_ others: [Target], of state: ElectionState) async throws(CoordinationError) {
        let leaders = others.count == 1 ? others[0].leader : Printable.text(SlotText.leaders(others.map(\.state)))
        let name = Printable.text(state.name)
        func denied(_ reason: String, _ hint: String) -> CoordinationError {
            CoordinationError(.denied, "left \(state.name) alone", because: reason, at: server.description, hint: hint)
        }
        guard invocation[Flags.force] || isAsking else {
            let asking = coordinator.capabilities.has(.askNodeToStepDown) ? "add --node \(others[0].leader) to ask it, or " : "add "
            guard others.count > 1 else {
                throw denied("it is held by \(leaders), which is not us", asking + "--force to make it step down")
            }
            throw denied("it is held by \(leaders), and none of them is us", asking + "--force to make all of them step down")
        }
        if invocation[Flags.yes] { return }
        guard isatty(0) == 1, isatty(1) == 1 else { throw denied("not confirmed", "add --yes if there is no terminal to ask on") }
        // Show no progress line until the question is answered.
        progress?.end()
        messages.ask("Make \(leaders) step down from \(name)? This ends \(others.count == 1 ? "its" : "their") work. [y/N] ")
        // The answer is read without blocking, because a session continues to renew its leases.
        guard Question.isYes(await Question.answer(on: loop)) else {
            throw denied("not confirmed", "answer y, or add --yes")
        }
        // The progress line does not count the time that the user took to answer.
        progress?.wait(for: WaitingText.asking(server), anew: true)
    }

    // MARK: Reports

    private func tell(_ reason: String, _ state: ElectionState) throws(CoordinationError) -> Int32 {
        if output.form == .json { try output.print(json: Schemas.steppedDown(false, state, server: server)) }
        messages.note("\(state.name): \(reason)")
        return ExitCode.no
    }

    /// Prints which terms have ended.
    /// - Parameter done: the targets whose terms have ended.
    /// - Returns: the exit code of the first target that has not stepped down; else yes.
    /// - Throws: the error of the first target that has not stepped down, if there was an error.
    private func report(_ results: [StepDownResult], _ done: [Target], _ state: ElectionState) throws -> Int32 {
        guard !state.slots.isEmpty else {
            switch results.first {
            case .no(let reason, let now): return try tell(reason, now)
            case .failed(let error): throw error
            case .done, nil: break
            }
            switch output.form {
            case .json: try output.print(json: Schemas.steppedDown(true, state, server: server))
            case .terminal: try output.print(output.color("stepped down", .good) + " \(Printable.text(state.leader ?? "")) from \(name)")
            case .plain: try output.print(record: [name, "stepped-down", state.leader])
            }
            return ExitCode.yes
        }
        let isDone = done.count == results.count
        switch output.form {
        case .json: try output.print(json: Schemas.steppedDown(isDone, state, slots: Set(done.compactMap(\.slot)), server: server))
        case .terminal:
            for target in done {
                try output.print(
                    output.color("stepped down", .good)
                        + " \(target.leader) from \(Printable.text(name)), slot \(target.slot ?? 0) of \(state.slots.count)")
            }
        case .plain:
            for target in done { try output.print(record: [name, "stepped-down", target.state.leader, target.slot.map { String($0) }]) }
        }
        var first: StepDownResult?
        for result in results {
            if case .done = result { continue }
            // The first error is reported at the end, as that of the command.
            if case .no(let reason, let now) = result { messages.note("\(now.name): \(reason)") }
            if case .failed(let error as CoordinationError) = result, first != nil { messages.error(error) }
            first = first ?? result
        }
        if case .failed(let error)? = first { throw error }
        return isDone ? ExitCode.yes : ExitCode.no
    }

    // MARK: Stepping down

    private enum StepDownResult: Sendable {
        case done
        /// The leader has not stepped down, and why; the state now.
        case no(String, ElectionState)
        case failed(any Error)
    }

    private enum StepDownEnd: Sendable {
        /// One for each target.
        case results([StepDownResult])
        case signalled(Int32)
    }

    /// Makes all targets step down, at the same time.
    private func makeStepDown(_ targets: [Target]) async throws -> StepDownEnd {
        let answers = await concurrently(targets) { target in
            await result { () throws(CoordinationError) in
                var seen = target.state
                if target.isOurs { seen.isOwn = true }
                return try await retrying { [seen] () throws(CoordinationError) in
                    try await coordinator.askToStepDown(seen, by: identity, byForce: target.isOurs || invocation[Flags.force])
                }
            }
        }
        let areOutlasted = answers.contains { if case .success(.outlast) = $0 { true } else { false } }
        // A signal ends all other waits as it ends any command.
        let signals = areOutlasted ? try stopSignals() : nil
        let asked = Array(zip(targets, answers))
        let holding = HeldElections()
        return try await withThrowingTaskGroup(of: StepDownEnd.self) { group in
            defer { group.cancelAll() }
            group.addTask {
                .results(
                    await concurrently(asked, atMost: Slot.most) { target, answer in
                        do { return try await finish(try answer.get(), target.state, holding) } catch { return .failed(error) }
                    })
            }
            if let signals {
                group.addTask {
                    guard let number = try? await signals.next() else {
                        try await loop.sleep(until: .distantFuture)
                        throw CancellationError()
                    }
                    return .signalled(number)
                }
            }
            let first = try await group.next() ?? .results([])
            if case .signalled = first {
                for (state, outlasting) in holding.all {
                    messages.note(
                        "\(Printable.text(state.leader ?? "the leader")) might still work: the lease of \(state.name) is left to expire, within \(DurationText.brief(outlasting.ttl))"
                    )
                }
            }
            return first
        }
    }

    /// Waits until the term of `state` has ended, after the answer of the system.
    private func finish(_ answer: StepDownAnswer, _ state: ElectionState, _ holding: HeldElections) async throws -> StepDownResult {
        switch answer {
        case .done: return .done
        case .changed(let now): return .no("the leader has changed since it was read: it is \(Rendering.sentence(now))", now)
        case .outlast(let outlasting):
            guard case .changed(let now) = try await outlast(outlasting, state, holding) else { return .done }
            return .no("it was taken back before the leader must have stopped: it is \(Rendering.sentence(now))", now)
        case .asked:
            let leader = state.leader ?? "the leader"
            progress?.wait(for: "\(state.name): \(leader) was asked to step down, waiting until it does", anew: true)
            let limit = invocation[Flags.stepDownWait] ?? (state.remaining ?? ttl) + .seconds(1)
            guard try await hasLetGo(state, within: limit) else {
                throw CoordinationError(
                    .timedOut, "\(leader) has been asked to step down from \(state.name), and has not done so yet",
                    because: "waited \(DurationText.brief(limit))", at: server.description,
                    hint: "it steps down when its lease expires, at the latest")
            }
            return .done
        }
    }

    /// Holds the election until the leader must have stopped.
    private func outlast(_ outlasting: Outlasting, _ state: ElectionState, _ holding: HeldElections) async throws -> StepDownAnswer {
        let leader = Printable.text(state.leader ?? "the leader")
        messages.note(
            "\(leader) works until it notices that it has lost \(state.name): \(Printable.text(outlasting.identity)) holds it until then, which takes up to \(DurationText.brief(outlasting.duration))"
        )
        defer { holding.remove(state) }
        return try await outlasting.run { stage in
            switch stage {
            case .asking(let limit):
                progress?.wait(
                    for: "\(state.name): \(leader) was asked to step down, waiting up to \(DurationText.brief(limit))", anew: true)
            case .holding(let length):
                holding.add(state, outlasting)
                progress?.wait(
                    for: "\(state.name): holding it for \(DurationText.brief(length)), until \(leader) must have stopped", anew: true)
            }
        }
    }

    private func hasLetGo(_ state: ElectionState, within limit: Duration) async throws -> Bool {
        let loop = loop
        let outage = Outage { event in messages.note(event.told) }
        return try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                var isHidden = false
                let hasLetGo = try await coordinator.follow([state.name], on: loop, pause: .seconds(1)) { error in
                    guard let error = error as? CoordinationError, error.isTransient, !Task.isCancelled else { throw error }
                    isHidden = true
                    try outage.begins(error)
                } take: { now -> Bool? in
                    if isHidden { try outage.ends(at: server) }
                    isHidden = false
                    return !now.isLed || !now.isSameTerm(as: state) ? true : nil
                }
                return hasLetGo ?? false
            }
            group.addTask {
                try? await loop.sleep(for: limit)
                return false
            }
            let first = try await group.next() ?? false
            group.cancelAll()
            return first
        }
    }
}

/// The elections that this process holds to outlast their leaders.
private final class HeldElections: Sendable {
    private let held = Mutex<[String: (ElectionState, Outlasting)]>([:])

    var all: [(ElectionState, Outlasting)] { held.withLock { $0.values.sorted { $0.0.name < $1.0.name } } }

    func add(_ state: ElectionState, _ outlasting: Outlasting) { held.withLock { $0[state.name] = (state, outlasting) } }

    func remove(_ state: ElectionState) { held.withLock { _ = $0.removeValue(forKey: state.name) } }
}
