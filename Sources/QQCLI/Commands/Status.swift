import Glibc
import QQCore

extension Setup {
    /// `status [NAME…]`: shows who leads.
    func status() async throws -> Int32 {
        for name in names { try coordinator.validate(name: name, identity: "status", ttl: ttl) }
        let advisor =
            invocation[Flags.advice]
            ? try coordinator.require(coordinator.serverQueue, .backoffAdvice, for: "show how long to wait") : nil
        if invocation[Flags.contested] { try coordinator.capabilities.require(.waiterCount, for: "show who waits", at: server) }
        guard !names.isEmpty || invocation[Flags.all] else {
            throw CoordinationError(.usage, "status: NAME is missing", because: "", hint: "name elections, or list them with --all")
        }
        var states: [ElectionState] = []
        if names.isEmpty { states = try await listed() }
        for name in names { states += try await self.states(of: name) }
        let isList = names.count != 1 || states.count > 1
        states = states.filter { filter.admits($0) }
        let problem = states.compactMap(\.problem).first
        var rows = try states.map { state throws(CoordinationError) in try row(state) }
        // The one object of JSON says itself whether it is ours.
        if invocation[Flags.mine], isList || output.form != .json { rows = rows.filter(\.isMine) }
        var page = rows.dropFirst(invocation[Flags.offset] ?? 0).prefix(invocation[Flags.limit] ?? .max)
        if let advisor {
            for index in page.indices {
                let name = page[index].state.slots.first?.name ?? page[index].state.name
                page[index].advice = try await retrying { () throws(CoordinationError) in try await advisor.backoffAdvice(name) }
            }
        }
        try show(Array(page), isList: isList)
        if let problem { throw problem }
        // A list is always a yes, except with --mine: then it is a yes only if a lease in it is ours.
        if names.isEmpty { return invocation[Flags.mine] && rows.isEmpty ? ExitCode.no : ExitCode.yes }
        if !invocation[Flags.mine], states.contains(where: { $0.phase == .unknown }) {
            try coordinator.capabilities.require(.readLeader, for: "show who leads an election that is not ours", at: server)
        }
        // A named election that a filter leaves out is a no. A name whose contenders disagree on the number of slots has several rows.
        let wanted = Set(rows.filter { invocation[Flags.mine] ? $0.isMine : $0.state.isLed }.map(\.state.name))
        return wanted.count == names.count ? ExitCode.yes : ExitCode.no
    }

    /// The elections of the server that the filter might admit.
    private func listed() async throws(CoordinationError) -> [ElectionState] {
        let lister = try coordinator.require(coordinator.lister, .listElections, for: "list elections")
        let filter = filter
        let found = try await retrying { () throws(CoordinationError) in try await lister.list(filter) }
        let slots = Set(found.compactMap { coordinator.slot(named: $0.name) }.map { Slot(1, of: $0.count, election: $0.election) })
        let ofNames = ElectionFilter(name: filter.name)
        if slots.isEmpty || filter == ofNames { return coordinator.grouped(found) }
        // Slots beside those that the filter admits belong to their names as well.
        let all = try await retrying { () throws(CoordinationError) in try await lister.list(ofNames) }
        let plain = found.filter { coordinator.slot(named: $0.name) == nil }
        return coordinator.grouped(
            plain
                + all.filter { state in
                    coordinator.slot(named: state.name).map { slots.contains(Slot(1, of: $0.count, election: $0.election)) } ?? false
                })
    }

    private func row(_ state: ElectionState) throws(CoordinationError) -> StatusRow {
        guard !state.slots.isEmpty else { return StatusRow(state: state, isMine: try isOurs(state)) }
        let slots = try state.slots.enumerated().map { index, slot throws(CoordinationError) in
            StatusRow(state: slot, isMine: try isOurs(slot), slot: index + 1)
        }
        return StatusRow(state: state, isMine: slots.contains(where: \.isMine), slots: slots)
    }

    private var filter: ElectionFilter {
        let match = invocation[Flags.match]
        let isSelector = match.map { system.isLabelSelector($0) } ?? false
        return ElectionFilter(
            name: isSelector ? nil : match, labels: isSelector ? match : nil, leader: invocation[Flags.owner],
            isLed: invocation[Flags.held],
            isContested: invocation[Flags.contested], endsWithin: invocation[Flags.expiresWithin])
    }

    /// Whether the current term is ours: held under `--id`, under a saved grant, or by the guarded command that runs this process. Of a name with slots, one
    /// term has to be.
    func isOurs(_ state: ElectionState) throws(CoordinationError) -> Bool {
        for slot in state.slots where try isOurs(slot) { return true }
        guard state.slots.isEmpty, state.isLed, let leader = state.leader else { return false }
        if let givenIdentity { return leader == givenIdentity }
        if isGuarded(by: state.name), variable("QQ_SERVER") == server.description, variable("QQ_ID") == leader,
            variable("QQ_TOKEN") == state.token?.description ?? ""
        {
            return true
        }
        return try GrantStore().load(name: state.name, server: server).map { state.isTerm(of: $0) } ?? false
    }

    /// Whether this process was started by a command that runs under this election, or under this slot of a name.
    private func isGuarded(by election: String) -> Bool {
        guard let name = variable(Self.nameVariable) else { return false }
        if name == election { return true }
        guard let slot = coordinator.slot(named: election) else { return false }
        return name == slot.election && variable(Self.slotVariable) == String(slot.number)
    }

    private func show(_ rows: [StatusRow], isList: Bool) throws(CoordinationError) {
        for row in rows where row.state.otherSlotCounts.contains(where: { $0 > row.state.slots.count }) {
            let others = row.state.otherSlotCounts.map { String($0) }
            messages.note(
                "\(Printable.text(row.state.name)): contenders disagree on the number of slots: some have given \(row.state.slots.count), others \(Systems.list(others))"
            )
        }
        switch output.form {
        case .json:
            let values = rows.map { Schemas.election($0) }
            if !isList, let only = values.first {
                try output.print(json: only)
            } else {
                try output.print(
                    json: ["server": .string(server.description), "system": .string(server.system.name), "elections": .array(values)])
            }
        // All columns of the system, even empty ones, because scripts cut columns out by their number.
        case .plain: for row in rows { try output.print(record: row.record(system.columns)) }
        case .terminal:
            if rows.isEmpty {
                messages.note(
                    names.isEmpty
                        ? "no elections at \(server)" : "no match at \(server): \(names.map { Printable.text($0) }.joined(separator: ", "))"
                )
                return
            }
            let columns = StatusRow.Columns(
                own: rows.flatMap(\.shown).contains { row in system.columns.contains { $0.text(row.state) != nil } } ? system.columns : [],
                areQueued: coordinator.capabilities.has(.waiterCount), areAdvised: invocation[Flags.advice],
                areNoted: rows.flatMap(\.shown).contains { $0.note != nil })
            let now = WallTime.now()
            try output.print(table: columns.heading, rows.flatMap(\.shown).map { $0.cells(columns, at: now) })
        }
    }
}
