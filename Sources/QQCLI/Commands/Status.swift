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
        if names.isEmpty {
            let lister = try coordinator.require(coordinator.lister, .listElections, for: "list elections")
            let filter = filter
            states = try await retrying { () throws(CoordinationError) in try await lister.list(filter) }
        } else {
            for name in names { states.append(try await retrying { () throws(CoordinationError) in try await coordinator.read(name) }) }
        }
        states = states.filter { filter.admits($0) }
        let mine = try states.map { state throws(CoordinationError) in try isOurs(state) }
        var page = zip(states, mine).map { StatusRow(state: $0, isMine: $1) }.dropFirst(invocation[Flags.offset] ?? 0)
            .prefix(invocation[Flags.limit] ?? .max)
        if let advisor {
            for index in page.indices {
                let name = page[index].state.name
                page[index].advice = try await retrying { () throws(CoordinationError) in try await advisor.backoffAdvice(name) }
            }
        }
        try show(Array(page), isList: names.count != 1)
        if let problem = states.compactMap(\.problem).first { throw problem }
        let wanted = zip(states, mine).map { state, mine in invocation[Flags.mine] ? mine : state.isLed }
        // A list is always a yes, except with --mine: then it is a yes only if a lease in it is ours.
        if names.isEmpty { return invocation[Flags.mine] && !wanted.contains(true) ? ExitCode.no : ExitCode.yes }
        if !invocation[Flags.mine], states.contains(where: { $0.phase == .unknown }) {
            try coordinator.capabilities.require(.readLeader, for: "show who leads an election that is not ours", at: server)
        }
        return wanted.allSatisfy { $0 } ? ExitCode.yes : ExitCode.no
    }

    private var filter: ElectionFilter {
        ElectionFilter(
            name: invocation[Flags.match], leader: invocation[Flags.owner], isLed: invocation[Flags.held],
            isContested: invocation[Flags.contested], endsWithin: invocation[Flags.expiresWithin])
    }

    /// Whether the current term is ours: held under `--id`, under a saved grant, or by the guarded command that runs this process.
    func isOurs(_ state: ElectionState) throws(CoordinationError) -> Bool {
        guard state.isLed, let leader = state.leader else { return false }
        if let givenIdentity { return leader == givenIdentity }
        if variable("QQ_NAME") == state.name, variable("QQ_SERVER") == server.description, variable("QQ_ID") == leader,
            variable("QQ_TOKEN") == state.token?.description ?? ""
        {
            return true
        }
        return try GrantStore().load(name: state.name, server: server).map { state.isTerm(of: $0) } ?? false
    }

    private func show(_ rows: [StatusRow], isList: Bool) throws(CoordinationError) {
        switch output.form {
        case .json:
            let values = rows.map { Schemas.election($0.state, mine: $0.isMine, advice: $0.advice) }
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
                messages.note("no elections at \(server)")
                return
            }
            let columns = StatusRow.Columns(
                own: rows.contains { row in system.columns.contains { $0.text(row.state) != nil } } ? system.columns : [],
                areQueued: coordinator.capabilities.has(.waiterCount), areAdvised: invocation[Flags.advice])
            let now = WallTime.now()
            try output.print(table: columns.heading, rows.map { $0.cells(columns, at: now) })
        }
    }
}
