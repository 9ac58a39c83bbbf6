import Glibc
import QQCore
import QQLoop

extension Setup {
    /// `step-down NAME`: makes the current leader step down.
    func stepDown() async throws -> Int32 {
        try coordinator.validate(name: name, identity: identity, ttl: ttl)
        let state = try await retrying { () throws(CoordinationError) in try await coordinator.read(name) }
        if state.phase == .unknown {
            try coordinator.capabilities.require(.stepDownOthers, for: "make another leader step down", at: server)
        }
        if let refusal = refusal(state) { return try tell(refusal, state) }
        let isOurs = try isOurs(state)
        if !isOurs {
            if isAsking {
                try coordinator.capabilities.require(
                    .askNodeToStepDown, for: "ask \(state.leader ?? "the leader") to step down", at: server)
            } else {
                try coordinator.capabilities.require(.stepDownOthers, for: "make another leader step down", at: server)
            }
            try await confirm(state)
        }
        let byForce = isOurs || invocation[Flags.force]
        switch try await retrying({ () throws(CoordinationError) in
            try await coordinator.askToStepDown(state, by: identity, byForce: byForce)
        })
        {
        case .done: break
        case .changed(let now): return try tell("the leader has changed since it was read: it is \(Rendering.sentence(now))", now)
        case .asked:
            progress?.wait(for: "\(name): \(state.leader ?? "the leader") was asked to step down, waiting until it does", anew: true)
            let limit = invocation[Flags.stepDownWait] ?? (state.remaining ?? ttl) + .seconds(1)
            guard try await hasLetGo(state, within: limit) else {
                throw CoordinationError(
                    .timedOut, "\(state.leader ?? "the leader") has been asked to step down from \(name), and has not done so yet",
                    because: "waited \(DurationText.brief(limit))", at: server.description,
                    hint: "it steps down when its lease expires, at the latest")
            }
        }
        if isOurs, let saved = try GrantStore().load(name: name, server: server) { GrantStore().forget(saved, server: server) }
        switch output.form {
        case .json: try output.print(json: Schemas.steppedDown(true, state, server: server))
        case .terminal: try output.print(output.color("stepped down", .good) + " \(Printable.text(state.leader ?? "")) from \(name)")
        case .plain: try output.print(record: [name, "stepped-down", state.leader])
        }
        return ExitCode.yes
    }

    /// Whether another node is asked to step down, without force.
    private var isAsking: Bool { invocation[Flags.node] != nil && !invocation[Flags.force] }

    /// The reason why no leader has to step down; nil if one has to.
    private func refusal(_ state: ElectionState) -> String? {
        guard state.isLed else { return "nobody leads" }
        if let node = invocation[Flags.node], node != state.leader { return "it is \(Rendering.sentence(state)), not by \(node)" }
        if let token = invocation[Flags.token], token != state.token?.value {
            return "it is \(Rendering.sentence(state)): another term than \(token)"
        }
        return nil
    }

    private func tell(_ reason: String, _ state: ElectionState) throws(CoordinationError) -> Int32 {
        if output.form == .json { try output.print(json: Schemas.steppedDown(false, state, server: server)) }
        messages.note("\(state.name): \(reason)")
        return ExitCode.no
    }

    /// Requires a confirmation that another leader should step down: a flag, or the user's answer.
    /// - Throws: `.denied` without a confirmation.
    private func confirm(_ state: ElectionState) async throws(CoordinationError) {
        let leader = Printable.text(state.leader ?? "a command whose lease was removed")
        func denied(_ reason: String, _ hint: String) -> CoordinationError {
            CoordinationError(.denied, "left \(state.name) alone", because: reason, at: server.description, hint: hint)
        }
        guard invocation[Flags.force] || isAsking else {
            let asking = coordinator.capabilities.has(.askNodeToStepDown) ? "add --node \(leader) to ask it, or " : "add "
            throw denied("it is held by \(leader), which is not us", asking + "--force to make it step down")
        }
        if invocation[Flags.yes] { return }
        guard isatty(0) == 1, isatty(1) == 1 else { throw denied("not confirmed", "add --yes if there is no terminal to ask on") }
        // Show no progress line until the question is answered.
        progress?.end()
        messages.ask("Make \(leader) step down from \(Printable.text(state.name))? This ends its work. [y/N] ")
        // The answer is read without blocking, because a session continues to renew its leases.
        guard Question.isYes(await Question.answer(on: loop)) else {
            throw denied("not confirmed", "answer y, or add --yes")
        }
        // The progress line does not count the time that the user took to answer.
        progress?.wait(for: WaitingText.asking(server), anew: true)
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
