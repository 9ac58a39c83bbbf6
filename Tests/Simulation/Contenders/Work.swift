import QQCore

/// The command of one term and everything that it started.
final class WorkGroup {
    let term: Term
    let host: Host
    let qq: SimProcess
    /// Weak, because the guardian has this group; a guardian that is gone has ended.
    private(set) weak var guardian: GuardianModel?
    @exclusivity(unchecked) fileprivate(set) var living = 0
    /// Until when its life beyond the lease is excused: neither `qq` nor its guardian could end it.
    var excusedUntil: Nanoseconds = -.never
    var wasUnattended = false

    init(term: Term, host: Host, qq: SimProcess, guardian: GuardianModel) {
        self.term = term
        self.host = host
        self.qq = qq
        self.guardian = guardian
    }

    /// The number of its processes that were killed and hang in the kernel.
    fileprivate(set) var hanging = 0

    /// Whether nothing of it lives but what was killed and hangs.
    var isOverOrHangs: Bool { living <= hanging }

    /// Whether nobody can end it now: `qq` and its guardian are both dead, paused, or on a machine that stands still.
    var isUnattended: Bool { !qq.isRunning && guardian?.isRunning != true }
}

/// A descriptor that copies of a lease file's lock share, as guardians and guarded processes inherit it.
public protocol InheritedLock: LivenessLock {
    /// A process has a copy now.
    func copy()
    /// A process that had a copy has ended, or has closed it.
    func closeCopy()
}

/// What a command does.
struct CommandPlan {
    struct Child {
        /// From the start of the command to its own.
        var after: Nanoseconds
        var lifetime: Nanoseconds
        var ignoresTerm: Bool
        var hang: Nanoseconds
    }

    /// How long it runs if nothing ends it.
    var lifetime: Nanoseconds
    var ignoresTerm: Bool
    /// From SIGTERM to its end.
    var termDelay: Nanoseconds
    /// What it starts.
    var children: [Child]
    /// How long it hangs in the kernel when it is killed; 0 for not at all.
    var hang: Nanoseconds
    var exitCode: Int32
    /// Whether execve(2) fails.
    var fails: Bool

    static func draw(_ random: inout Generator, ttl: Nanoseconds) -> CommandPlan {
        var plan = CommandPlan(
            lifetime: random.chance(700_000) ? random.spread(.milliseconds(5)...(ttl)) : random.spread(.milliseconds(100)...(ttl * 8)),
            ignoresTerm: random.chance(150_000), termDelay: random.spread(.microseconds(200)...(.seconds(5))), children: [],
            hang: random.chance(15_000) ? random.spread(.milliseconds(1)...(ttl * 2)) : 0, exitCode: Int32(random.below(3)),
            fails: random.chance(10_000))
        let count = random.chance(300_000) ? random.within(1...3) : 0
        for _ in 0..<count {
            plan.children.append(
                Child(
                    after: random.below(plan.lifetime), lifetime: random.spread(.milliseconds(1)...(ttl * 6)),
                    ignoresTerm: random.chance(200_000),
                    hang: random.chance(15_000) ? random.spread(.milliseconds(1)...(ttl * 2)) : 0))
        }
        return plan
    }
}

/// One guarded process.
final class Work {
    enum Reaper { case guardian, qq, nobody }

    let host: Host
    let group: WorkGroup
    let isCommand: Bool
    let pid: Int32
    private let ignoresTerm: Bool
    private let termDelay: Nanoseconds
    private let hang: Nanoseconds
    private let bornAt: Nanoseconds
    private let lock: (any InheritedLock)?
    private(set) var isAlive = true
    private var isDying = false
    /// Whether it got SIGTERM.
    private(set) var isTermed = false
    /// Whose child it becomes, or is, when its parent ends.
    var reaper = Reaper.guardian
    private(set) var status: Int32?

    init(
        _ group: WorkGroup, isCommand: Bool, pid: Int32, lifetime: Nanoseconds, ignoresTerm: Bool, termDelay: Nanoseconds, exitCode: Int32,
        hang: Nanoseconds, lock: (any InheritedLock)?
    ) {
        host = group.host
        self.group = group
        self.isCommand = isCommand
        self.pid = pid
        self.ignoresTerm = ignoresTerm
        self.termDelay = termDelay
        self.hang = hang
        self.lock = lock
        bornAt = group.host.world.now
        lock?.copy()
        host.works.append(self)
        group.living += 1
        if group.living == 1 { host.world.checker.began(group) }
        host.world.after(lifetime) { [weak self] in self.map { work in work.host.run { work.die(status: exitCode << 8) } } }
    }

    /// A process that was only just forked is missed by who reads the lists of children then.
    var isNoticed: Bool { host.world.now - bornAt > .microseconds(50) }

    func terminate(_ random: inout Generator) {
        guard isAlive, !isTermed else { return }
        isTermed = true
        if ignoresTerm { return }
        host.world.after(termDelay) { [weak self] in self.map { work in work.host.run { work.die(status: 15) } } }
    }

    func kill(_ random: inout Generator) {
        guard isAlive, !isDying else { return }
        isDying = true
        if hang > 0 {
            host.world.note("one of its processes hangs in the kernel for @1", group.qq, hang)
            group.hanging += 1
            host.world.checker.disturb(1)
        }
        host.world.after(hang + random.spread(.microseconds(30)...(.milliseconds(3)))) { [weak self] in
            self.map { work in work.host.run { work.die(status: 9) } }
        }
    }

    private func die(status: Int32) {
        guard isAlive else { return }
        isAlive = false
        self.status = status
        if isDying, hang > 0 {
            group.hanging -= 1
            host.world.checker.disturb(-1)
        }
        lock?.closeCopy()
        if let index = host.works.firstIndex(where: { $0 === self }) { host.works.remove(at: index) }
        group.living -= 1
        host.world.note(
            isCommand ? "the command ends with status #1; #2 of its processes live" : "a child of the command ends; #2 live",
            group.qq, Int64(status), Int64(group.living))
        if group.living == 0 { host.world.checker.ended(group) }
        if reaper == .guardian { group.guardian?.wake() }
    }
}
