import QQCore

/// Everything of one trial: virtual time, the machines, the network between them, and the checker.
///
/// A world is made, run and dropped on one thread, and nothing of it is used by another: this is why it and its parts can be `@unchecked
/// Sendable`. Many worlds can run at a time, each on its own thread. Everything that happens depends on the seed alone: nothing here may
/// look at a real clock, at an address, at `Hasher`, or at the order of a `Dictionary` or `Set`.
public final class World: @unchecked Sendable {
    // Where it says `unchecked`, the check of each access at run time took a sixth of all time, here and in the other parts of a world.
    /// World time.
    @exclusivity(unchecked) public private(set) var now: Nanoseconds = 0
    public let seed: UInt64
    public private(set) var hosts: [Host] = []
    public private(set) var network: Network!
    public private(set) var checker: Checker!
    public internal(set) var history: History
    /// The first rule that was broken. The world ends with it.
    @exclusivity(unchecked) public private(set) var failure: Failure?
    @exclusivity(unchecked) private var events = EventQueue()
    @exclusivity(unchecked) private var ready: [Ready] = []
    @exclusivity(unchecked) private var readyHead = 0
    private var actors: [String] = []
    private var streams: UInt64 = 0
    @exclusivity(unchecked) private(set) var running: SimProcess?
    /// The process that is made next has this number.
    private var nextProcess = 0
    private var all: [SimProcess] = []
    @exclusivity(unchecked) private var isClosing = false
    /// Jobs of tasks and events, for the speed.
    @exclusivity(unchecked) public private(set) var jobCount = 0
    @exclusivity(unchecked) public private(set) var eventCount = 0
    @exclusivity(unchecked) private var eventsAtOnce = 0
    /// The jobs, and the events, that there can be without that time passes.
    private static let mostJobsAtOnce = 200_000
    /// Far more than a world has, so that one that never ends is noticed.
    private static let mostEvents = 20_000_000

    /// What a process can do now: a job of one of its tasks, or a function.
    struct Ready {
        var process: SimProcess
        var job: UnownedJob?
        var body: (() -> Void)?
    }

    public init(seed: UInt64, rules: Rules, keeping records: Int = 400) {
        self.seed = seed
        history = History(room: max(records, 1))
        network = Network(world: self)
        checker = Checker(world: self, rules: rules)
    }

    // MARK: Making

    /// A generator of its own for a part of the world. The same number and seed make the same generator.
    public func generator(_ stream: Stream, _ number: Int = 0) -> Generator {
        Generator(seed: seed, stream: stream.rawValue << 32 | UInt64(number))
    }

    /// What generators are for: each part of a world draws from its own.
    public enum Stream: UInt64, Sendable {
        case schedule = 1
        case host, link, contender, process, server, fault, system
    }

    public func makeHost(_ name: String, drift: Int64) -> Host {
        var random = generator(.host, hosts.count)
        let host = Host(
            number: hosts.count, name: name, world: self, drift: drift, bootBase: random.within(.seconds(1)...(.seconds(100_000))))
        _ = register(name)
        hosts.append(host)
        network.hostWasAdded()
        return host
    }

    /// Starts a process without a program; give it one with `Task(executorPreference: process.executor)`, or `process.post`.
    public func makeProcess(_ name: String, on host: Host) -> SimProcess {
        let process = SimProcess(name: name, number: nextProcess, actor: register(name), host: host, world: self)
        nextProcess += 1
        host.processes.append(process)
        all.append(process)
        return process
    }

    private func register(_ name: String) -> Int32 {
        actors.append(name)
        return Int32(actors.count - 1)
    }

    // MARK: History

    public func note(_ words: StaticString, _ first: Int64 = 0, _ second: Int64 = 0) { note(words, actor: -1, first, second) }

    public func note(_ words: StaticString, _ process: SimProcess, _ first: Int64 = 0, _ second: Int64 = 0) {
        note(words, actor: process.actor, first, second)
    }

    public func note(_ words: StaticString, host: Host, _ first: Int64 = 0, _ second: Int64 = 0) {
        note(words, actor: Int32(host.actor), first, second)
    }

    private func note(_ words: StaticString, actor: Int32, _ first: Int64, _ second: Int64) {
        if isClosing { return }
        history.add(History.Record(at: now, actor: actor, words: words, first: first, second: second))
    }

    /// The kept history in words, a line for each record.
    public var historyLines: [String] {
        history.records.map { History.text($0, actor: $0.actor < 0 ? "-" : actors[Int($0.actor)]) }
    }

    /// Ends the world: a rule is broken.
    public func fail(_ rule: Failure.Rule, _ words: @autoclosure () -> String) {
        guard failure == nil, !isClosing else { return }
        failure = Failure(rule: rule, words: words(), at: now)
    }

    // MARK: Time

    /// Plans an event. Events of one moment happen in the order in which they were planned.
    public func at(_ moment: Nanoseconds, _ body: @escaping () -> Void) {
        guard moment < .never, !isClosing else { return }
        events.add(at: max(moment, now), body)
    }

    public func after(_ span: Nanoseconds, _ body: @escaping () -> Void) { at(now + max(0, span), body) }

    /// Lets things happen until `end`, until a rule is broken, or until nothing more can happen.
    public func run(until end: Nanoseconds) {
        Escape.watch(self) {
            drain()
            while failure == nil, let next = events.next, next <= end, let event = events.removeFirst() {
                eventsAtOnce = event.at == now ? eventsAtOnce + 1 : 0
                now = event.at
                eventCount += 1
                if eventsAtOnce > Self.mostJobsAtOnce { fail(.spins, "\(eventsAtOnce) events at one moment") }
                if eventCount > Self.mostEvents { fail(.spins, "\(eventCount) events in one world") }
                event.body()
                drain()
                checker.look()
            }
            if failure == nil { now = max(now, end) }
        }
    }

    func enqueue(_ item: Ready) { ready.append(item) }

    /// Runs everything that is ready, in the order in which it became ready.
    private func drain() {
        var count = 0
        while readyHead < ready.count {
            let item = ready[readyHead]
            readyHead += 1
            if readyHead > 64, readyHead * 2 > ready.count {
                ready.removeFirst(readyHead)
                readyHead = 0
            }
            run(item)
            count += 1
            if count > Self.mostJobsAtOnce {
                fail(.spins, "\(item.process.name) runs \(count) jobs without letting time pass")
                // The task cannot be ended: its process runs nothing any more, and its memory is lost.
                item.process.isWedged = true
                count = 0
            }
            if failure != nil, !isClosing { return }
        }
        ready.removeAll(keepingCapacity: true)
        readyHead = 0
    }

    private func run(_ item: Ready) {
        let process = item.process
        if process.holdsBack(item) { return }
        jobCount += 1
        let before = running
        running = process
        if let job = item.job { process.executor.run(job) } else if !process.isDead { item.body?() }
        running = before
    }

    // MARK: The end

    /// Ends all processes and tasks, so that nothing of the world is kept in memory. Nothing more happens in it.
    public func close() {
        Escape.watch(self) {
            isClosing = true
            events.removeAll()
            for process in all { process.end() }
            drain()
            for process in all { process.close() }
            for host in hosts { host.close() }
            network.close()
            checker.close()
            events.removeAll()
            all = []
        }
    }
}

extension Host {
    /// Hosts are made before processes, and each registers its name first.
    var actor: Int { number }
}
