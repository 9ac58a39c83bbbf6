import Glibc
import QQCore
import Support
import Synchronization

/// One election or one name with slots, its contenders, and the faults that strike them.
final class Arena: Sendable {
    let title: String
    private let box: Sandbox
    private let surroundings: any Surroundings
    private let name: String
    private let log: String
    private let contenders: Int
    /// The number of holders at a time; 1 without `--slots`.
    let slots: Int
    private let isStopping = Mutex(false)
    private let running = Mutex<[Int: Child]>([:])
    private let faults = Mutex<[Fault: Int]>([:])
    private let codes = Mutex<[String: Int]>([:])

    init(_ title: String, _ box: Sandbox, _ surroundings: any Surroundings, name: String, contenders: Int, slots: Int = 1) {
        self.title = title
        self.box = box
        self.surroundings = surroundings
        self.name = name
        self.contenders = contenders
        self.slots = slots
        log = box.path("stamps-\(title)-\(name)")
        // Commands of other users write to it as well.
        close(open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0o666))
        chmod(log, 0o666)
        chmod(box.folder, 0o755)
    }

    private var environment: [String: String] { surroundings.environment }

    func stop() { isStopping.withLock { $0 = true } }
    private var isOver: Bool { isStopping.withLock { $0 } }

    // MARK: Contending

    /// Runs contenders and faults until `stop`, and then ends all contenders.
    func run(seed: UInt64) async {
        await withTaskGroup(of: Void.self) { group in
            for place in 0..<contenders { group.addTask { await self.contend(place, SeededGenerator(seed: seed &+ UInt64(place) &+ 1)) } }
            group.addTask { await self.strike(SeededGenerator(seed: seed)) }
        }
    }

    private func contend(_ place: Int, _ generator: SeededGenerator) async {
        var generator = generator
        while !isOver {
            let words =
                [
                    Sandbox.binary, "acquire", name, "--wait", "--retries", "1000", "--id", "\(title)-\(place)", "--ttl", surroundings.ttl,
                    "--kill-after", "100ms",
                ]
                + (slots > 1 ? ["--slots", "\(slots)"] : []) + Self.hooks(&generator) + ["--"] + Self.user(&generator) + [
                    Sandbox.stamp, log,
                ]
                + (slots > 1 ? ["--slot"] : []) + Self.work(&generator)
            var launch = box.launch(words, environment: environment)
            launch.errors = .file(box.path("errors-\(title)"))
            guard let child = try? Child(launch) else { continue }
            running.withLock { $0[place] = child }
            while child.isRunning {
                if isOver { await end(child) }
                try? await Task.sleep(for: .milliseconds(5))
            }
            running.withLock { $0[place] = nil }
            codes.withLock { $0["\(child.ending ?? .exited(-1))", default: 0] += 1 }
        }
    }

    private static func oneIn(_ count: Int, _ generator: inout SeededGenerator) -> Bool {
        Int.random(in: 0..<count, using: &generator) == 0
    }

    /// Random options of a command: how long it runs, and with which processes.
    private static func work(_ generator: inout SeededGenerator) -> [String] {
        var work = ["--every", "5", "--for", "\(Int.random(in: 1...300, using: &generator))"]
        for option in ["--child", "--daemon", "--closing", "--ignore-term"] where oneIn(3, &generator) { work.append(option) }
        // Only a cgroup finds these once their guardian is dead.
        if geteuid() == 0, oneIn(4, &generator) { work.append("--bare") }
        return work
    }

    /// Random words that run a command as another user, or none.
    private static func user(_ generator: inout SeededGenerator) -> [String] {
        geteuid() == 0 && oneIn(3, &generator) ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : []
    }

    private static func hooks(_ generator: inout SeededGenerator) -> [String] {
        var hooks: [String] = []
        if oneIn(4, &generator) { hooks += ["--on-elected", "sleep 0.0\(Int.random(in: 1...9, using: &generator))"] }
        if oneIn(4, &generator) { hooks += ["--on-lost", "sleep 0.02"] }
        if oneIn(6, &generator) { hooks += ["--min-hold", "200ms"] }
        return hooks
    }

    private func end(_ child: Child) async {
        child.signal(SIGCONT)
        child.signal(SIGTERM)
        for _ in 0..<1000 where child.isRunning { try? await Task.sleep(for: .milliseconds(5)) }
        child.signal(SIGKILL)
    }

    // MARK: Faults

    /// A contender whose command is running: its qq, guardian and command.
    private func leader(_ generator: inout SeededGenerator) -> (qq: pid_t, guardian: pid_t, command: pid_t?)? {
        let children = running.withLock { running in running.sorted { $0.key < $1.key }.map(\.value) }
        for child in slots > 1 ? children.shuffled(using: &generator) : children where child.isRunning {
            let below = LivingProcess.below(child.pid)
            guard let guardian = below.first(where: { $0.name == "lease-guardian" }), let work = below.first(where: { $0.name == "stamp" })
            else {
                continue
            }
            return (child.pid, guardian.pid, work.pid)
        }
        return nil
    }

    /// A random contender, whatever it is doing.
    private func anybody(_ generator: inout SeededGenerator) -> (qq: pid_t, guardian: pid_t, command: pid_t?)? {
        let children = running.withLock { running in running.sorted { $0.key < $1.key }.map(\.value) }
        guard let child = children.randomElement(using: &generator), child.isRunning,
            let guardian = LivingProcess.below(child.pid).first(where: { $0.name == "lease-guardian" })
        else { return nil }
        return (child.pid, guardian.pid, nil)
    }

    private func strike(_ generator: SeededGenerator) async {
        var generator = generator
        let possible = Fault.allCases.filter { $0.isOfProcesses ? $0.isPossible : surroundings.faults.contains($0) }
        while !isOver {
            let fault = possible.randomElement(using: &generator) ?? .killQQ
            let pause = Int.random(in: 0...400, using: &generator)
            let length = Duration.milliseconds(Int.random(in: 0...2500, using: &generator))
            try? await Task.sleep(for: .milliseconds(pause))
            guard !isOver, let target = fault.isForAnybody ? anybody(&generator) : leader(&generator) else { continue }
            faults.withLock { $0[fault, default: 0] += 1 }
            await carryOut(fault, target, for: length, &generator)
        }
    }

    private func carryOut(
        _ fault: Fault, _ target: (qq: pid_t, guardian: pid_t, command: pid_t?), for length: Duration, _ generator: inout SeededGenerator
    ) async {
        switch fault {
        case .killQQ, .killAnyQQ: kill(target.qq, SIGKILL)
        case .killGuardian, .killAnyGuardian: kill(target.guardian, SIGKILL)
        case .killBoth:
            kill(target.guardian, SIGKILL)
            kill(target.qq, SIGKILL)
        case .killCommand: if let command = target.command { kill(command, SIGKILL) }
        case .stopQQ, .stopAnyQQ: await hold([target.qq], for: length)
        case .stopGuardian, .stopAnyGuardian: await hold([target.guardian], for: length)
        case .stopBoth: await hold([target.guardian, target.qq], for: length)
        case .stopCommand: await hold([target.command].compactMap { $0 }, for: length)
        case .freezeGuardian: await freeze(target.guardian, for: length)
        case .terminate: kill(target.qq, SIGTERM)
        case .stepDown:
            if let child = try? Child(
                box.launch(
                    [Sandbox.binary, "step-down", election(&generator), "--yes", "--timeout", "2s"]
                        + (surroundings.forcesStepDown ? ["--force"] : []), environment: environment))
            {
                while child.isRunning { try? await Task.sleep(for: .milliseconds(5)) }
            }
        case .foreignWrite, .pauseServer, .killServer, .badAnswers, .cutOff, .replacePeer:
            await surroundings.cause(fault, in: election(&generator), for: length, &generator)
        }
    }

    /// The election, or one of the slots' elections.
    private func election(_ generator: inout SeededGenerator) -> String {
        slots > 1 ? Slot(Int.random(in: 1...slots, using: &generator), of: slots, election: name).name : name
    }

    private func hold(_ pids: [pid_t], for length: Duration) async {
        for pid in pids { kill(pid, SIGSTOP) }
        try? await Task.sleep(for: length)
        for pid in pids { kill(pid, SIGCONT) }
    }

    private func freeze(_ pid: pid_t, for length: Duration) async {
        guard let freezer = Freezer("qq-torture-\(getpid())-\(pid)") else { return }
        if freezer.add(pid), freezer.freeze() { try? await Task.sleep(for: length) }
        freezer.thaw()
        for _ in 0..<400 where !freezer.remove() { try? await Task.sleep(for: .milliseconds(25)) }
    }

    // MARK: Results

    func readLog(_ log: inout TermLog) { log.readOn() }

    var newLog: TermLog { TermLog(log, slots: slots) }

    /// Each case of a command that ran while a peer led by right.
    var violations: [String] { surroundings.violations(newLogRead.terms, in: name) }

    private var newLogRead: TermLog {
        var log = newLog
        log.readOn()
        return log
    }

    var faultCount: Int { faults.withLock { $0.values.reduce(0, +) } }

    var faultText: String {
        faults.withLock { faults in
            faults.sorted { $0.key.rawValue < $1.key.rawValue }.map { "\($0.key.rawValue) \($0.value)" }.joined(separator: ", ")
        }
    }

    var codeText: String { codes.withLock { $0.sorted { $0.value > $1.value }.map { "\($0.key) \($0.value)" }.joined(separator: ", ") } }

    var errorTail: String { String(readText(box.path("errors-\(title)")).suffix(1500)) }
}
