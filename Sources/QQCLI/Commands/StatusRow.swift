import QQCore

/// An election as `status` shows it. Pure.
struct StatusRow: Sendable {
    let state: ElectionState
    let isMine: Bool
    var advice: BackoffAdvice?
    /// The number of the slot, in a row below that of its name.
    var slot: Int?
    /// The rows of all slots, if the name has slots.
    var slots: [StatusRow] = []

    /// The optional columns of a table.
    struct Columns: Sendable {
        /// The columns of the system.
        let own: [StatusColumn]
        let areQueued: Bool
        let areAdvised: Bool
        /// Whether any row has a note.
        let areNoted: Bool

        var heading: [String] {
            ["ELECTION", "LEADER", "SINCE", "EXPIRES", "TOKEN"] + own.map(\.heading) + (areQueued ? ["WAITING"] : [])
                + (areAdvised ? ["ASK AGAIN"] : []) + (areNoted ? ["NOTE"] : [])
        }
    }

    /// The tab-separated record for programs.
    /// - Parameter columns: the columns of the system.
    func record(_ columns: [StatusColumn]) -> [String?] {
        var record = [
            state.name, state.phase.rawValue, state.phase == .free ? nil : state.leaders, state.tokens,
            state.remaining.map { Rendering.seconds($0) },
        ]
        record += columns.map { $0.plain(state) }
        if let advice {
            record += [advice.initial, advice.maximum].map { Rendering.seconds($0) } + ["\(advice.multiplier)", "\(advice.jitter)"]
        }
        if !slots.isEmpty { record += ["\(state.holdings.count)", "\(slots.count)"] }
        return record
    }

    /// The most slots of which free ones have a row, too.
    private static let mostShown = 8

    /// The rows of a table on a terminal: this one, and below it those of its slots.
    var shown: [StatusRow] { [self] + slots.filter { slots.count <= Self.mostShown || $0.state.phase != .free } }

    /// The row of a table on a terminal.
    func cells(_ columns: Columns, at now: WallTime) -> [Output.Cell] {
        var cells: [Output.Cell] = [
            slot.map { .init("  slot \($0)") } ?? .init(state.name, .strong), leader,
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
        if columns.areNoted { cells.append(.init(note)) }
        return cells
    }

    /// The leader's note; a name with several slots has none, but its slots have.
    var note: String? { state.isLed ? state.note : nil }

    private var leader: Output.Cell {
        if slots.count > 0, state.phase != .unknown {
            return .init(SlotText.held(state) + (isMine ? " (one is ours)" : ""), state.isLed ? .good : .faint)
        }
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
