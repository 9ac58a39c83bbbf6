import Glibc
import QQCore
import QQLoop
import Synchronization

/// The leases of a session. Each is renewed in the background until it is released or lost.
final class SessionLeases: Sendable {
    /// A lease that is held.
    struct Lease: Sendable {
        /// As it was asked for: with slots, the grant has the name of the slot.
        let name: String
        let slot: Slot?
        let server: ServerURL
        let grant: Grant
    }

    private struct Held {
        /// The number of the campaign. A later campaign for the same election has another number.
        let number: Int
        let setup: Setup
        let driver: SessionDriver
        let ended: Task<SessionOutcome, Never>
        var grant: Grant?
        /// Whether a caller of `release` waits for the end of the campaign and will report it.
        var isGivenUp = false
        /// Whether the campaign was stopped before its election was reported.
        var isUnwanted = false

        /// Whether the session wants to keep the lease.
        var isWanted: Bool { !isGivenUp && !isUnwanted }
    }

    private struct Key: Hashable {
        let name: String
        let server: String
    }

    private struct State {
        var held: [Key: Held] = [:]
        var campaigns = 0
        /// The elections that ended although the session wanted to keep them, the latest last.
        var lost: [String] = []
        var whenLost: @Sendable () -> Void = {}
        /// Why a lease could not be released, by the number of the campaign, for the caller of `release`.
        var failures: [Int: CoordinationError] = [:]
        var changed: @Sendable () -> Void = {}
    }

    private let state = Mutex(State())
    private let loop: MainLoop
    /// Reports a message to the user.
    let tell: @Sendable (String, Output.Color) -> Void

    init(loop: MainLoop, tell: @escaping @Sendable (String, Output.Color) -> Void) {
        self.loop = loop
        self.tell = tell
    }

    /// Calls `changed` from now on when a lease is acquired or ends, or a late lease is renewed.
    func whenChanged(_ changed: @escaping @Sendable () -> Void) { state.withLock { $0.changed = changed } }

    /// The leases that are held, in the order of their names.
    var all: [Lease] {
        state.withLock { $0.held.compactMap { key, held in held.grant.map { (key.name, held.setup, $0) } } }
            .map { Lease(name: $0, slot: $1.slot(of: $2, as: $0), server: $1.server, grant: $2) }.sorted {
                $0.name == $1.name ? $0.server.description < $1.server.description : $0.name < $1.name
            }
    }

    /// Calls `whenLost` from now on as soon as an election ends that the session wanted to keep.
    func whenLost(_ whenLost: @escaping @Sendable () -> Void) { state.withLock { $0.whenLost = whenLost } }

    /// Whether `takeLosses` has elections to report.
    var hasLosses: Bool { state.withLock { !$0.lost.isEmpty } }

    /// The elections that ended since the last call although the session wanted to keep them: taken over, expired, or ended at the request of another
    /// process.
    ///
    /// A lease past its deadline counts even if its end has not been reported yet, as after a suspend.
    func takeLosses() -> [String] {
        let now = loop.now()
        return state.withLock { state in
            let overdue = Self.overdue(state.held.map { ($0.key.name, $0.value.grant, $0.value.isWanted) }, at: now)
            defer { state.lost = [] }
            return state.lost + overdue.filter { !state.lost.contains($0) }
        }
    }

    /// The elections of expired leases that the session wanted to keep, sorted by name.
    static func overdue(_ leases: [(name: String, grant: Grant?, isWanted: Bool)], at now: BootInstant) -> [String] {
        leases.filter { lease in lease.isWanted && lease.grant.map { $0.deadline <= now } ?? false }.map(\.name).sorted()
    }

    /// Records the loss of a lease, unless the session is giving it up. In that case the caller of `release` reports the loss.
    private func lose(_ key: Key) {
        let whenLost = state.withLock { state -> (@Sendable () -> Void)? in
            guard state.held[key]?.isWanted ?? true else { return nil }
            if !state.lost.contains(key.name) { state.lost.append(key.name) }
            return state.whenLost
        }
        whenLost?()
    }

    func holds(_ name: String, at server: ServerURL) -> Bool {
        state.withLock { $0.held[Key(name: name, server: server.description)]?.grant != nil }
    }

    // MARK: Acquiring

    /// `acquire NAME`: campaigns, and holds the lease until it is released.
    func acquire(_ setup: Setup, signals: any StopSignals) async throws -> Int32 {
        let key = Key(name: setup.name, server: setup.server.description)
        if let present = state.withLock({ $0.held[key] }) {
            guard present.grant != nil else {
                throw UsageError("this session waits for \(setup.name.quoted) already", hint: "find it with 'jobs', and end it with 'stop'")
            }
            guard present.setup.slots == setup.slots else {
                throw UsageError(
                    "this session holds \(setup.name.quoted) already, with another number of slots", hint: "release it first")
            }
            setup.messages.note("\(setup.name) is held by this session already")
            return ExitCode.yes
        }
        let plan = try setup.leasePlan(wantsLivenessLock: true, guardsWork: false)
        let driver = setup.driver(plan.configuration)
        let (elections, elected) = AsyncStream.makeStream(of: Grant.self)
        let number = state.withLock { state in
            state.campaigns += 1
            return state.campaigns
        }
        let ended = Task(executorPreference: loop) {
            let outcome = await setup.counting {
                await driver.run { event, _ in
                    self.note(event, key, setup)
                    if case .elected(let grant) = event { elected.yield(grant) }
                }
            }
            self.forget(key, number)
            await setup.coordinator.close()
            elected.finish()
            return outcome
        }
        state.withLock { $0.held[key] = Held(number: number, setup: setup, driver: driver, ended: ended) }
        followConnection(of: setup, until: ended)
        let stopping = Task(executorPreference: loop) {
            guard (try? await signals.next()) != nil else { return }
            self.state.withLock { $0.held[key]?.isUnwanted = true }
            driver.stop()
        }
        setup.campaignBegins()
        defer {
            stopping.cancel()
            setup.progress?.end()
        }
        for await grant in elections {
            // If elected while the campaign is being stopped, the lease is being released already.
            if state.withLock({ $0.held[key]?.isUnwanted ?? true }) { break }
            try setup.print(grant, isKept: true)
            return ExitCode.yes
        }
        // If the command was cancelled, release a lease that is granted even so.
        if Task.isCancelled { driver.stop() }
        return try setup.exitCode(of: await ended.value, stoppedBy: SIGINT)
    }

