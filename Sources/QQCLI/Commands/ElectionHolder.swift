import QQCore
import QQGuard
import QQLoop
import QQVIP

/// Holds any number of elections in one process. Each has a lease session. The hooks of all elections run one after the other.
actor ElectionHolder {
    private let setup: Setup
    private var elections: [String: Held] = [:]
    private var isStopping = false
    private var failure: CoordinationError?
    private var joining: [String: Task<Void, Never>] = [:]
    private let jobs: AsyncStream<Job>
    private let post: AsyncStream<Job>.Continuation
    /// The virtual addresses of a single election; empty if several elections are held.
    private var carriers: [AddressCarrier] = []
    private var waits = WaitingTexts()
    private var runningHook: Task<String?, Never>?

    private struct Held {
        var configuration: LeaseSession.Configuration
        var driver: SessionDriver
        var grant: Grant?
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

    init(_ setup: Setup) {
        self.setup = setup
        (jobs, post) = AsyncStream.makeStream(of: Job.self)
    }

    /// Adds an election. A saved grant that is still valid continues its term; without one, the process campaigns.
    func add(_ name: String) async throws(CoordinationError) {
        let invocation = setup.invocation
        let saved = try GrantStore().load(name: name, server: setup.server)
        let ttl = invocation[Flags.ttl] ?? saved?.ttl ?? setup.ttl
        let timing = try LeaseTiming(
            ttl: ttl, renewEvery: setup.renewEvery(of: ttl), killAfter: .zero)
        var request = AcquireRequest(
            name: name, identity: setup.givenIdentity ?? saved?.identity ?? setup.identity, ttl: timing.ttl,
            // The kernel keeps an address until its lifetime is over, even if this process has died.
            wantsLivenessLock: true, guardsWork: false, outlivesHolder: !setup.addresses.isEmpty)
        if !setup.addresses.isEmpty { try AddressCarrier.check(ttl: timing.ttl, renewEvery: timing.renewEvery) }
        try setup.coordinator.validate(name: name, identity: request.identity, ttl: request.ttl)
        if let saved, saved.identity == request.identity {
            let setup = setup
            let state = try await setup.retrying { () throws(CoordinationError) in try await setup.coordinator.read(name) }
            // A term that has ended cannot be continued.
            if state.isLed, state.isTerm(of: saved) { request.continuing = saved }
        }
        var configuration = LeaseSession.Configuration(
            request: request, renewEvery: timing.renewEvery, retry: setup.retryPolicy(endless: true), waiting: .forever,
            campaignsAgain: true)
        configuration.renewalGrid = timing.renewEvery / 64
        elections[name] = Held(configuration: configuration, driver: setup.driver(configuration))
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
        setup.progress?.wait(for: "releasing \(elections.keys.sorted().joined(separator: ", "))", anew: true)
        for task in joining.values { task.cancel() }
        // Releases wait for the running hook.
        runningHook?.cancel()
        closeAddresses()
        for (name, held) in elections {
            if held.grant != nil {
                post.yield(.giveUp(name))
            } else {
                elections[name]?.isGivenUp = true
                held.driver.stop()
            }
        }
    }

    /// Removes the addresses immediately, before any lease is released. A running hook must not delay the removal.
    private func closeAddresses() { for carrier in carriers { post.yield(.addresses(carrier.close("stopping"))) } }

    /// Becomes a member of the election, if its system has members. There is no campaign while the system cannot be
    /// reached.
    private func join(_ name: String) async {
        guard let identity = elections[name]?.configuration.request.identity, !isStopping, let membership = setup.coordinator.membership
        else { return }
        let setup = setup
        let task = Task(executorPreference: setup.loop) {
            var policy = setup.retryPolicy(endless: true)
            // Retried forever, regardless of `--retries`, as a campaign is.
            (policy.maximumRetries, policy.codes) = (nil, nil)
            do throws(CoordinationError) {
                let report = { (error: CoordinationError, pause: Duration) in setup.messages.note(Setup.retrying(error, after: pause)) }
                try await policy.retrying(on: setup.loop, report: report) { () throws(CoordinationError) in
                    try await membership.join(name, as: identity)
                }
            } catch { if !Task.isCancelled { setup.messages.note("\(error)") } }
        }
        joining[name] = task
        await task.value
        // A finished task keeps its memory while it is referenced.
        joining[name] = nil
    }

    /// Reports an event of the connection for each election.
    func handle(_ event: ConnectionEvent) {
        if event.kind == .notice { return setup.messages.detail(event.text) }
        for (name, held) in elections.sorted(by: { $0.key < $1.key }) {
            report { () throws(CoordinationError) in
                try setup.tell(
                    event.kind.rawValue, name: name, identity: held.configuration.request.identity, token: held.grant?.token,
                    expiresIn: held.grant.map { $0.deadline.duration(since: setup.loop.now()) }, reason: event.text)
            }
        }
    }

    private func hold(_ name: String) async {
        show { $0.set(name, WaitingText.asking(setup.server, for: name)) }
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
        let (post, carriers) = (post, carriers)
        for carrier in carriers { carrier.resume() }
        // Addresses must not wait for hooks.
        return { event, _ in post.yield(.event(name, event, .now(), carriers.flatMap { $0.handle(event) })) }
    }

    /// The pause before the next campaign; nil if there is none.
    @inline(never)
    private func cooldown(of name: String, after outcome: SessionOutcome) -> Duration? {
        if case .failed(let error) = outcome {
            // If an election cannot be held, the operator has to act. A service manager restarts the process.
            failure = failure ?? error
            stop()
            return nil
        }
        return isStopping ? nil : elections[name]?.cooldown
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
                for carrier in carriers { tell(carrier.drop("stepping down")) }
                if let grant = held.grant { await hooks(.released, grant) }
                elections[name]?.driver.stop()
            case .addresses(let events): tell(events)
            case .event(let name, let event, let time, let addresses):
                setup.saveGrant(after: event)
                if case .elected(let grant) = event { elected(grant, at: time) }
                tell(addresses)
                await handle(event, of: name)
            }
        }
    }

    private func elected(_ grant: Grant, at time: WallTime) {
        elections[grant.name]?.grant = grant
        report { () throws(CoordinationError) in
            try setup.tell(
                "elected", name: grant.name, identity: grant.identity, token: grant.token,
                expiresIn: grant.deadline.duration(since: setup.loop.now()), reason: nil, at: time)
        }
    }

    private func handle(_ event: SessionEvent, of name: String) async {
        let now = setup.loop.now()
        let identity = elections[name]?.configuration.request.identity ?? ""
        show { $0.take(event, of: name, for: identity, at: setup.server) }
        setup.report(event, of: name, as: identity)
        switch event {
        case .elected(let grant):
            // If elected while stopping, the lease is being released already, and nothing must start under it.
            if elections[name]?.isGivenUp == false { await hooks(.elected, grant) }
        case .extended(let grant):
            elections[name]?.grant = grant
            setup.messages.detail("renewed \(name) for \(DurationText.brief(grant.ttl))")
            if setup.output.form == .json {
                report { () throws(CoordinationError) in
                    try tell("renewed", grant, expiresIn: grant.deadline.duration(since: now), reason: nil)
                }
            }
        case .waiting(let state):
            report { () throws(CoordinationError) in
                try setup.tell(
                    "waiting", name: name, identity: identity, token: state.token, expiresIn: state.remaining, reason: state.leader)
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
            report { () throws(CoordinationError) in try tell("step_down_asked", grant, expiresIn: nil, reason: by) }
            // Without a pause this process could win the next campaign, and stepping down would have no effect.
            elections[name]?.cooldown = grant.ttl
            post.yield(.giveUp(name))
        case .lost(let grant, let reason):
            elections[name]?.grant = nil
            elections[name]?.configuration.request.continuing = nil
            report { () throws(CoordinationError) in try tell("lost", grant, expiresIn: nil, reason: reason.description) }
            await hooks(.lost, grant)
        case .released(let grant):
            elections[name]?.grant = nil
            report { () throws(CoordinationError) in try tell("released", grant, expiresIn: nil, reason: nil) }
        case .releaseFailed: elections[name]?.grant = nil
        case .notWithdrawn: break
        }
    }

    private func tell(_ event: String, _ grant: Grant, expiresIn: Duration?, reason: String?) throws(CoordinationError) {
        try setup.tell(event, name: grant.name, identity: grant.identity, token: grant.token, expiresIn: expiresIn, reason: reason)
    }

    private func tell(_ events: [AddressEvent]) {
        guard let (name, held) = elections.first else { return }
        for event in events {
            let address = event.address
            let told: (name: String, reason: String?)
            switch event.what {
            case .taken: told = ("address_taken", nil)
            case .putBack:
                setup.messages.note("another program had removed \(address): restored it")
                told = ("address_taken", "another program had removed it")
            case .removed(let reason): told = ("address_removed", reason)
            case .notAnnounced(let reason):
                setup.messages.note("cannot announce \(address) to the neighbours: \(reason)")
                continue
            case .notRemoved(let reason):
                setup.messages.note("cannot remove \(address): \(reason); the kernel removes it before the lease ends")
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
        do { try body() } catch { setup.messages.error(error) }
    }

    /// Changes the texts of the progress line. While this process is stopping, the line continues to show that.
    private func show(_ change: (inout WaitingTexts) -> Void) {
        guard let progress = setup.progress, !isStopping else { return }
        change(&waits)
        if let text = waits.text { progress.wait(for: text) } else { progress.end() }
    }

    private func hooks(_ event: HookEvent, _ grant: Grant) async {
        let setup = setup
        // Hooks can write to the terminal.
        setup.progress?.pause()
        defer { setup.progress?.goOn() }
        let environment = leaseVariables(grant, at: setup.server, event: event)
        for command in setup.hooks.commands(for: event) {
            // The term is about to end. Hooks for its start are useless.
            if event == .elected, isStopping { return }
            let hook = Task(executorPreference: setup.loop) {
                await ShellCommand(command, environment: environment).run(timeLimit: setup.hooks.timeLimit, on: setup.loop)
            }
            runningHook = hook
            if let problem = await hook.value { setup.tellFailed(hook: command, problem) }
            runningHook = nil
        }
    }
}
