import QQCore

/// An election as `status` shows it. Pure.
struct StatusRow: Sendable {
    let state: ElectionState
    let isMine: Bool
    var advice: BackoffAdvice?

    /// The optional columns of a table.
    struct Columns: Sendable {
        /// The columns of the system.
        let own: [StatusColumn]
        let areQueued: Bool
        let areAdvised: Bool

        var heading: [String] {
            ["ELECTION", "LEADER", "SINCE", "EXPIRES", "TOKEN"] + own.map(\.heading) + (areQueued ? ["WAITING"] : [])
                + (areAdvised ? ["ASK AGAIN"] : [])
        }
    }

    /// The tab-separated record for programs.
    /// - Parameter columns: the columns of the system.
    func record(_ columns: [StatusColumn]) -> [String?] {
        var record = [
            state.name, state.phase.rawValue, state.phase == .free ? nil : state.leader, state.token?.description,
            state.remaining.map { Rendering.seconds($0) },
        ]
        record += columns.map { $0.text(state) }
        if let advice {
            record += [advice.initial, advice.maximum].map { Rendering.seconds($0) } + ["\(advice.multiplier)", "\(advice.jitter)"]
        }
        return record
    }

    /// The row of a table on a terminal.
    func cells(_ columns: Columns, at now: WallTime) -> [Output.Cell] {
        var cells: [Output.Cell] = [
            .init(state.name, .strong), leader,
            .init(state.isLed ? state.acquiredAt.map { DurationText.brief(max(now - $0, .zero)) + " ago" } : nil),
            .init(state.isLed ? state.remaining.map { "in " + DurationText.brief($0) } : nil, isEndingSoon ? .warning : nil),
            .init(state.token?.description),
        ]
        cells += columns.own.map { .init($0.text(state)) }
        if columns.areQueued { cells.append(.init(state.waiters.map { String($0) })) }
        if columns.areAdvised {
            cells.append(
                .init(advice.map { "after " + DurationText.brief($0.initial) + ", at most " + DurationText.brief($0.maximum) }))
        }
        return cells
    }

    private var leader: Output.Cell {
        if let problem = state.problem { return .init("broken: " + problem.reason, .bad) }
        switch state.phase {
        case .free: return .init("nobody", .faint)
        case .unknown: return .init("not us", .faint)
        case .expired: return .init("nobody (was \(state.leader ?? "?"))", .warning)
        case .held: return .init((state.leader ?? "a command whose lease was removed") + (isMine ? " (us)" : ""), .good)
        }
    }

    private var isEndingSoon: Bool {
        guard let remaining = state.remaining, let ttl = state.ttl else { return false }
        return remaining < ttl / 3
    }
}
