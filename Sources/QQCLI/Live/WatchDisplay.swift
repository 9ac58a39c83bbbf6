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
