import QQCore

// Names that several holders share are read slot by slot, and shown as one election.
extension Setup {
    /// The states behind a name: its own, or those of its slots as one. Slots are read if `--slots` gives their number, and looked for if the name has no
    /// leader of its own. A name whose contenders disagree on the number of slots has a state for each number.
    func states(of name: String) async throws(CoordinationError) -> [ElectionState] {
        if let count = invocation[Flags.slotsToRead] { return [try await readSlots(count, of: name)] }
        let own = try await retrying { () throws(CoordinationError) in try await coordinator.read(name) }
        if own.isLed { return [own] }
        let groups = try await retrying { () throws(CoordinationError) in try await slotGroups(of: name) }
        // A last holder says more than slots without any.
        let isShown = own.phase != .expired || groups.contains { $0.isLed }
        return groups.isEmpty || !isShown ? [own] : groups
    }

    /// The slots of a name as the server lists them, a state for each number of slots that its contenders have given; empty if there are none, or if this
    /// system or this user cannot list elections.
    func slotGroups(of name: String) async throws(CoordinationError) -> [ElectionState] {
        guard coordinator.slot(named: name) == nil, coordinator.capabilities.has(.listElections), let lister = coordinator.lister else {
            return []
        }
        let found: [ElectionState]
        do throws(CoordinationError) {
            found = try await lister.list(ElectionFilter(name: name))
        } catch {
            // The name itself was read. An outage in between is none of a list that cannot be had.
            if error.isTransient { throw error }
            messages.detail("\(error); slots of \(name) are not looked for")
            return []
        }
        return coordinator.grouped(found.filter { coordinator.slot(named: $0.name)?.election == name })
    }

    /// Reads all slots of a name.
    func readSlots(_ count: Int, of name: String) async throws(CoordinationError) -> ElectionState {
        ElectionState(name: name, slots: try await readAll(try slotNames(count, of: name)))
    }

    /// The names of the elections that are the slots of a name.
    func slotNames(_ count: Int, of name: String) throws(CoordinationError) -> [String] {
        if let slot = coordinator.slot(named: name) {
            throw CoordinationError(
                .usage, "cannot read slots of \(Printable.text(name))",
                because: "it is slot \(slot.number) of \(Printable.text(slot.election))",
                hint: "leave --slots out, or name \(Printable.text(slot.election))")
        }
        let names = Slot.all(count, of: name).map { coordinator.name(of: $0) }
        // The last name is the longest.
        if let last = names.last { try coordinator.validate(name: last, identity: "status", ttl: ttl) }
        return names
    }

    /// Reads elections, several at a time.
    func readAll(_ names: [String]) async throws(CoordinationError) -> [ElectionState] {
        guard let first = names.first else { return [] }
        // A server that does not answer is told of once, not once for each election.
        var found = [try await retrying { () throws(CoordinationError) in try await coordinator.read(first) }]
        let others = await concurrently(names.dropFirst()) { name in
            await result { () throws(CoordinationError) in
                try await retrying { () throws(CoordinationError) in try await coordinator.read(name) }
            }
        }
        for answer in others { found.append(try answer.get()) }
        return found
    }

    /// The one state of a name for a command that acts on it.
    /// - Throws: `CoordinationError` if the contenders of the name disagree on the number of slots.
    func onlyState(_ states: [ElectionState], of name: String) throws(CoordinationError) -> ElectionState {
        if let only = states.first, states.count == 1 { return only }
        let counts = states.map { String($0.slots.count) }
        throw CoordinationError(
            .usage, "cannot tell which slots of \(Printable.text(name)) are meant",
            because: "contenders have given \(Systems.list(counts)) slots", at: server.description,
            hint: "add --slots N to choose one number")
    }
}

/// Applies `body` to all items, a limited number at a time, neither one by one nor all together.
/// - Returns: the answers in the order of the items.
func concurrently<Items: Collection & Sendable, Answer: Sendable>(
    _ items: Items, atMost limit: Int = 16, _ body: @escaping @Sendable (Items.Element) async -> Answer
) async -> [Answer] where Items.Element: Sendable {
    await withTaskGroup(of: (Int, Answer).self) { group in
        var answers: [Answer?] = items.map { _ in nil }
        for (index, item) in items.enumerated() {
            if index >= limit, let (done, answer) = await group.next() { answers[done] = answer }
            group.addTask { (index, await body(item)) }
        }
        for await (done, answer) in group { answers[done] = answer }
        return answers.compactMap { $0 }
    }
}

/// The answer of a request, or its error.
func result<Answer: Sendable>(
    _ request: () async throws(CoordinationError) -> Answer
) async -> Result<Answer, CoordinationError> {
    do throws(CoordinationError) { return .success(try await request()) } catch { return .failure(error) }
}
