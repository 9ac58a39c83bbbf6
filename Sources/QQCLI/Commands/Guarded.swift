import CKernel
import Glibc
import QQCore
import QQGuard
import QQLoop
import Synchronization

/// `acquire NAME -- CMD…`: first does everything that must happen before the first thread starts, and then runs the command.
func runGuarded(_ invocation: Invocation) throws -> Int32 {
    guard let start = invocation.trailingStart else { return ExitCode.usage }
    try checkProc()
    let lifeline = Lifeline.take()
    // The checks come before the first fork, so that the process that the user started reports their failures.
    let front = FrontProcess.start()
    Streams.neverWait(mayStartThreads: false)
    becomeSubreaper()
    let loop = try MainLoop()
    let signals = try SignalSource(GuardedCommand.signals, on: loop)
    let setup = try Setup(invocation, loop: loop)
    var plan = try setup.leasePlan(wantsLivenessLock: true)
    plan.configuration.watchesAfter = min(.milliseconds(250), plan.configuration.renewEvery)
    // The command's words byte for byte, whatever their encoding. argv[0] is qq itself.
    let words = processArguments().dropFirst(start + 1).map { Optional($0) } + [nil]
    let guardian = try Guardian(arguments: words, name: setup.name, loop: loop)
    let outerMarks = getenv(TermMark.variable).map { String(cString: $0) }
    // Threads can start from here on.
    Streams.neverWait()
    try setup.prepare()
    let listening = Listening(setup)
    listening?.add(setup.name, as: setup.identity)
    try listening?.start()
    defer { listening?.stop() }
    let title = HeldTitle(setup.name)
    let minimumHold = invocation[Flags.minHold] ?? .zero
    let command = GuardedCommand(
        guardian: guardian, front: front, lifeline: lifeline, loop: loop, lease: setup.driver(plan.configuration),
        configuration: .init(
            minimumHold: minimumHold, maximumRun: invocation[Flags.maxRun],
            timing: .init(ttl: plan.timing.ttl, grace: plan.timing.killAfter)),
        hooks: setup.hooks, environment: { setup.variables($1, as: setup.name, event: $0) },
        commandVariables: invocation[Flags.notify] == .command ? ServiceManager.current.variables : [],
        mark: { grant in
            title.set(setup.title(setup.name, grant))
            return setup.mark(of: grant.name, below: outerMarks)
        },
        deputy: { DeputyCommand.deputy(for: $0, at: setup.server, words: start, notBefore: loop.now() + minimumHold) },
        follow: { setup.serve($0, of: setup.name, as: setup.identity) }, elected: { setup.progressEnds() },
        holding: { listening?.take($0, of: setup.name) },
        tell: { message in
            if case .lease(let event) = message { listening?.takeWait(event, of: setup.name) }
            setup.tell(message, about: title.text)
        },
        hookFailed: { setup.tellFailed(hook: $0, $1) })
    setup.campaignBegins()
    let outcome = loop.run {
        let notices = setup.reportNotices()
        let beating = listening.map { listening in Task(executorPreference: loop) { await listening.keepBeating() } }
        defer {
            notices?.cancel()
            beating?.cancel()
        }
        return await setup.counting { await setup.serving { await command.run(signals: signals) } }
    }
    setup.progress?.end()
    return try setup.exitCode(for: outcome ?? .lost("stopped"), command: invocation.trailing?.first ?? "", title: title.text)
}

/// The name in messages about the command that runs: with slots, also the slot.
private final class HeldTitle: Sendable {
    private let state: Mutex<String>

    init(_ name: String) { state = Mutex(name) }

    var text: String { state.withLock { $0 } }

    func set(_ text: String) { state.withLock { $0 = text } }
}

/// Checks that guarded processes can be found in /proc and named by descriptors, which the guard needs to end them.
private func checkProc() throws(CoordinationError) {
    func failure(_ reason: String, _ hint: String) -> CoordinationError {
        CoordinationError(.configuration, "cannot guard a command", because: reason, at: "/proc", hint: hint)
    }
    switch Int(qq_proc_problem()) {
    case Int(QQ_PROC_USABLE): break
    case Int(QQ_PROC_FOREIGN):
        throw failure(
            "it belongs to another pid namespace, so the processes of the command cannot be found there",
            "mount it for this one: mount -t proc proc /proc, or unshare --mount-proc")
    case Int(QQ_PROC_NO_DESCRIPTORS):
        throw failure(
            "processes cannot be named by descriptors here (pidfd_open: \(SystemCallError("pidfd_open").reason))",
            "use Linux 5.3 or later, and a container runtime that lets this call pass")
    default: throw failure("its processes cannot be found without /proc", "mount it: mount -t proc proc /proc")
    }
    if !BootIdentity.isChildrens {
        throw failure(
            "child processes of this process start in another time namespace, whose clock differs",
            "start qq from a program that is in that namespace already: unshare --time --fork")
    }
    if qq_proc_hides() != 0 {
        throw failure(
            "it hides the processes of other users (hidepid), so a command that changes its user cannot be found there",
            "mount it without hidepid, or add this user to the group of its gid option")
    }
}

extension Setup {
    /// The mark of processes that are guarded under a term of an election.
    /// - Parameter inherited: the value of the variable that this process was started with.
    func mark(of name: String, below inherited: String?) -> TermMark {
        TermMark(
            election: coordinator.electionKeys(name).first ?? name, kind: coordinator.electionKind(name), inherited: inherited)
    }

