import QQCore

/// Where `watch` shows what it sees.
protocol WatchDisplay: Sendable {
    /// - Throws: `.unavailable` where nothing can be written.
    func show(_ change: Change) throws(CoordinationError)

    /// Something happened to the connection.
    func show(_ event: ConnectionEvent)

    /// Keeps what is shown up to date, until somebody at the terminal has seen enough.
    /// - Throws: `CancellationError`; `.unavailable` where nothing can be written.
    func run() async throws
}

extension ConnectionEvent {
    /// What a person reads: `server leaving: n1:4222 is shutting down`.
    var told: String { kind == .notice ? text : kind.rawValue.split(separator: "_").joined(separator: " ") + ": " + text }
}

/// A line a change.
struct LineDisplay: WatchDisplay {
    let output: Output
    let messages: Messages
    let server: ServerURL
    let clock: any LeaseClock

    func show(_ change: Change) throws(CoordinationError) {
        // That a lease was renewed is no change of leadership.
        if change.kind == .renewed { return }
        let state = change.state
        let leader = state.isLed ? state.leader : nil
        switch output.form {
        case .json: try output.print(json: Schemas.event(change.kind.rawValue, state, at: change.time, server: server))
        case .plain:
            try output.print(record: [
                change.time.rfc3339(fractionDigits: 3), state.name, change.kind.rawValue, leader, state.token?.description,
            ])
        case .terminal:
            let color: Output.Color = state.isLed ? .good : .warning
            try output.print(
                output.color(change.time.rfc3339(fractionDigits: 3), .faint) + "  " + output.color(Printable.text(state.name), .strong)
                    + "  "
                    + output.color(change.word, color) + (leader.map { "  " + Printable.text($0) } ?? "")
                    + (state.token.map { "  token \($0)" } ?? ""))
        }
    }

    func show(_ event: ConnectionEvent) {
        if event.kind == .notice { return messages.detail(event.told) }
        messages.note(WallTime.now().rfc3339(fractionDigits: 3) + "  " + event.told)
    }

    func run() async throws { try await clock.sleep(until: .distantFuture) }
}
