import CKernel
import Glibc
import QQCore
import QQLoop

/// Runs a command while, and only while, this process leads: carries out the actions of `GuardSession`.
public struct GuardedCommand: Sendable {
    /// The variables for the command and for hooks.
    public typealias Environment = @Sendable (HookEvent, Grant) -> [(name: String, value: String)]

    let guardian: Guardian
    let front: FrontProcess?
    let lifeline: CInt?
    let loop: MainLoop
    let lease: SessionDriver
    let configuration: GuardSession.Configuration
    let hooks: Hooks
    let environment: Environment
    let commandVariables: [(name: String, value: String)]
    let mark: @Sendable (Grant) -> TermMark
    let deputy: @Sendable (Grant) -> Deputy?
    let follow: @Sendable (SessionEvent) -> Void
    let elected: @Sendable () -> Void
    let holding: @Sendable (GuardSession.Holding?) -> Void
    let tell: @Sendable (GuardSession.Message) -> Void
    let hookFailed: @Sendable (String, String) -> Void

    /// - Parameters:
    ///   - guardian: forked before any thread was started.
    ///   - lifeline: the lifeline pipe, which reaches its end when the session that started this process has ended.
    ///   - lease: the session of the lease that the command runs under; it has not been run.
    ///   - commandVariables: variables that the command gets in addition to `environment`, and hooks do not get.
    ///   - mark: marks the processes of a term, which only its grant names.
    ///   - deputy: gives a lease up if this process is killed; nil if the lease is then left to expire.
    ///   - follow: called with every event of the lease session when it happens. It must not block.
    ///   - elected: called when a term begins, before its hooks and the command.
    ///   - holding: called when the term that is held changes, before anything is done about that: before the command is ended and the lease released.
    public init(
        guardian: Guardian, front: FrontProcess?, lifeline: CInt? = nil, loop: MainLoop, lease: SessionDriver,
        configuration: GuardSession.Configuration, hooks: Hooks, environment: @escaping Environment,
        commandVariables: [(name: String, value: String)] = [],
        mark: @escaping @Sendable (Grant) -> TermMark, deputy: @escaping @Sendable (Grant) -> Deputy?,
        follow: @escaping @Sendable (SessionEvent) -> Void, elected: @escaping @Sendable () -> Void,
        holding: @escaping @Sendable (GuardSession.Holding?) -> Void,
        tell: @escaping @Sendable (GuardSession.Message) -> Void, hookFailed: @escaping @Sendable (String, String) -> Void
    ) {
        self.guardian = guardian
        self.front = front
        self.lifeline = lifeline
        self.loop = loop
        self.lease = lease
        self.configuration = configuration
        self.hooks = hooks
        self.environment = environment
        self.commandVariables = commandVariables
        self.mark = mark
        self.deputy = deputy
        self.follow = follow
        self.elected = elected
        self.holding = holding
        self.tell = tell
        self.hookFailed = hookFailed
    }