    private func note(_ event: SessionEvent, _ key: Key, _ setup: Setup) {
        setup.follow(event)
        setup.saveGrant(after: event)
        var isReported = true
        switch event {
        case .elected(let grant), .extended(let grant): set(grant, key)
        case .stepDownAsked(let by):
            tell("\(key.name): asked by \(by) to step down; releasing it", .warning)
            lose(key)
            state.withLock { $0.held[key] }?.driver.stop()
        case .lost(_, let reason):
            set(nil, key)
            lose(key)
            tell("\(key.name): lost: \(reason)", .bad)
        case .released:
            let isGivenUp = state.withLock { $0.held[key]?.isGivenUp ?? true }
            set(nil, key)
            if !isGivenUp { tell("\(key.name): released", .good) }
        case .releaseFailed(_, let error):
            // The caller of `release` reports it.
            isReported = state.withLock { state in
                guard let held = state.held[key], held.isGivenUp else { return true }
                state.failures[held.number] = error
                return false
            }
            set(nil, key)
        case .waiting, .retrying, .outage, .outageOver, .notWithdrawn: break
        }
        guard isReported else { return }
        setup.report(event, of: key.name, as: setup.identity) { tell("\(key.name): \($0)", .warning) }
    }

    /// Renewals in time do not call `changed`, because there can be thousands of leases.
    private func set(_ grant: Grant?, _ key: Key) {
        let now = loop.now()
        let changed = state.withLock { state -> (@Sendable () -> Void)? in
            let before = state.held[key]?.grant
            state.held[key]?.grant = grant
            guard let before, grant != nil else { return state.changed }
            let lease = SessionPrompt.Lease(name: key.name, left: before.deadline.duration(since: now), ttl: before.ttl)
            return lease.isLate ? state.changed : nil
        }
        changed?()
    }

    private func forget(_ key: Key, _ number: Int) {
        let isLost = state.withLock { state in
            guard let held = state.held[key], held.number == number else { return false }
            state.held[key] = nil
            // The lease session failed while it held the lease.
            return held.grant != nil && held.isWanted
        }
        if isLost { lose(key) }
    }

    /// Reports events of the connection for as long as the lease session runs.
    private func followConnection(of setup: Setup, until ended: Task<SessionOutcome, Never>) {
        let events = setup.coordinator.connectionEvents
        let following = Task(executorPreference: loop) {
            let outage = Outage { event in
                switch event.kind {
                case .notice: setup.messages.detail(event.text)
                case .connected: self.tell("\(setup.name): connected again: \(event.text)", .good)
                default: self.tell("\(setup.name): \(event.told)", .warning)
                }
            }
            for await event in events { try? outage.report(event) }
        }
        Task(executorPreference: loop) {
            _ = await ended.value
            following.cancel()
        }
    }

    // MARK: Releasing

    /// The grant of an election that this session holds; nil if it holds none.
    func grant(of name: String, at server: ServerURL) -> Grant? {
        state.withLock { $0.held[Key(name: name, server: server.description)]?.grant }
    }

    /// Releases a lease that is held.
    /// - Throws: `CoordinationError` if it could not be released, or was lost before.
    func release(_ name: String, at server: ServerURL) async throws(CoordinationError) {
        let key = Key(name: name, server: server.description)
        let found = state.withLock { state in
            state.held[key]?.isGivenUp = true
            return state.held[key]
        }
        guard let found else { return }
        found.driver.stop()
        let outcome = await found.ended.value
        if var failure = state.withLock({ $0.failures.removeValue(forKey: found.number) }) {
            failure.hint = failure.hint ?? "the lease remains until it expires"
            throw failure
        }
        if case .lost(let reason) = outcome {
            throw CoordinationError(.lost, "cannot release \(name)", because: reason.description, at: server.description)
        }
    }

    /// Releases all leases at the same time. Each release is reported.
    func releaseAll() async {
        let all = state.withLock { $0.held.values.map { ($0.driver, $0.ended) } }
        for (driver, _) in all { driver.stop() }
        for (_, ended) in all { _ = await ended.value }
    }

    /// Leaves all leases that are still held to expire.
    func abandon() {
        let all = state.withLock { $0.held }
        for (key, found) in all {
            found.ended.cancel()
            if found.grant != nil { tell("\(key.name): left to expire", .warning) }
        }
    }
}
