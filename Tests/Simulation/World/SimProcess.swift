import QQCore

/// A process of a machine: a place for tasks, with a clock, that can be paused, killed, and can end by itself.
///
/// A paused process runs nothing until it goes on; what comes meanwhile waits. Nothing that a dead one does can be seen from outside: its
/// tasks are cancelled, its sleeps and calls end at once with an error, and what it sends goes nowhere.
public final class SimProcess: @unchecked Sendable {
    public let name: String
    public let number: Int
    let actor: Int32
    public let host: Host
    public let world: World
    public private(set) lazy var executor = ProcessExecutor(self)
    public private(set) lazy var clock = ProcessClock(self)
    /// For everything that this process draws by itself.
    @exclusivity(unchecked) public var random: Generator
    @exclusivity(unchecked) public private(set) var isDead = false
    /// Whether it only reads: it must ask for no change.
    public var isReader = false
    @exclusivity(unchecked) var isWedged = false
    @exclusivity(unchecked) private var pauses = 0
    private var pausedAt: Nanoseconds?
    /// How long it was paused, with its machine or alone, until now.
    private(set) var pausedFor: Nanoseconds = 0
    private var backlog: [World.Ready] = []
    @exclusivity(unchecked) private var pending: [Pending] = []
    private var tasks: [Task<Void, Never>] = []
    private var endings: [() -> Void] = []
    /// Requests under way that must not overlap, by kind.
    var exclusive: [(kind: StaticString, count: Int)] = []
    /// A process that stutters stops between two jobs now and then.
    @exclusivity(unchecked) public var stutter: Stutter?

    public struct Stutter {
        /// In a million jobs.
        public var chance: Int64
        public var longest: Nanoseconds

        public init(chance: Int64, longest: Nanoseconds) {
            self.chance = chance
            self.longest = longest
        }
    }

    init(name: String, number: Int, actor: Int32, host: Host, world: World) {
        self.name = name
        self.number = number
        self.actor = actor
        self.host = host
        self.world = world
        random = world.generator(.process, number)
    }

    /// Whether it runs: it lives, is not paused, and its machine does not stand still.
    public var isRunning: Bool { !isDead && pauses == 0 && !host.isStopped }
    public var isPaused: Bool { !isDead && pauses > 0 }

    // MARK: Running

    /// Runs `body` in this process, after what is ready, and once it is not paused.
    public func post(_ body: @escaping () -> Void) {
        guard !isDead else { return }
        world.enqueue(World.Ready(process: self, job: nil, body: body))
    }

    /// Starts a task in this process; it is cancelled when the process ends.
    public func start(_ body: @escaping @Sendable () async -> Void) {
        guard !isDead else { return }
        tasks.append(Task(executorPreference: executor) { await body() })
    }

    /// Runs `body` in this process when its clock shows `instant`, or a little later.
    public func at(_ instant: BootInstant, _ body: @escaping () -> Void) {
        let late = random.within(0...(.microseconds(300)))
        // The world keeps its processes. A weak reference would make each use of one slower.
        world.at(host.moment(of: instant) + late) { [self] in
            // A machine that was paused goes on with an earlier time.
            host.run { [self] in
                if isDead { return }
                if host.boot < instant { at(instant, body) } else { post(body) }
            }
        }
    }

    /// Whether the item waits, because the process is paused. A stuttering process can be paused by this.
    func holdsBack(_ item: World.Ready) -> Bool {
        if isWedged { return true }
        if isDead { return false }
        if let stutter, isRunning, random.chance(stutter.chance) {
            let span = random.spread(.microseconds(10)...stutter.longest)
            world.note("stutters for @1", self, span)
            pause()
            world.after(span) { [self] in resume() }
        }
        guard !isRunning else { return false }
        backlog.append(item)
        return true
    }

    public func pause() {
        guard !isDead else { return }
        pauses += 1
        wasStopped()
    }

    func wasStopped() { if !isRunning, pausedAt == nil { pausedAt = world.now } }

    public func resume() {
        guard pauses > 0 else { return }
        pauses -= 1
        wasResumed()
    }

    /// SIGCONT: goes on, however often it was stopped.
    public func resumeAll() {
        pauses = 0
        wasResumed()
    }

    func wasResumed() {
        guard isRunning else { return }
        if let pausedAt { pausedFor += world.now - pausedAt }
        pausedAt = nil
        let waiting = backlog
        backlog = []
        for item in waiting { world.enqueue(item) }
    }

    // MARK: Its end

    /// Calls `body` when the process ends, however it does: what the kernel does then.
    public func onEnd(_ body: @escaping () -> Void) { endings.append(body) }

    /// Cancels its tasks; it lives on.
    func cancelTasks() {
        for task in tasks { task.cancel() }
        tasks = []
    }

    /// Ends the process, as SIGKILL does and as exit(2) does.
    public func end() {
        guard !isDead else { return }
        isDead = true
        pauses = 0
        cancelTasks()
        let waiting = pending
        pending = []
        for wait in waiting {
            wait.place = -1
            wait.processEnded()
        }
        let items = backlog
        backlog = []
        for item in items { world.enqueue(item) }
        if let index = host.processes.firstIndex(where: { $0 === self }) { host.processes.remove(at: index) }
        let bodies = endings
        endings = []
        for body in bodies { body() }
    }

    func close() {
        endings = []
        backlog = []
        pending = []
        tasks = []
    }

    // MARK: What it waits for

    /// Something that a task of this process waits for, which ends when the process does.
    func add(_ wait: Pending) {
        wait.place = pending.count
        pending.append(wait)
    }

    func remove(_ wait: Pending) {
        guard wait.place >= 0, wait.place < pending.count, pending[wait.place] === wait else { return }
        let last = pending.removeLast()
        if last !== wait {
            pending[wait.place] = last
            last.place = wait.place
        }
        wait.place = -1
    }
}

/// Something that a task waits for.
public class Pending {
    /// Its place among those of its process; -1 if it is over.
    @exclusivity(unchecked) var place = -1
    /// Called if the process ends before it is over.
    func processEnded() {}
}

/// Where the tasks of a process run.
public final class ProcessExecutor: TaskExecutor {
    // The world has its processes, and outlives their executors' use.
    private unowned let process: SimProcess

    init(_ process: SimProcess) { self.process = process }

    public func enqueue(_ job: consuming ExecutorJob) { enqueue(UnownedJob(job)) }

    public func enqueue(_ job: UnownedJob) { process.world.enqueue(World.Ready(process: process, job: job, body: nil)) }

    func run(_ job: UnownedJob) { job.runSynchronously(on: asUnownedTaskExecutor()) }
}
