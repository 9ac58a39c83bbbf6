import QQCore

/// The output of `watch`.
protocol WatchDisplay: Sendable {
    /// - Throws: `.unavailable` if it cannot be written.
    func show(_ change: Change) throws(CoordinationError)

    /// Shows an event of the connection.
    func show(_ event: ConnectionEvent)

    /// Keeps the display up to date until the user leaves it.
    /// - Throws: `CancellationError`; `.unavailable` if nothing can be written.
    func run() async throws
}

extension ConnectionEvent {
    /// The text for the operator: `server leaving: n1:4222 is shutting down`.
    var told: String { kind == .notice ? text : kind.rawValue.split(separator: "_").joined(separator: " ") + ": " + text }
}

/// A line for each change.
struct LineDisplay: WatchDisplay {
    let output: Output
    let messages: Messages
    let server: ServerURL
    let clock: any LeaseClock

    func show(_ change: Change) throws(CoordinationError) {
        // A renewal is not a change of leadership.
        if change.kind == .renewed { return }
        switch output.form {
        case .json: try output.print(json: Schemas.event(change, server: server))
        case .plain where output.isForJournal: try output.print(entry: JournalText.change(change))
        case .plain: try output.print(record: Self.record(change))
        case .terminal:
            let color: Output.Color = change.changed.isLed ? .good : .warning
            try output.print(
                output.color(change.time.rfc3339(fractionDigits: 3), .faint) + "  "
                    + output.color(Printable.text(change.state.name), .strong) + "  " + output.color(change.word, color)
                    + (Self.leader(change).map { "  " + Printable.text($0) } ?? ""))
        }
    }

    /// The fields for programs.
    static func record(_ change: Change) -> [String?] {
        let state = change.changed
        let record = [
            change.time.rfc3339(fractionDigits: 3), change.state.name, change.kind.rawValue, state.isLed ? state.leaders : nil,
            state.tokens,
        ]
        guard !change.state.slots.isEmpty else { return record }
        return record + [change.slot.map { String($0) }, "\(change.state.holdings.count)", "\(change.state.slots.count)"]
    }

    /// The leader with its note and the token after a change, as a terminal shows them: `a/1/2f (build 417)  token 7`. Nil if there is none of them.
    static func leader(_ change: Change) -> String? {
        let parts = leaderParts(change)
        return parts.isEmpty ? nil : parts.joined(separator: "  ")
    }

    /// The leader, the token and the slots after a change, as far as there are any.
    static func leaderParts(_ change: Change) -> [String] {
        let state = change.changed
        var parts: [String] = []
        if state.slots.count > 1 {
            if state.isLed { parts.append(SlotText.leaders(state.holdings)) }
        } else {
            if state.isLed, let leader = state.leader { parts.append(leader + Rendering.noteInBrackets(state)) }
            if let token = state.token { parts.append("token \(token)") }
        }
        if !change.state.slots.isEmpty {
            parts.append("(" + (change.slot.map { "slot \($0); " } ?? "") + "\(SlotText.held(change.state)))")
        }
        return parts
    }

    func show(_ event: ConnectionEvent) {
        if event.kind == .notice { return messages.detail(event.told) }
        messages.note(event.told, at: .now())
    }

    func run() async throws { try await clock.sleep(until: .distantFuture) }
}
