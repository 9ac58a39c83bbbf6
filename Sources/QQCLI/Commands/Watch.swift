import Glibc
import QQCore
import QQGuard
import QQLoop

extension Context {
    /// `watch NAME…`: a line a change, until stopped or until a condition comes true.
    func watch() async throws -> Int32 {
        for name in names { try coordinator.validate(name: name, identity: "watch", ttl: ttl) }
        let signals = try SignalSource([SIGINT, SIGTERM, SIGHUP], on: loop)
        let loop = loop
        return try await withThrowingTaskGroup(of: Int32.self) { group in
            group.addTask { try await follow(names) }
            group.addTask {
                _ = try await signals.next()
                return ExitCode.yes
            }
            let (messages, events) = (messages, coordinator.connectionEvents)
            group.addTask {
                var wasCut = false
                for await event in events {
                    if event.kind == .disconnected { wasCut = true }
                    if event.kind == .connected, !wasCut { continue }
                    if event.kind == .notice { messages.detail(event.text) } else { messages.note("\(event.kind.rawValue): \(event.text)") }
                }
                try await loop.sleep(until: .distantFuture)
                return ExitCode.yes
            }
            if let limit = invocation[Flags.watchFor] {
                group.addTask {
                    try await loop.sleep(for: limit)
                    guard invocation[Flags.until] != nil else { return ExitCode.yes }
                    throw CoordinationError(
                        .timedOut, "gave up watching \(names.joined(separator: ", "))",
                        because: "what --until names has not come true in \(DurationText.brief(limit))", at: server.description)
                }
            }
            defer { group.cancelAll() }
            return try await group.next() ?? ExitCode.unavailable
        }
    }

    private func follow(_ names: [String]) async throws -> Int32 {
        var states: [String: ElectionState] = [:]
        var hasChanged = false
        for try await state in coordinator.changes(of: names) {
            let before = states.updateValue(state, forKey: state.name)
            let change = Change(from: before, to: state)
            if before != nil { hasChanged = true }
            try show(change)
            if let command = invocation[Flags.exec], before != nil { await run(command, change) }
            if try isFulfilled(states, of: names, hasChanged: hasChanged) { return ExitCode.yes }
            if invocation[Flags.until] == .mine, state.isLed, try await becomesOurs(states, of: names) { return ExitCode.yes }
        }
        return ExitCode.unavailable
    }

    /// `acquire` saves its grant a moment after the lease was taken, which is when we saw it.
    private func becomesOurs(_ states: [String: ElectionState], of names: [String]) async throws -> Bool {
        for _ in 0..<20 {
            try await loop.sleep(for: .milliseconds(25))
            if try isFulfilled(states, of: names, hasChanged: true) { return true }
        }
        return false
    }

    /// A change of an election, and what to call it.
    struct Change: Sendable {
        enum Kind: String, Sendable, CaseIterable {
            /// What was found at the start.
            case state
            /// Somebody leads where nobody did.
            case elected
            /// Another leads, or the same in a new term.
            case changed
            /// The leader let go.
            case released
            /// The leader's lease ended.
            case expired
            /// The leader was asked to step down.
            case stepDownAsked = "step_down_asked"
            /// The same term goes on with other particulars.
            case renewed
        }

        let kind: Kind
        let state: ElectionState
        let time = WallTime.now()

        init(from before: ElectionState?, to state: ElectionState) {
            self.state = state
            guard let before else {
                kind = .state
                return
            }
            switch (before.isLed, state.isLed) {
            case (false, true): kind = .elected
            case (true, false): kind = state.phase == .expired ? .expired : .released
            case (true, true) where !before.isSameTerm(as: state): kind = .changed
            case (true, true) where before.stepDownAskedBy == nil && state.stepDownAskedBy != nil: kind = .stepDownAsked
            case (true, true): kind = .renewed
            case (false, false): kind = state.phase == .expired ? .expired : .released
            }
        }
    }

    private func show(_ change: Change) throws(CoordinationError) {
        let state = change.state
        // That a lease was renewed is no change of leadership.
        if change.kind == .renewed { return }
        let leader = state.isLed ? state.leader : nil
        switch output.form {
        case .json: try output.print(json: Schemas.event(change.kind.rawValue, state, at: change.time, server: server))
        case .plain:
            try output.print(record: [
                change.time.rfc3339(fractionDigits: 3), state.name, change.kind.rawValue, leader, state.token?.description,
            ])
        case .terminal:
            let color: Output.Color = state.isLed ? .good : .warning
            let word = change.kind == .state ? state.phase.rawValue : change.kind.rawValue.split(separator: "_").joined(separator: " ")
            try output.print(
                output.color(change.time.rfc3339(fractionDigits: 3), .faint) + "  " + output.color(Printable.text(state.name), .strong)
                    + "  "
                    + output.color(word, color) + (leader.map { "  " + Printable.text($0) } ?? "")
                    + (state.token.map { "  token \($0)" } ?? ""))
        }
    }

    private func run(_ command: String, _ change: Change) async {
        if change.kind == .renewed { return }
        let state = change.state
        let variables = leaseVariables(
            name: state.name, server: server, event: change.kind.rawValue, identity: state.leader, token: state.token, ttl: state.ttl,
            leader: state.isLed ? state.leader : nil)
        let limit = invocation[Flags.hookTimeout] ?? Defaults.hookTimeout
        if let problem = await ShellCommand(command, environment: variables).run(timeLimit: limit, on: loop) {
            messages.note("--exec '\(command)': \(problem)")
        }
    }

    private func isFulfilled(_ states: [String: ElectionState], of names: [String], hasChanged: Bool) throws(CoordinationError) -> Bool {
        guard let condition = invocation[Flags.until] else { return false }
        if condition == .changed { return hasChanged }
        for name in names {
            guard let state = states[name] else { return false }
            let holds =
                switch condition {
                case .led: state.isLed
                case .free: !state.isLed
                case .mine: try isOurs(state)
                case .leader(let identity): state.isLed && state.leader == identity
                case .changed: hasChanged
                }
            if !holds { return false }
        }
        return true
    }
}
