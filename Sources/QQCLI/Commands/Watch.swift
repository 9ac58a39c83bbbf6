import Glibc
import QQCore
import QQGuard
import QQLoop
import Synchronization

extension Setup {
    /// `watch NAME…`: shows each change, until stopped or until a condition is true.
    func watch() async throws -> Int32 {
        for name in names { try coordinator.validate(name: name, identity: "watch", ttl: ttl) }
        let signals = try stopSignals()
        let recorder = try invocation[Flags.record].map { path throws(CoordinationError) in try Recorder(path) }
        let display = display()
        let loop = loop
        let stopped = StoppedFlag()
        let code = try await withThrowingTaskGroup(of: Int32.self) { group in
            group.addTask {
                try await display.run()
                return ExitCode.yes
            }
            let outage = Outage { event in
                try recorder?.write(event, at: .now(), server: server)
                display.show(event)
            }
            let lastStates = LastStates()
            group.addTask { try await follow(names, display, recorder, outage, lastStates) }
            if invocation[Flags.until] == .mine {
                group.addTask {
                    // The change can be read as soon as the lease is granted, but the grant is saved a moment later.
                    while try !isFulfilled(lastStates.all, of: names, hasChanged: true) { try await loop.sleep(for: .milliseconds(50)) }
                    return ExitCode.yes
                }
            }
            group.addTask {
                _ = try await signals.next()
                stopped.isSet.store(true, ordering: .relaxed)
                return ExitCode.yes
            }
            let events = coordinator.connectionEvents
            group.addTask {
                for await event in events { try outage.report(event) }
                try await loop.sleep(until: .distantFuture)
                return ExitCode.yes
            }
            if let limit = invocation[Flags.watchFor] {
                group.addTask {
                    try await loop.sleep(for: limit)
                    guard invocation[Flags.until] != nil else { return ExitCode.yes }
                    throw CoordinationError(
                        .timedOut, "gave up watching \(names.joined(separator: ", "))",
                        because: "the condition of --until was not met in \(DurationText.brief(limit))", at: server.description)
                }
            }
            defer { group.cancelAll() }
            return try await group.next() ?? ExitCode.unavailable
        }
        // The live view has been removed from the screen. Print the state that was waited for.
        if invocation[Flags.until] != nil, code == ExitCode.yes, let live = display as? LiveDisplay { try live.printLast() }
        try Streams.check()
        // The last line is the answer. Wait until it is delivered.
        if invocation[Flags.until] != nil, !stopped.isSet.load(ordering: .relaxed) { _ = try await delivered(signals) }
        return code
    }

    private func display() -> any WatchDisplay {
        let lines = LineDisplay(output: output, messages: messages, server: server, clock: loop)
        guard mayDraw, output.form == .terminal, invocation[Flags.exec] == nil, LiveScreen.isUsable else { return lines }
        return LiveDisplay(LiveView(names, at: server.description, isUnicode: Letters.areUnicode), lines, on: loop, clock: loop)
    }

    /// Shows and records each change until the condition of `--until` is true. After each election has been read once, the watch
    /// continues through outages.
    private func follow(
        _ names: [String], _ display: any WatchDisplay, _ recorder: Recorder?, _ outage: Outage, _ lastStates: LastStates
    ) async throws -> Int32 {
        var hasChanged = false
        // The elections that have not been read since an outage.
        var hidden: Set<String> = []
        let code = try await coordinator.follow(
            names, withRenewals: recorder != nil || display is LiveDisplay, on: loop, pause: Self.pauseInOutage
        ) { error in
            guard let error = error as? CoordinationError, error.isTransient, lastStates.all.count == Set(names).count, !Task.isCancelled
            else { throw error }
            try outage.begins(error)
            hidden = Set(names)
        } take: { state -> Int32? in
            let wasHidden = hidden.remove(state.name) != nil
            if wasHidden { try outage.ends(at: server) }
            let before = lastStates.update(state)
            if wasHidden, before?.isAlike(state) ?? false {
                try display.show(Change(.renewed, state, at: .now()))
                return nil
            }
            let change = Change(from: before, to: state)
            if before != nil { hasChanged = true }
            try display.show(change)
            try recorder?.write(change, server: server)
            if let command = invocation[Flags.exec], before != nil { await run(command, change) }
            return try isFulfilled(lastStates.all, of: names, hasChanged: hasChanged) ? ExitCode.yes : nil
        }
        return code ?? ExitCode.unavailable
    }

    /// The pause before elections are read again in an outage.
    private static let pauseInOutage: Duration = .seconds(1)

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

/// Whether a signal has ended the watch.
private final class StoppedFlag: Sendable {
    let isSet = Atomic(false)
}

/// The last states that `watch` showed, by election.
private final class LastStates: Sendable {
    private let states = Mutex<[String: ElectionState]>([:])

    var all: [String: ElectionState] { states.withLock { $0 } }

    /// - Returns: the election's last state until now; nil for the first.
    func update(_ state: ElectionState) -> ElectionState? { states.withLock { $0.updateValue(state, forKey: state.name) } }
}
