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
        var watched = WatchedNames(names)
        if let count = invocation[Flags.slotsToRead] {
            for name in names { watched.follow(try slotNames(count, of: name), of: name) }
        }
        let states = WatchedStates(watched)
        let code = try await withThrowingTaskGroup(of: Int32.self) { group in
            group.addTask {
                try await display.run()
                return ExitCode.yes
            }
            let outage = Outage { event in
                try recorder?.write(event, at: .now(), server: server)
                display.show(event)
            }
            group.addTask { try await follow(states, display, recorder, outage) }
            if invocation[Flags.until] == .mine {
                group.addTask {
                    // The change can be read as soon as the lease is granted, but the grant is saved a moment later.
                    while try !isFulfilled(states) { try await loop.sleep(for: .milliseconds(50)) }
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
            if mayDraw {
                group.addTask {
                    try await Streams.closed(on: loop)
                    return ExitCode.yes
                }
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
        _ states: WatchedStates, _ display: any WatchDisplay, _ recorder: Recorder?, _ outage: Outage
    ) async throws -> Int32 {
        while true {
            let end = try await withThrowingTaskGroup(of: RoundEnd.self) { group in
                group.addTask { try await followRound(states, display, recorder, outage) }
                if looksForSlots {
                    group.addTask {
                        repeat { try await loop.sleep(for: Self.pauseBetweenSearches) } while await !findSlots(states)
                        return .slotsFound
                    }
                }
                defer { group.cancelAll() }
                return try await group.next() ?? .exit(ExitCode.unavailable)
            }
            if case .exit(let code) = end { return code }
        }
    }

    /// Why a round of following all elections has ended.
    private enum RoundEnd: Sendable {
        case exit(Int32)
        /// Slots of a name were found, which are to be followed from now on in place of the name.
        case slotsFound
    }

    private func followRound(
        _ states: WatchedStates, _ display: any WatchDisplay, _ recorder: Recorder?, _ outage: Outage
    ) async throws -> RoundEnd {
        let end = try await coordinator.follow(
            states.begin(), withRenewals: recorder != nil || display is LiveDisplay, on: loop, pause: Self.pauseInOutage
        ) { error in
            guard let error = error as? CoordinationError, error.isTransient, states.areRead, !Task.isCancelled else { throw error }
            try outage.begins(error)
            states.hide()
        } take: { state -> RoundEnd? in
            if try await hasSlots(state, states) { return .slotsFound }
            // A name of which only slots can be held, as on Consul.
            if state.phase == .unknown, looksForSlots, await findSlots(states) { return .slotsFound }
            let (found, wasHidden) = states.take(state, at: loop.now())
            if wasHidden { try outage.ends(at: server) }
            for seen in found {
                if wasHidden, let before = seen.before, before.isAlike(seen.slot.map { seen.state.slots[$0 - 1] } ?? seen.state) {
                    try display.show(Change(.renewed, seen.state, slot: seen.slot, at: .now()))
                    continue
                }
                let change = Change(from: seen.before, to: seen.state, slot: seen.slot)
                if seen.before != nil { states.change() }
                try display.show(change)
                try recorder?.write(change, server: server)
                if let command = invocation[Flags.exec], seen.before != nil { await run(command, change) }
            }
            return try isFulfilled(states) ? .exit(ExitCode.yes) : nil
        }
        return end ?? .exit(ExitCode.unavailable)
    }

    // MARK: Slots

    /// The pause before slots of names without a leader are looked for again. A list of all elections costs more than the watch of one.
    private static let pauseBetweenSearches: Duration = .seconds(60)

    /// Whether slots can be found.
    private var looksForSlots: Bool {
        invocation[Flags.slotsToRead] == nil && coordinator.capabilities.has(.listElections) && coordinator.lister != nil
    }

    /// Looks for slots of a name that was read for the first time and has no leader.
    /// - Returns: whether its slots are to be followed in its place.
    private func hasSlots(_ state: ElectionState, _ states: WatchedStates) async throws -> Bool {
        guard looksForSlots, !state.isLed, states.isUnread(state.name) else { return false }
        let groups = try await retrying { () throws(CoordinationError) in try await slotGroups(of: state.name) }
        if groups.isEmpty || (state.phase == .expired && !groups.contains { $0.isLed }) { return false }
        states.follow(try onlyState(groups, of: state.name).slots.map(\.name), of: state.name)
        return true
    }

    /// Looks for slots that have appeared since the watch began.
    /// - Returns: whether some were found.
    private func findSlots(_ states: WatchedStates) async -> Bool {
        var isFound = false
        for name in states.unled {
            // A failure is no outage of the watch. The next search is not far.
            guard let groups = try? await slotGroups(of: name), let group = groups.first(where: { $0.isLed }) else { continue }
            states.follow(group.slots.map(\.name), of: name, areNew: true)
            isFound = true
        }
        return isFound
    }

    /// The pause before elections are read again in an outage.
    private static let pauseInOutage: Duration = .seconds(1)

    private func run(_ command: String, _ change: Change) async {
        if change.kind == .renewed { return }
        let state = change.changed
        var variables = leaseVariables(
            name: change.state.name, server: server, event: change.kind.rawValue, identity: state.leader, token: state.token,
            ttl: state.ttl,
            leader: state.isLed ? state.leader : nil)
        // That of a command which runs this watch is not about this election.
        variables.append((Self.slotVariable, change.slot.map { String($0) } ?? ""))
        let limit = invocation[Flags.hookTimeout] ?? Defaults.hookTimeout
        if let problem = await ShellCommand(command, environment: variables).run(timeLimit: limit, on: loop) {
            messages.note("--exec '\(command)': \(problem)", .warning)
        }
    }

    private func isFulfilled(_ states: WatchedStates) throws(CoordinationError) -> Bool {
        guard let condition = invocation[Flags.until] else { return false }
        if condition == .changed { return states.hasChanged }
        for name in names {
            guard let state = states.state(of: name, at: loop.now()) else { return false }
            let holds =
                switch condition {
                case .led: state.isLed
                case .free: !state.isLed
                case .mine: try isOurs(state)
                case .leader(let identity): state.holdings.contains { $0.leader == identity }
                case .changed: states.hasChanged
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