    /// Ends the left-behind processes of earlier terms of an election on this machine, before a grant counts. With slots, these are the processes of the
    /// slot that was granted: those of other slots work on.
    func clearing(_ name: String) -> SessionDriver.Clearing {
        { grant throws(CoordinationError) in
            let title = Printable.text(title(name, grant))
            let leftovers = Leftovers(
                elections: coordinator.electionKeys(grant.name), kind: coordinator.electionKind(grant.name), loop: loop
            ) { count in
                messages.note("ended \(count) \(count == 1 ? "process" : "processes") that an earlier term of \(title) had left behind")
            }
            try await leftovers.end(before: grant)
        }
    }

    struct LeasePlan {
        var configuration: LeaseSession.Configuration
        var timing: LeaseTiming
    }

    /// The lease that `acquire` asks for. Checks the flags.
    func leasePlan(wantsLivenessLock: Bool, guardsWork: Bool = true) throws(CoordinationError) -> LeasePlan {
        let timing = try LeaseTiming(
            ttl: ttl, renewEvery: renewEvery(of: ttl), killAfter: invocation[Flags.killAfter])
        let request = AcquireRequest(
            name: name, identity: identity, ttl: timing.ttl, wantsLivenessLock: wantsLivenessLock, guardsWork: guardsWork,
            note: invocation[Flags.note])
        try checkToken()
        try contender().validate(name: request.name, identity: request.identity, ttl: request.ttl)
        let waiting: LeaseSession.Waiting =
            switch invocation[Flags.wait] {
            case nil: .no
            case .forever: .forever
            case .atMost(let duration): .until(loop.now() + duration)
            }
        return LeasePlan(
            configuration: .init(request: request, renewEvery: timing.renewEvery, retry: retryPolicy(), waiting: waiting), timing: timing)
    }

    /// Reports that a hook has failed. The lease stays held.
    func tellFailed(hook command: String, _ problem: String) { messages.note("hook '\(command)' failed: \(problem)", .warning) }

    /// - Parameter title: the election, with its slot.
    func tell(_ message: GuardSession.Message, about title: String) {
        switch message {
        case .lease(let event):
            follow(event)
            report(event, of: name, as: identity)
        case .leftBehind(let count):
            messages.note("ended \(count) \(count == 1 ? "process" : "processes") that the command had left behind")
        case .survivor(let pid):
            messages.note(
                "cannot kill process \(pid): it belongs to another user, or hangs in the kernel; the lease is kept until that process ends or the lease expires",
                .warning)
        case .steppingDown(let by): messages.note("asked by \(by) to step down from \(title): ending the command")
        case .notRenewed(let signal):
            metrics?.notRenewed(metered(name))
            messages.note(
                "the lease of \(title) was not renewed in time: \(signal == SIGTERM ? "ending" : "killing") the command", .warning)
        case .guardianKilled: messages.note("the guardian was killed: ending the command", .warning)
        case .guardianSilent: messages.note("the guardian does not answer: qq takes over its work", .warning)
        case .clockJumped(let jump):
            messages.note(
                "the wall clock jumped ahead by \(DurationText.brief(jump)): if the machine was paused, the lease might have expired; renewing it now",
                .warning)
        case .ranTooLong(let limit):
            messages.note(
                "the command has run longer than \(DurationText.brief(limit)) (--max-run): ending it, and releasing \(name)", .warning)
        case .leftAlive(let pid):
            messages.note("process \(pid) is still running; the lease of \(title) is not released, and remains until it expires", .warning)
        case .holding(let until):
            messages.detail(
                "the command has ended; holding \(title) for \(DurationText.brief(until.duration(since: loop.now()))) more (--min-hold)")
        }
    }

    /// The exit code of a guarded run. Reports why the command could not be run.
    /// - Parameter title: the election, with its slot.
    /// - Throws: `CoordinationError` if the run ended without the command, or leadership was lost.
    func exitCode(for outcome: GuardSession.Outcome, command: String, title: String) throws(CoordinationError) -> Int32 {
        switch outcome {
        case .refused(let state): return refused(state)
        case .timedOut(let state): return try timedOut(state)
        case .timedOutInOutage(let error): throw timedOut(in: error)
        case .failed(let error): throw error
        case .commandEnded(let status): return status.exitCode
        case .ranTooLong: return ExitCode.ranTooLong
        case .commandNotRun(let code):
            let isMissing = code == ENOENT
            let isPath = command.utf8.contains(UInt8(ascii: "/"))
            let shown = Printable.text(command)
            let hint: String? =
                switch code {
                case ENOENT where isPath: "check that it exists, and for a script also the interpreter in its first line: ls -l \(shown)"
                case ENOENT: "give its path, or check that it is in PATH"
                case EACCES:
                    isPath
                        ? "check that it is a program, and that this user can run it: chmod +x \(shown)"
                        : "check that this user can run it: command -v \(shown)"
                case E2BIG: "its arguments and environment are too large together: put them in a file"
                default: nil
                }
            messages.error(
                CoordinationError(.usage, "cannot run '\(shown)'", because: SystemCallError("execve", code: code).reason, hint: hint))
            return isMissing ? ExitCode.commandNotFound : ExitCode.commandNotRunnable
        case .lost(let reason):
            throw CoordinationError(
                .lost, "lost \(title) while the command ran, and ended the command", because: reason, at: server.description)
        case .signalled(let number): return ExitCode.signal(number)
        }
    }
}
