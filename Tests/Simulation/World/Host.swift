import QQCore

/// A machine: its clocks, and whether it stands still.
public final class Host {
    public let number: Int
    public let name: String
    unowned let world: World
    /// Parts in a million by which the clocks of this host are fast.
    public let drift: Int64
    private let bootBase: Nanoseconds
    /// The wall clock without its steps, at the beginning of the world.
    private let wallBase: Nanoseconds
    /// By how much the wall clock was set.
    public private(set) var wallSteps: Nanoseconds = 0
    /// Time that the boot clock did not count, because the virtual machine was paused.
    @exclusivity(unchecked) private var uncounted: Nanoseconds = 0
    @exclusivity(unchecked) private var pausedAt: Nanoseconds?
    private var wallStepsAtPause: Nanoseconds = 0
    @exclusivity(unchecked) private var stops = 0
    /// How often it stood still.
    private(set) var stopCount = 0
    /// World time at which the machine went on last after a pause that its clock did not count.
    private(set) var lostTimeAt: Nanoseconds = -.never
    /// How long that pause took.
    private(set) var lostTime: Nanoseconds = 0
    /// What its clock showed then.
    private(set) var resumedOnClock = BootInstant(nanoseconds: 0)
    /// World time by which work must have been confirmed, or ended, after such a pause that the wall clock showed; nil if there was none.
    private(set) var doubtEnds: Nanoseconds?
    private var backlog: [() -> Void] = []
    /// Whether the servers on this host answer. Requests to one that does not are refused.
    public var isUp = true
    /// The processes on it, in the order of their start.
    public internal(set) var processes: [SimProcess] = []
    /// Guarded processes on it that live.
    var works: [Work] = []
    var guardians: [GuardianModel] = []

    init(number: Int, name: String, world: World, drift: Int64, bootBase: Nanoseconds) {
        self.number = number
        self.name = name
        self.world = world
        self.drift = drift
        self.bootBase = bootBase
        wallBase = 1_700_000_000 * 1_000_000_000
    }

    public var isStopped: Bool { stops > 0 }
    /// Whether it stands still, and its clock as well.
    var losesTime: Bool { pausedAt != nil }

    // MARK: Clocks

    /// The boot clock of this host.
    public var boot: BootInstant { boot(at: world.now) }

    func boot(at moment: Nanoseconds) -> BootInstant {
        let counted = (pausedAt.map { min($0, moment) } ?? moment) - uncounted
        return BootInstant(nanoseconds: UInt64(max(0, bootBase + counted + Self.drifted(counted, drift))))
    }

    /// World time at which the boot clock shows `instant` if nothing pauses it; never for `distantFuture`.
    func moment(of instant: BootInstant) -> Nanoseconds {
        guard instant.nanoseconds < UInt64(Nanoseconds.never) else { return .never }
        let shown = Int64(instant.nanoseconds) - bootBase
        var moment = shown - Self.drifted(shown, drift) + uncounted
        // The division above is off by what the drift is of the drift.
        while boot(at: moment) < instant, pausedAt == nil {
            moment += max(1, Int64(clamping: instant.nanoseconds - boot(at: moment).nanoseconds))
        }
        return moment
    }

    private static func drifted(_ span: Nanoseconds, _ drift: Int64) -> Nanoseconds {
        // Split, so that no product overflows.
        span / 1_000_000 * drift + span % 1_000_000 * drift / 1_000_000
    }

    /// The wall clock of this host.
    public var wall: WallTime {
        WallTime(seconds: 0, nanoseconds: 0) + .nanoseconds(wallBase + Int64(boot.nanoseconds) - bootBase + wallSteps)
    }

    /// Sets the wall clock ahead, or back.
    public func setWall(by step: Nanoseconds) {
        wallSteps += step
        world.note("the wall clock is set by @1", host: self, step)
        // Processes that stood still see only by how much it was set in all.
        if wallSteps - wallStepsAtPause >= .milliseconds(100), world.now == lostTimeAt { doubtEnds = world.now + .milliseconds(1050) }
        for guardian in guardians { guardian.wallClockWasSet() }
    }

    // MARK: Standing still

    /// Stops everything on the machine. The boot clock counts on if it is suspended, and does not if it is a virtual machine that is
    /// paused.
    public func stop(countsTime: Bool) {
        stops += 1
        stopCount += 1
        if !countsTime, pausedAt == nil {
            pausedAt = world.now
            wallStepsAtPause = wallSteps
        }
        for process in processes { process.wasStopped() }
        world.note(countsTime ? "the machine is suspended" : "the virtual machine is paused", host: self)
    }

    public func resume() {
        guard stops > 0 else { return }
        stops -= 1
        guard stops == 0 else { return }
        if let pausedAt {
            lostTime = world.now - pausedAt
            uncounted += lostTime
            self.pausedAt = nil
            lostTimeAt = world.now
            resumedOnClock = boot
            doubtEnds = nil
        }
        world.note("the machine goes on", host: self)
        let waiting = backlog
        backlog = []
        for body in waiting { world.at(world.now, body) }
        for process in processes { process.wasResumed() }
        for guardian in guardians { guardian.wake() }
    }

    /// Runs `body` now, or when the machine goes on.
    public func run(_ body: @escaping () -> Void) { if isStopped { backlog.append(body) } else { body() } }

    /// Runs `body` when the boot clock shows `instant`, or a little later; when the machine goes on, if it stands still then.
    public func at(_ instant: BootInstant, _ body: @escaping () -> Void) {
        world.at(max(moment(of: instant), world.now)) { [unowned self] in
            run { [unowned self] in if boot < instant { at(instant, body) } else { body() } }
        }
    }

    func close() {
        processes = []
        works = []
        guardians = []
        backlog = []
    }
}
