import QQCore

/// One world of one system and one schedule.
final class Trial {
    let world: World
    let system: SimulatedSystem
    let schedule: Schedule
    let times: LeaseTimes
    /// The name that is contended for.
    static let election = "job"
    private(set) var server: any SimulatedServer
    private(set) var contenders: [Contender] = []
    private(set) var hosts: [Host] = []

    init(_ schedule: Schedule, _ system: SimulatedSystem, keeping records: Int) {
        self.schedule = schedule
        self.system = system
        times = schedule.times
        var rules = Rules()
        rules.tokensGrow = system.tokensGrow
        rules.checksHolders = system.checksHolders
        rules.workEndsTerms = system.workEndsTerms
        rules.liveness = schedule.liveness(of: system)
        rules.stopping = schedule.stopping(of: system)
        let world = World(seed: schedule.seed, rules: rules, keeping: records)
        self.world = world
        // Machines of contenders first: a model of servers can have any number.
        for number in 0..<schedule.hostCount {
            var random = world.generator(.host, 1000 + number)
            hosts.append(
                world.makeHost("host\(number + 1)", drift: random.within(-system.largestDrift...system.largestDrift)))
        }
        server = system.makeServer(
            world, ServerSetting(election: Self.election, times: schedule.times, largestDrift: system.largestDrift))
        let knowing = server
        world.checker.isHeldAtServers = { [unowned knowing] in knowing.isHeld($0) }
        world.checker.timeLeftAtServers = { [unowned self] in server.timeLeft($0) }
        for (number, plan) in schedule.contenders.enumerated() where !plan.isRetired {
            contenders.append(Contender(number, plan, host: hosts[plan.host % hosts.count], trial: self))
        }
    }

    /// The coordinator of the system itself, which knows nothing of slots.
    func makeCoordinator(_ process: SimProcess, _ identity: String) -> any Campaigning {
        server.coordinator(for: process, identity: identity)
    }

    /// What a lease session campaigns with: with slots, a `SlotContender`.
    func makeContender(_ process: SimProcess, _ identity: String) -> any Campaigning {
        let coordinator = makeCoordinator(process, identity)
        guard let slots = schedule.slots, let whole = coordinator as? any Coordinator else { return coordinator }
        return SlotContender(whole, count: slots, clock: process.clock, executor: process.executor)
    }

    /// Runs the world to its end.
    func run() {
        for contender in contenders { contender.begin() }
        for fault in schedule.faults { FaultRun.plan(fault, in: self) }
        world.run(until: schedule.end)
    }

    /// - Parameter number: or `Fault.leader`.
    func contender(_ number: Int) -> Contender? {
        guard number == Fault.leader else { return contenders.first { $0.number == number } }
        if let leader = world.checker.leader, let found = contenders.first(where: { $0.process === leader }) { return found }
        return contenders.first
    }

    func close() {
        for contender in contenders { contender.close() }
        world.close()
        contenders = []
    }
}

/// How a world went.
public struct SimulationResult: Sendable {
    public var terms: Int
    public var works: Int
    public var faults: Int
    public var events: Int
    public var jobs: Int
    public var hash: UInt64
    public var failure: Failure?
    /// The history in words; empty if nothing failed and it was not asked for.
    public var lines: [String]

    /// Runs a schedule on this thread.
    /// - Parameter history: whether the history is returned although nothing failed.
    public static func of(
        _ schedule: Schedule, _ system: SimulatedSystem, keeping records: Int = 400, history: Bool = false
    ) -> SimulationResult {
        let trial = Trial(schedule, system, keeping: records)
        trial.run()
        let world = trial.world
        let result = SimulationResult(
            terms: world.checker.termCount, works: world.checker.workCount, faults: schedule.faults.count, events: world.eventCount,
            jobs: world.jobCount, hash: world.history.hash, failure: world.failure,
            lines: world.failure != nil || history ? world.historyLines : [])
        trial.close()
        return result
    }
}
