import QQCore
import QQGuard
import QQLoop
import QQVIP

/// Holds any number of elections in one process. Each has a lease session. The hooks of all elections run one after the other.
actor ElectionHolder {
    private let setup: Setup
    /// Answers requests about the elections; nil without `--listen`.
    private let listening: Listening?
    private var elections: [String: Held] = [:]
    private var isStopping = false
    private var skipsHooks = false
    private var failure: CoordinationError?
    private var joining: [String: Task<Void, Never>] = [:]
    private let jobs: AsyncStream<Job>
    private let post: AsyncStream<Job>.Continuation
    /// The virtual addresses of a single election; empty if several elections are held.
    private var carriers: [AddressCarrier] = []
    private var waits = WaitingTexts()
    private var outages = Outages()
    private var news = ConnectionNews()
    private var hasClosedPipe = false
    private var runningHook: Task<String?, Never>?

    private struct Held {
        var timing: LeaseTiming
        var configuration: LeaseSession.Configuration
        var driver: SessionDriver
        var grant: Grant?
        /// A saved grant whose term is resumed if it has not ended.
        var saved: Grant?
        /// Whether the lease is being released, which must not be started twice.
        var isGivenUp = false
        /// The pause before the next campaign, after stepping down.
        var cooldown: Duration?
    }

    private indirect enum Job: Sendable {
        /// An event of an election, its time, and the changes of addresses that it caused.
        case event(String, SessionEvent, WallTime, [AddressEvent])
        case addresses([AddressEvent])
        /// Release an election after its hooks have run.
        case giveUp(String)
        case end
    }

    init(_ setup: Setup, _ listening: Listening?) {
        self.setup = setup
        self.listening = listening
        (jobs, post) = AsyncStream.makeStream(of: Job.self)
    }

    /// Adds an election. A saved grant that is still valid continues its term; without one, the process campaigns.
    func add(_ name: String) throws(CoordinationError) {
        let invocation = setup.invocation
        let saved =
            setup.slots == nil
            ? try GrantStore().load(name: name, server: setup.server) : try setup.savedSlot(of: name, isToContinue: true)
        let ttl = invocation[Flags.ttl] ?? saved?.ttl ?? setup.ttl
        let timing = try LeaseTiming(
            ttl: ttl, renewEvery: setup.renewEvery(of: ttl), killAfter: .zero)
        let request = AcquireRequest(
            name: name, identity: setup.givenIdentity ?? saved?.identity ?? setup.identity, ttl: timing.ttl,
            // The kernel keeps an address until its lifetime is over, even if this process has died.
            wantsLivenessLock: true, guardsWork: false, outlivesHolder: !setup.addresses.isEmpty,
            note: invocation[Flags.note])
        if !setup.addresses.isEmpty { try AddressCarrier.check(ttl: timing.ttl, renewEvery: timing.renewEvery) }
        try setup.contender().validate(name: name, identity: request.identity, ttl: request.ttl)
        var configuration = LeaseSession.Configuration(
            request: request, renewEvery: timing.renewEvery, retry: setup.retryPolicy(endless: true), waiting: .forever,
            campaignsAgain: true)
        configuration.renewalGrid = timing.renewEvery / 64
        listening?.add(name, as: request.identity)
        elections[name] = Held(
            timing: timing, configuration: configuration, driver: setup.driver(configuration),
            saved: saved?.identity == request.identity ? saved : nil)
    }

    /// Prepares to carry addresses while this process leads its only election.
    func carry(_ addresses: [VirtualAddress]) throws(CoordinationError) {
        for address in addresses where !carriers.contains(where: { $0.address == address }) {
            let messages = setup.messages
            carriers.append(try AddressCarrier(address, clock: setup.loop) { messages.note($0) })
        }
    }

    /// Holds the elections until `stop`, or until one of them fails for good.
    /// - Returns: the failure; nil after `stop`.
    func run() async -> CoordinationError? {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.work() }
            let post = post
            for carrier in carriers { group.addTask { await carrier.run { post.yield(.addresses($0)) } } }
            await withTaskGroup(of: Void.self) { sessions in
                for name in elections.keys.sorted() { sessions.addTask { await self.hold(name) } }
            }
            closeAddresses()
            post.yield(.end)
            await group.waitForAll()
        }
        return failure
    }

    /// Runs the hooks while the leases are still held, and then releases all of them.
    func stop() {
        guard !isStopping else { return }
        isStopping = true
        setup.service?.release()
        setup.progress?.wait(for: "releasing \(elections.keys.sorted().joined(separator: ", "))", anew: true)
        for task in joining.values { task.cancel() }
        // Releases wait for the running hook.
        runningHook?.cancel()
        closeAddresses()
        for (name, held) in elections {
            listening?.closes(name)
            if held.grant != nil {
                post.yield(.giveUp(name))
            } else {
                elections[name]?.isGivenUp = true
                held.driver.stop()
            }
        }
    }

    /// Renews all leases: the machine might have been paused, and they might have expired.
    func renewNow() { for held in elections.values where held.grant != nil { held.driver.renewNow() } }

    /// Ends the running hook and runs none of those that wait, so that all leases are released now: the second request to stop.
    func skipHooks() {
        skipsHooks = true
        runningHook?.cancel()
    }

    /// Removes the addresses immediately, before any lease is released. A running hook must not delay the removal.
    private func closeAddresses() { for carrier in carriers { post.yield(.addresses(carrier.close("stopping"))) } }

    /// Resumes the term of a saved grant, unless it has ended.
    private func resume(_ name: String) async {
        guard let saved = elections[name]?.saved else { return }
        elections[name]?.saved = nil
        let coordinator = setup.coordinator
        await prepare(name) { holder in
            do throws(CoordinationError) {
                let state = try await holder.ridingOut(name) { () throws(CoordinationError) in try await coordinator.read(saved.name) }
                if state.isLed, state.isTerm(of: saved) { await holder.resume(name, saved, keeping: state.note) }
            } catch { if !Task.isCancelled { await holder.fail(error) } }
        }
    }

    /// - Parameter kept: the note of the term.
    private func resume(_ name: String, _ saved: Grant, keeping kept: String?) {
        guard !isStopping, var held = elections[name] else { return }
        if let note = held.configuration.request.note, note != kept {
            setup.messages.note(
                "\(name): the resumed term keeps \(kept.map { "its note (\($0))" } ?? "the note that it began with, if any"); --note counts from the next term on"
            )
        }
        held.configuration.request.continuing = saved
        held.driver = setup.driver(held.configuration)
        elections[name] = held
    }

    /// Becomes a member of the election, if its system has members. There is no campaign while the system cannot be
    /// reached.
    private func join(_ name: String) async {
        // The holder of a slot answers requests about that slot, as every holder does.
        guard let identity = elections[name]?.configuration.request.identity, setup.slots == nil,
            let membership = setup.coordinator.membership
        else { return }
        let messages = setup.messages
        await prepare(name) { holder in
            do throws(CoordinationError) {
                try await holder.ridingOut(name) { () throws(CoordinationError) in try await membership.join(name, as: identity) }
            } catch { if !Task.isCancelled { messages.note("\(error)", .warning) } }
        }
    }

    /// Runs `body` before the campaign, until it returns or `stop` cancels it.
    private func prepare(_ name: String, _ body: @escaping @Sendable (ElectionHolder) async -> Void) async {
        guard !isStopping else { return }
        let task = Task(executorPreference: setup.loop) { await body(self) }
        joining[name] = task
        await task.value
        // A finished task keeps its memory while it is referenced.
        joining[name] = nil
    }

    /// Sends a request again and again until it is answered, as a campaign does.
    /// - Throws: a failure that waiting cannot mend, or the last one if the task is cancelled.
    private func ridingOut<Answer: Sendable>(
        _ name: String, _ request: @Sendable () async throws(CoordinationError) -> Answer
    ) async throws(CoordinationError) -> Answer {
        let policy = setup.retryPolicy()
        var retry = 0
        var since: BootInstant?
        while true {
            do throws(CoordinationError) {
                let answer = try await request()
                if let since {
                    let length = setup.loop.now().duration(since: since)
                    ended(outageOf: name, after: length)
                    setup.serve(.outageOver(after: length), of: name, as: elections[name]?.configuration.request.identity ?? "")
                }
                return answer
            } catch {
                guard error.isRiddenOut, !Task.isCancelled else { throw error }
                began(outageOf: name, error, isNew: since == nil)
                setup.serve(.outage(error, isNew: since == nil), of: name, as: elections[name]?.configuration.request.identity ?? "")
                since = since ?? setup.loop.now()
                retry = min(retry + 1, 1_000_000)
                let pause = policy.pause(before: retry, random: Double.random(in: 0..<1))
                guard (try? await setup.loop.sleep(for: pause)) != nil else { throw error }
            }
        }
    }

    private func began(outageOf name: String, _ error: CoordinationError, isNew: Bool) {
        let event = SessionEvent.outage(error, isNew: isNew && outages.begins(error, of: name))
        setup.report(event, of: name, as: elections[name]?.configuration.request.identity ?? "")
        guard isNew, setup.output.form == .json else { return }
        report { () throws(CoordinationError) in
            try setup.tell(
                "retrying", name: name, identity: elections[name]?.configuration.request.identity ?? "", token: nil, expiresIn: nil,
                reason: error.description)
        }
    }

    private func ended(outageOf name: String, after length: Duration) {
        if outages.ends(of: name) { setup.report(.outageOver(after: length), of: name, as: "") }
    }

    /// Reports an event of the connection for each election.
    func handle(_ event: ConnectionEvent) {
        if event.kind == .notice { return setup.messages.detail(event.text) }
        outages.take(event)
        // An attempt to connect that fails again is told with --verbose only.
        guard news.take(event) || event.kind == .connected else { return setup.messages.detail(event.told) }
        for (name, held) in elections.sorted(by: { $0.key < $1.key }) {
            report { () throws(CoordinationError) in
                try setup.tell(
                    event.kind.rawValue, name: name, slot: held.grant.flatMap { setup.slot(of: $0, as: name) },
                    identity: held.configuration.request.identity, token: held.grant?.token,
                    expiresIn: held.grant.map { $0.deadline.duration(since: setup.loop.now()) }, reason: event.text)
            }
        }
    }

    private func hold(_ name: String) async {
        show { $0.set(name, WaitingText.asking(setup.server, for: name)) }
        await resume(name)
        await join(name)
        while let driver = elections[name]?.driver {
            let report = reporter(of: name)
            let outcome = await driver.run(report: report)
            guard let cooldown = cooldown(of: name, after: outcome) else { return }
            try? await setup.loop.sleep(for: cooldown)
            guard campaignsAgain(for: name) else { return }
        }
    }

    // The following functions are not inlined into `hold`, to keep its frame small. It exists once for each election, and there can be thousands.

    @inline(never)
    private func reporter(of name: String) -> SessionDriver.Report {
        let (post, carriers, setup) = (post, carriers, setup)
        let identity = elections[name]?.configuration.request.identity ?? ""
        for carrier in carriers { carrier.resume() }
        let (listening, timing) = (listening, elections[name]?.timing)
        if !isStopping { listening?.campaigns(name) }
        return { event, _ in
            // Addresses, answers and the status of the service must not wait for hooks.
            listening?.take(event, of: name) { timing?.reserve(of: $0) ?? $0 }
            post.yield(.event(name, event, .now(), carriers.flatMap { $0.handle(event) }))
            setup.serve(event, of: name, as: identity)
        }
    }

    /// The pause before the next campaign; nil if there is none.
    @inline(never)
    private func cooldown(of name: String, after outcome: SessionOutcome) -> Duration? {
        if case .failed(let error) = outcome {
            fail(error)
            return nil
        }
        return isStopping ? nil : elections[name]?.cooldown
    }

    /// Ends the process: if an election cannot be held, the operator has to act. A service manager restarts it.
    private func fail(_ error: CoordinationError) {
        failure = failure ?? error
        stop()
    }

    @inline(never)
    private func campaignsAgain(for name: String) -> Bool {
        guard !isStopping, var held = elections[name] else { return false }
        held.configuration.request.continuing = nil
        held.cooldown = nil
        held.isGivenUp = false
        held.driver = setup.driver(held.configuration)
        elections[name] = held
        return true
    }

    // MARK: Events and hooks, one after the other

    private func work() async {
        for await job in jobs {
            switch job {
            case .end: return
            case .giveUp(let name):
                guard let held = elections[name], !held.isGivenUp else { continue }
                elections[name]?.isGivenUp = true
                listening?.closes(name)
                for carrier in carriers { tell(carrier.drop("stepping down")) }
                if let grant = held.grant { await hooks(.released, grant, of: name) }
                elections[name]?.driver.stop()
            case .addresses(let events): tell(events)
            case .event(let name, let event, let time, let addresses):
                setup.saveGrant(after: event)
                if case .elected(let grant) = event { elected(grant, of: name, at: time) }
                tell(addresses)
                await handle(event, of: name)
            }
        }
    }

    private func elected(_ grant: Grant, of name: String, at time: WallTime) {
        elections[name]?.grant = grant
        report { () throws(CoordinationError) in
            try setup.tell(
                "elected", name: name, slot: setup.slot(of: grant, as: name), identity: grant.identity, token: grant.token,
                expiresIn: grant.deadline.duration(since: setup.loop.now()), reason: nil, at: time)
        }
    }

    private func handle(_ event: SessionEvent, of name: String) async {
        let now = setup.loop.now()
        let identity = elections[name]?.configuration.request.identity ?? ""
        show { $0.take(event, of: name, for: identity, at: setup.server) }
        switch event {
        case .outage(let error, let isNew): return began(outageOf: name, error, isNew: isNew)
        case .outageOver(let length): return ended(outageOf: name, after: length)
        default: setup.report(event, of: name, as: identity)
        }
        switch event {
        case .elected(let grant):
            // If elected while stopping, the lease is being released already, and nothing must start under it.
            if elections[name]?.isGivenUp == false { await hooks(.elected, grant, of: name) }
        case .extended(let grant):
            elections[name]?.grant = grant
            setup.messages.detail("renewed \(setup.title(name, grant)) for \(DurationText.brief(grant.ttl))")
            if setup.output.form == .json {
                report { () throws(CoordinationError) in
                    try tell("renewed", name, grant, expiresIn: grant.deadline.duration(since: now), reason: nil)
                }
            }
        case .waiting(let state):
            report { () throws(CoordinationError) in
                try setup.tell(
                    "waiting", name: name, identity: identity, token: state.token, expiresIn: state.remaining,
                    reason: state.leader ?? SlotText.holders(state))
            }
        case .retrying(let error, _):
            if setup.output.form == .json {
                report { () throws(CoordinationError) in
                    try setup.tell(
                        "retrying", name: name, identity: identity, token: nil, expiresIn: nil, reason: error.description)
                }
            }
        case .stepDownAsked(let by):
            guard let grant = elections[name]?.grant else { return }
            report { () throws(CoordinationError) in try tell("step_down_asked", name, grant, expiresIn: nil, reason: by) }
            // Without a pause this process could win the next campaign, and stepping down would have no effect.
            elections[name]?.cooldown = grant.ttl
            post.yield(.giveUp(name))
        case .lost(let grant, let reason):
            elections[name]?.grant = nil
            elections[name]?.configuration.request.continuing = nil
            report { () throws(CoordinationError) in try tell("lost", name, grant, expiresIn: nil, reason: reason.description) }
            await hooks(.lost, grant, of: name)
        case .released(let grant):
            elections[name]?.grant = nil
            report { () throws(CoordinationError) in try tell("released", name, grant, expiresIn: nil, reason: nil) }
        case .releaseFailed: elections[name]?.grant = nil
        case .outage, .outageOver, .notWithdrawn: break
        }
    }

    private func tell(
        _ event: String, _ name: String, _ grant: Grant, expiresIn: Duration?, reason: String?
    ) throws(CoordinationError) {
        try setup.tell(
            event, name: name, slot: setup.slot(of: grant, as: name), identity: grant.identity, token: grant.token, expiresIn: expiresIn,
            reason: reason)
    }

    private func tell(_ events: [AddressEvent]) {
        guard let (name, held) = elections.first else { return }
        for event in events {
            let address = event.address
            let told: (name: String, reason: String?)
            switch event.what {
            case .taken: told = ("address_taken", nil)
            case .putBack:
                setup.messages.note("another program had removed \(address): restored it", .warning)
                told = ("address_taken", "another program had removed it")
            case .removed(let reason): told = ("address_removed", reason)
            case .notAnnounced(let reason):
                setup.messages.note("cannot announce \(address) to the neighbours: \(reason)", .warning)
                continue
            case .notRemoved(let reason):
                setup.messages.note("cannot remove \(address): \(reason); the kernel removes it before the lease ends", .warning)
                continue
            case .failed(let error):
                setup.messages.error(error)
                // Another contender might be able to carry it.
                if let grant = held.grant, !isStopping {
                    elections[name]?.cooldown = grant.ttl
                    post.yield(.giveUp(name))
                }
                continue
            }
            report { () throws(CoordinationError) in
                try setup.tell(
                    told.name, name: name, identity: held.configuration.request.identity, token: held.grant?.token, expiresIn: nil,
                    reason: told.reason, address: address.description, at: event.at)
            }
        }
    }

    /// Calls `body`, and reports on stderr if it cannot write a record. The leases stay held even then.
    private func report(_ body: () throws(CoordinationError) -> Void) {
        do { try body() } catch {
            // A reader that has gone does not come back.
            if error.code == Output.closedPipe, hasClosedPipe { return }
            hasClosedPipe = error.code == Output.closedPipe
            setup.messages.error(error)
        }
    }

    /// Changes the texts of the progress line. While this process is stopping, the line continues to show that.
    private func show(_ change: (inout WaitingTexts) -> Void) {
        guard let progress = setup.progress, !isStopping else { return }
        change(&waits)
        if let text = waits.text { progress.wait(for: text) } else { progress.end() }
    }

    private func hooks(_ event: HookEvent, _ grant: Grant, of name: String) async {
        let setup = setup
        // Hooks can write to the terminal.
        setup.progress?.pause()
        defer { setup.progress?.goOn() }
        let environment = setup.variables(grant, as: name, event: event)
        for command in setup.hooks.commands(for: event) {
            // The term is about to end. Hooks for its start are useless.
            if skipsHooks || (event == .elected && isStopping) { return }
            let hook = Task(executorPreference: setup.loop) {
                await ShellCommand(command, environment: environment).run(timeLimit: setup.hooks.timeLimit, on: setup.loop)
            }
            runningHook = hook
            if let problem = await hook.value { setup.tellFailed(hook: command, problem) }
            runningHook = nil
        }
    }
}
