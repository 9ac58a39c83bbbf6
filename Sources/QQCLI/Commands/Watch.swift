import Glibc
import QQCore
import QQGuard
import QQLoop
import Synchronization

extension Context {
    /// `watch NAME…`: each change, until stopped or until a condition comes true.
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
            let sight = Sight { event in
                try recorder?.write(event, at: .now(), server: server)
                display.show(event)
            }
            let seen = Seen()
            group.addTask { try await follow(names, display, recorder, sight, seen) }
            if invocation[Flags.until] == .mine {
                group.addTask {
                    // A grant is saved a moment after the lease was taken, which is when it was seen.
                    while try !isFulfilled(seen.states, of: names, hasChanged: true) { try await loop.sleep(for: .milliseconds(50)) }
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
                for await event in events { try sight.report(event) }
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
        // The picture is gone; what was waited for stays.
        if invocation[Flags.until] != nil, code == ExitCode.yes, let live = display as? LiveDisplay { try live.printLast() }
        try Streams.check()
        // The line that was waited for is an answer.
        if invocation[Flags.until] != nil, !stopped.isSet.load(ordering: .relaxed) { _ = try await delivered(signals) }
        return code
    }

    private func display() -> any WatchDisplay {
        let lines = LineDisplay(output: output, messages: messages, server: server, clock: loop)
        guard mayDraw, output.form == .terminal, invocation[Flags.exec] == nil, LiveScreen.isUsable else { return lines }
        return LiveDisplay(LiveView(names, at: server.description, isUnicode: Letters.areUnicode), lines, on: loop, clock: loop)
    }

    /// What has begun goes on when the system cannot be reached for a while.
    private func follow(
        _ names: [String], _ display: any WatchDisplay, _ recorder: Recorder?, _ sight: Sight, _ seen: Seen
    ) async throws -> Int32 {
        var hasChanged = false
        func begin() -> AsyncThrowingStream<ElectionState, any Error>.Iterator {
            coordinator.changes(of: names, withRenewals: recorder != nil || display is LiveDisplay).makeAsyncIterator()
        }
        var changes = begin()
        // Those that are told anew after an outage.
        var hidden: Set<String> = []
        while true {
            let next: ElectionState?
            do { next = try await changes.next() } catch let error as CoordinationError
                where error.isTransient && seen.states.count == Set(names).count && !Task.isCancelled
            {
                try sight.lost(error)
                hidden = Set(names)
                try await loop.sleep(for: Self.pauseOutOfSight)
                changes = begin()
                continue
            }
            guard let state = next else { return ExitCode.unavailable }
            let wasHidden = hidden.remove(state.name) != nil
            if wasHidden { try sight.found(at: server) }
            let before = seen.update(state)
            if wasHidden, before?.isAlike(state) ?? false {
                try display.show(Change(.renewed, state, at: .now()))
                continue
            }
            let change = Change(from: before, to: state)
            if before != nil { hasChanged = true }
            try display.show(change)
            try recorder?.write(change, server: server)
            if let command = invocation[Flags.exec], before != nil { await run(command, change) }
            if try isFulfilled(seen.states, of: names, hasChanged: hasChanged) { return ExitCode.yes }
        }
    }

    /// Before it is looked again whether elections can be seen.
    private static let pauseOutOfSight: Duration = .seconds(1)

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

/// The elections as they were seen last.
private final class Seen: Sendable {
    private let all = Mutex<[String: ElectionState]>([:])

    var states: [String: ElectionState] { all.withLock { $0 } }

    /// - Returns: how it was seen before.
    func update(_ state: ElectionState) -> ElectionState? { all.withLock { $0.updateValue(state, forKey: state.name) } }
}