    /// Signals for the command, not for qq. `signals` adds SIGCHLD, for orphans of hooks and other children, which become children of this process.
    public static let forwarded = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT, SIGTSTP]
    public static let signals = forwarded + [SIGCHLD]

    private enum Input: Sendable {
        case event(GuardSession.Event)
        case elected(Grant, (any LivenessLock)?)
        case timer(UInt64)
    }

    /// Returns the outcome, once the command and everything that it started have ended and the lease is released.
    public func run(signals: SignalSource) async -> GuardSession.Outcome {
        let (inputs, post) = AsyncStream.makeStream(of: Input.self)
        let queue = HookQueue(hooks, on: loop, failed: hookFailed)
        var leavesSurvivors = false
        let outcome = await withTaskGroup(of: Void.self) { group in
            group.addTask {
                let outcome = await lease.run { event, livenessLock in
                    follow(event)
                    if case .elected(let grant) = event {
                        post.yield(.elected(grant, livenessLock))
                    } else {
                        post.yield(.event(.lease(event)))
                    }
                }
                post.yield(.event(.leaseEnded(outcome)))
            }
            group.addTask {
                while let report = try? await guardian.next() { post.yield(.event(.guardian(report))) }
                if !Task.isCancelled { post.yield(.event(.guardianEnded)) }
            }
            group.addTask {
                while let signal = try? await signals.next() {
                    if signal == SIGCHLD { ChildProcesses.reap() } else { post.yield(.event(.signal(signal))) }
                }
            }
            group.addTask { await queue.run { post.yield(.event(.hooksRan)) } }
            if let front {
                group.addTask { if (try? await loop.readable(front.descriptor)) != nil { post.yield(.event(.frontEnded)) } }
            }
            if let lifeline {
                group.addTask { if (try? await loop.readable(lifeline)) != nil { post.yield(.event(.frontEnded)) } }
            }
            var session = GuardSession(configuration)
            var livenessLock: (any LivenessLock)?
            var timerNumber: UInt64 = 0
            var held: GuardSession.Holding?
            for await input in inputs {
                let actions: [GuardSession.Action]
                switch input {
                case .timer(let number) where number != timerNumber: actions = []
                case .timer: actions = session.handle(.timer, at: loop.now())
                case .elected(let grant, let given):
                    elected()
                    livenessLock = given
                    actions = session.handle(.lease(.elected(grant)), at: loop.now())
                case .event(let event): actions = session.handle(event, at: loop.now())
                }
                if session.holding != held {
                    held = session.holding
                    holding(held)
                }
                for action in actions {
                    switch action {
                    case .exit(let outcome):
                        if case .commandEnded(.died(signal: SIGINT)) = outcome, front?.givesTerminal == true {
                            front?.commandWasInterrupted()
                        }
                        group.cancelAll()
                        return outcome
                    case .timer(let instant):
                        timerNumber += 1
                        let number = timerNumber
                        group.addTask { if (try? await loop.sleep(until: instant)) != nil { post.yield(.timer(number)) } }
                    case .hooks(let event, let grant): queue.add(event, environment: environment(event, grant))
                    case .endHook: queue.endHook(withBatches: false)
                    case .endHooks: queue.endHook(withBatches: true)
                    case .run(let grant, let number):
                        do throws(SystemCallError) { try start(number, under: grant, livenessLock: livenessLock) } catch {
                            // If the guardian has ended, its reports end as well. Other errors, such as too large an environment, are
                            // reported here.
                            if error.code != EPIPE, error.code != ECONNRESET { post.yield(.event(.guardian(.notRun(error.code)))) }
                        }
                        // The guardian and the command have the liveness lock now. This process's copy must not outlive them.
                        livenessLock?.close()
                    case .stopLease: lease.stop()
                    case .renewNow: lease.renewNow()
                    case .endByForce: post.yield(.event(.forced(guardian.endByForce())))
                    case .look: post.yield(.event(.looked(guardian.look())))
                    case .message(let message):
                        if case .leftAlive = message { leavesSurvivors = true }
                        tell(message)
                    default: carryOut(action)
                    }
                }
            }
            return .lost("stopped")
        }
        guardian.dismiss(withSurvivors: leavesSurvivors)
        return outcome
    }

    private func start(_ number: UInt64, under grant: Grant, livenessLock: (any LivenessLock)?) throws(SystemCallError) {
        try guardian.run(
            number, environment: environment(.elected, grant) + commandVariables, mark: mark(grant), grant: grant,
            timing: configuration.timing.fitting(grant.ttl),
            livenessLock: livenessLock, deputy: deputy(grant), takesTerminal: front?.givesTerminal ?? false)
        closeStandardStreams()
    }

    /// The standard streams belong to the command: a reader of its output must see the end of file as soon as the command closes it.
    /// Messages still go to stderr.
    private func closeStandardStreams() {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        guard null >= 0 else { return }
        dup2(null, 0)
        dup2(null, 1)
        if null > 2 { close(null) }
    }

    private func carryOut(_ action: GuardSession.Action) {
        switch action {
        case .extend(let grant, let number): guardian.extend(to: grant, timing: configuration.timing.fitting(grant.ttl), number)
        case .pass(let signal, let number, let end): guardian.pass(signal, number, validUntil: end)
        case .terminate(let number): guardian.terminate(grace: configuration.timing.grace, number)
        case .kill(let number): guardian.kill(number)
        case .passByForce(let signal, let group): guardian.passByForce(signal, to: group)
        case .terminateByForce: guardian.terminateByForce()
        case .commandRuns(let pid): front?.commandRuns(pid)
        case .commandStopped(let signal): front?.commandStopped(by: signal)
        case .message, .hooks, .endHook, .endHooks, .run, .stopLease, .renewNow, .endByForce, .look, .timer, .exit: break
        }
    }
}
