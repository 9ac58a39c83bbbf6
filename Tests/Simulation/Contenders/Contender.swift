import Glibc
import QQCore
import QQGuard

/// What contends for the election, or reads it, from the beginning of a world to its end: one process after the other on one machine.
public struct ContenderPlan: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        /// `qq acquire NAME --wait -- CMD`, started again after its end, as a service manager does.
        case guarded
        /// The same without `--wait`, or with a limit: started again and again, as cron does.
        case guardedTry
        case keepalive
        /// `qq watch` and `qq status`.
        case reader
        /// `qq step-down NAME`, now and then.
        case stepDown(byForce: Bool)
        /// A program of others, by its place in `SimulatedSystem.peers`.
        case peer(Int)
    }

    public var kind: Kind
    /// The place of its machine among those of the contenders.
    public var host: Int
    /// Whether all its processes have one identity, as with `--id`.
    public var keepsIdentity: Bool
    /// The identity that it shares with others; nil if it has its own.
    public var identity: String?
    /// Pause before it is started again.
    public var pause: ClosedRange<Nanoseconds>
    public var isRetired = false

    public init(kind: Kind, host: Int, keepsIdentity: Bool, pause: ClosedRange<Nanoseconds>) {
        self.kind = kind
        self.host = host
        self.keepsIdentity = keepsIdentity
        self.pause = pause
    }
}

/// The times of all contenders of a world.
public struct LeaseTimes: Sendable, Hashable {
    public var ttl: Duration
    public var renewEvery: Duration
    public var killAfter: Duration
    public var retry: RetryPolicy

    public init(ttl: Duration, renewEvery: Duration, killAfter: Duration, retry: RetryPolicy = RetryPolicy()) {
        self.ttl = ttl
        self.renewEvery = renewEvery
        self.killAfter = killAfter
        self.retry = retry
    }
}

final class Contender {
    let number: Int
    let plan: ContenderPlan
    let host: Host
    private unowned let world: World
    private unowned let trial: Trial
    private var random: Generator
    private var incarnation = 0
    private(set) var process: SimProcess?
    private(set) var guarded: GuardedRun?
    private var keepalive: KeepaliveRun?
    private var isEnding = false
    /// What a keepalive has saved of its grant.
    private var saved: Grant?
    /// How its processes stutter now.
    var stutter: SimProcess.Stutter? { didSet { process?.stutter = stutter } }
    var guardianStutter: SimProcess.Stutter? { didSet { guarded?.guardianStutter = guardianStutter } }

    init(_ number: Int, _ plan: ContenderPlan, host: Host, trial: Trial) {
        self.number = number
        self.plan = plan
        self.host = host
        self.trial = trial
        world = trial.world
        random = world.generator(.contender, number)
    }

    func begin() { startLater() }

    private func startLater() {
        guard !isEnding else { return }
        world.after(random.spread(plan.pause)) { [weak self] in self?.start() }
    }

    private func start() {
        guard !isEnding else { return }
        guard !host.isStopped else { return host.run { [weak self] in self?.start() } }
        incarnation += 1
        let name = "c\(number).\(incarnation)"
        let process = world.makeProcess(name, on: host)
        process.stutter = stutter
        self.process = process
        process.onEnd { [weak self] in self?.ended(process) }
        let identity = saved?.identity ?? plan.identity ?? (plan.keepsIdentity ? "c\(number)" : name)
        switch plan.kind {
        case .guarded, .guardedTry: startGuarded(process, identity)
        case .keepalive:
            world.checker.waits(1)
            process.onEnd { [world] in world.checker.waits(-1) }
            let run = KeepaliveRun(
                process, configuration(process, identity, waiting: .forever, guards: false), timing,
                trial.makeContender(process, identity), saved: saved
            ) { [weak self] grant in
                if let self, trial.system.canContinue, trial.schedule.slots == nil { saved = grant }
            }
            keepalive = run
            run.begin()
        case .reader:
            let names = trial.schedule.slots.map { Slot.all($0, of: Trial.election).map(\.name) } ?? [Trial.election]
            ReaderRun.begin(process, names, trial.makeCoordinator(process, identity), times: trial.times)
        case .stepDown(let byForce):
            StepDownRun.begin(process, trial.makeCoordinator(process, identity), identity, byForce: byForce, times: trial.times)
        case .peer(let index):
            guard trial.system.peers.indices.contains(index) else { return process.end() }
            let peer = trial.system.peers[index]
            peer.start(
                PeerContext(
                    process: process, identity: identity, election: Trial.election, times: trial.times,
                    server: trial.server))
        }
    }

    private var timing: Guardian.Timing { Guardian.Timing(ttl: trial.times.ttl, grace: trial.times.killAfter) }

    private func startGuarded(_ process: SimProcess, _ identity: String) {
        let ttl = trial.times.ttl.nanoseconds
        var waiting = LeaseSession.Waiting.forever
        if plan.kind == .guardedTry {
            waiting = random.chance(500_000) ? .no : .until(process.host.boot + .nanoseconds(random.spread(.milliseconds(10)...(ttl * 2))))
        } else {
            world.checker.waits(1)
            process.onEnd { [world] in world.checker.waits(-1) }
        }
        let minimumHold: Nanoseconds = random.chance(100_000) ? random.spread(.milliseconds(10)...(ttl * 2)) : 0
        let maximumRun: Nanoseconds? = random.chance(100_000) ? random.spread(.milliseconds(100)...(ttl * 3)) : nil
        let run = GuardedRun(
            process,
            GuardedRun.Plan(
                configuration: configuration(process, identity, waiting: waiting, guards: true),
                guardConfiguration: .init(
                    minimumHold: minimumHold.asDuration, maximumRun: maximumRun?.asDuration, timing: timing),
                command: CommandPlan.draw(&random, ttl: ttl),
                hookTime: random.chance(100_000) ? random.spread(.milliseconds(1)...(.seconds(3))) : 0),
            trial.makeContender(process, identity)
        ) { [trial] in trial.makeCoordinator($0, identity) }
        run.guardianStutter = guardianStutter
        guarded = run
        run.begin()
    }

    private func configuration(
        _ process: SimProcess, _ identity: String, waiting: LeaseSession.Waiting, guards: Bool
    ) -> LeaseSession.Configuration {
        let times = trial.times
        let request = AcquireRequest(
            name: Trial.election, identity: identity, ttl: times.ttl, wantsLivenessLock: true, guardsWork: guards)
        var retry = times.retry
        if !guards { retry.maximumRetries = nil }
        var configuration = LeaseSession.Configuration(
            request: request, renewEvery: times.renewEvery, retry: retry, waiting: waiting, campaignsAgain: !guards,
            random: { [unowned process] in process.random.fraction() })
        if guards {
            configuration.watchesAfter = min(.milliseconds(250), times.renewEvery)
        } else {
            configuration.renewalGrid = times.renewEvery / 64
        }
        return configuration
    }

    private func ended(_ process: SimProcess) {
        guard self.process === process else { return }
        self.process = nil
        guarded = nil
        keepalive = nil
        startLater()
    }

    // MARK: Faults

    func kill() {
        guard let process else { return }
        world.note("is killed", process)
        process.end()
    }

    func signal(_ number: Int32) {
        if let guarded { return guarded.signal(number) }
        if let keepalive { return keepalive.stop() }
    }

    /// No more processes: those that run are left alone.
    func close() {
        isEnding = true
        guarded = nil
        keepalive = nil
        process = nil
    }
}
