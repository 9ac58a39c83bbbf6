import QQCore
import Synchronization

extension Setup {
    /// `release NAME`: releases the lease of the saved grant, or of `--id` and `--token`.
    func release() async throws -> Int32 {
        try contender().validate(name: name, identity: identity, ttl: ttl)
        if invocation[Flags.cancelWait] {
            return try await cancelWait(
                in: try coordinator.require(coordinator.serverQueue, .cancelWait, for: "leave the queue for \(name)"))
        }
        guard let grant = try await ourGrant(of: name) else {
            if output.form == .json {
                let state = slots == nil ? try await coordinator.read(name) : nil
                try output.print(json: Schemas.released(name, false, state, server: server))
            }
            let words = coordinator.capabilities.has(.fencingToken) ? "--id and --token" : "--id"
            try await tellNotOurs(name, orElse: "name the lease with \(words)")
            return ExitCode.no
        }
        let answer = try await answerToRelease(of: grant)
        GrantStore().forget(grant, server: server)
        switch answer {
        case .released:
            try printReleased(grant)
            return ExitCode.yes
        case .notHeld(let state):
            if output.form == .json {
                try output.print(json: Schemas.released(name, false, state, slot: slot(of: grant, as: name), server: server))
            }
            messages.note(
                coordinator.capabilities.has(.readLeader)
                    ? "\(title(name, grant)) is no longer ours: it is \(Rendering.sentence(state))"
                    : "\(title(name, grant)) is no longer held by \(Printable.text(grant.identity)); the server does not show whether it was"
            )
            return ExitCode.no
        }
    }

    /// Releases a grant. A try that ended without an answer might have been carried out: if a later one then finds that the lease is no longer held,
    /// it was released.
    private func answerToRelease(of grant: Grant) async throws(CoordinationError) -> ReleaseAnswer {
        let mightBeDone = Atomic(false)
        let answer = try await retrying { () throws(CoordinationError) in
            do throws(CoordinationError) { return try await coordinator.release(grant) } catch {
                if error.isUncertain { mightBeDone.store(true, ordering: .relaxed) }
                throw error
            }
        }
        if case .notHeld = answer, mightBeDone.load(ordering: .relaxed) { return .released }
        return answer
    }

    /// Reports why no lease is ours: with `--id`, who holds the election; without `--id`, that no grant is saved, and the hint.
    func tellNotOurs(_ name: String, orElse hint: String) async throws(CoordinationError) {
        guard let identity = invocation[Flags.id] else { return messages.note("\(name) is not ours: no grant is saved for it; \(hint)") }
        if let slots { return messages.note("none of the \(slots) slots of \(name) is held by \(identity)") }
        let state = try await retrying { () throws(CoordinationError) in try await coordinator.read(name) }
        messages.note("\(name) is not held by \(identity): it is \(Rendering.sentence(state))")
    }

    /// - Parameter grant: the grant that was released; nil if it is not known.
    func printReleased(_ grant: Grant?) throws(CoordinationError) {
        let slot = grant.flatMap { self.slot(of: $0, as: name) }
        switch output.form {
        case .json: try output.print(json: Schemas.released(name, true, nil, slot: slot, server: server))
        case .terminal: try output.print(output.color("released", .good) + " \(title(name, grant))")
        case .plain:
            var record: [String?] = [name, "released"]
            if let slot { record.append(String(slot.number)) }
            try output.print(record: record)
        }
    }

    /// `release NAME --cancel-wait --id ID`.
    private func cancelWait(in queue: any ServerQueue) async throws -> Int32 {
        var wasThere = false
        var elections = [name]
        if let slots { elections = Slot.all(slots, of: name).map { coordinator.name(of: $0) } }
        for election in elections {
            let wasInThisOne = try await retrying { () throws(CoordinationError) -> Bool in
                try await queue.cancelWait(name: election, identity: identity)
            }
            wasThere = wasThere || wasInThisOne
        }
        switch output.form {
        case .json:
            let state = slots == nil ? try? await coordinator.read(name) : nil
            try output.print(json: Schemas.released(name, wasThere, state, server: server))
        case .terminal where wasThere: try output.print(output.color("left the queue", .good) + " for \(name)")
        case .plain where wasThere: try output.print(record: [name, "left-queue"])
        case .terminal, .plain: break
        }
        if !wasThere { messages.note("\(Printable.text(identity)) is not waiting for \(name)") }
        return wasThere ? ExitCode.yes : ExitCode.no
    }

    /// Our term: the one of `--id` and `--token`, or of the saved grant if there is no `--id`; nil if there is none. With `--slots` it is that of a slot, and
    /// without it as well if only grants of slots are saved.
    func ourGrant(of name: String) async throws(CoordinationError) -> Grant? {
        guard let identity = invocation[Flags.id] else {
            if slots == nil, let saved = try GrantStore().load(name: name, server: server) { return saved }
            return try savedSlot(of: name)
        }
        if let slots { return try await heldSlot(of: name, slots, by: identity) }
        return try await grant(of: name, by: identity)
    }

    /// The term of an election that an identity holds, by `--token` or by reading; nil if it holds none.
    func grant(of name: String, by identity: String) async throws(CoordinationError) -> Grant? {
        var token = invocation[Flags.token].map { FencingToken($0) }
        let state = try await retrying { () throws(CoordinationError) in try await coordinator.read(name) }
        // A system that does not show who leads has no tokens either. The identity must suffice.
        let isTold = coordinator.capabilities.has(.readLeader)
        if token == nil, isTold {
            guard state.leader == identity else { return nil }
            token = state.token
        }
        let ttl = state.ttl ?? ttl
        let isPresent = state.leader == identity && state.token == token
        let remaining = isTold || isPresent ? state.remaining : nil
        return Grant(
            name: name, identity: identity, token: token, termID: isPresent ? state.termID : nil,
            details: isPresent ? state.details : [], ttl: ttl, deadline: loop.now() + (remaining ?? .zero),
            acquiredAt: state.acquiredAt ?? .now(),
            expiresAt: .now() + (remaining ?? .zero))
    }
}
