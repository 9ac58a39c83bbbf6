import CKernel
import Glibc
import QQCore
import QQGuard
import QQLoop

/// Runs `qq` with the arguments of this process, and ends it with the exit code.
public func runAndExit() -> Never { runAndExit(systems: Systems.builtIn) }

/// Runs `qq` for these systems.
func runAndExit(systems: [SystemDescription]) -> Never {
    leaveProcessOne()
    Systems.use(systems)
    qq_reserve_standard_streams()
    qq_use_one_heap()
    rememberSignals()
    // The reader of the output can end at any time. That must not end this process while it holds a lease.
    signal(SIGPIPE, SIG_IGN)
    // A write beyond the limit on the size of files (ulimit -f) fails instead, and is reported.
    signal(SIGXFSZ, SIG_IGN)
    // On a terminal Swift would answer Ctrl-\ with a stack trace.
    if qq_signal_is_ignored(SIGQUIT) == 0 { signal(SIGQUIT, SIG_DFL) }
    let arguments = processArguments().dropFirst().map { String(cString: $0) }
    let environment: UsageError?
    do throws(UsageError) {
        try GivenText.checkEnvironment()
        environment = nil
    } catch { environment = error }
    Hidden.take()
    let code = run(arguments, environment)
    let isOpen = Streams.finish()
    guard let code, isOpen || code != ExitCode.yes else { Streams.endByClosedPipe() }
    exit(code)
}

/// Ends this process by the default action of a signal, as if it had been neither blocked nor ignored.
func endProcess(by number: CInt) -> Never {
    var only = sigset_t()
    sigemptyset(&only)
    sigaddset(&only, number)
    signal(number, SIG_DFL)
    sigprocmask(SIG_UNBLOCK, &only, nil)
    raise(number)
    exit(ExitCode.signal(number))
}

/// The words that this process was started with, its own name first, byte for byte.
func processArguments() -> [UnsafeMutablePointer<CChar>] {
    var count: CInt = 0
    guard let words = qq_arguments(&count) else { return [] }
    return (0..<Int(count)).compactMap { words[$0] }
}

/// - Parameter problem: the error in the environment, if there is one.
/// - Returns: the exit code; nil if stdout is a pipe that its reader has closed.
private func run(_ arguments: [String], _ problem: UsageError?) -> Int32? {
    do {
        try Room.check(.start)
        if arguments.first == DeputyCommand.word { return try DeputyCommand.run(Array(arguments.dropFirst())) }
        switch try Parser.parse(arguments) {
        case .run(let invocation):
            if let problem { throw problem }
            // The words after `--` belong to the guarded command, and can be any bytes.
            try GivenText.check(words: processArguments().dropFirst().prefix(invocation.trailingStart ?? .max))
            return try run(invocation)
        case .version: return try answer(Build.text)
        case .help(let command, let long):
            let columns = Int(qq_terminal_columns(1))
            return try answer(String(helpText(for: command, long: long, width: columns > 0 ? columns : 80).dropLast()))
        case .noCommand(let session):
            if let session, isatty(0) == 1, isatty(1) == 1 { return try run(session) }
            Messages.error(UsageError("no command given", hint: "see 'qq -h' for the commands"))
            return ExitCode.usage
        }
    } catch let error as UsageError {
        Messages.error(error)
        return ExitCode.usage
    } catch let error as CoordinationError {
        if error.code == Output.closedPipe { return nil }
        Messages.error(error)
        return error.exitCode
    } catch {
        Messages.error(
            CoordinationError(.unavailable, "cannot continue", because: ForeignError.reason("an error that qq does not know", error)))
        return ExitCode.unavailable
    }
}

private func answer(_ text: String) throws(CoordinationError) -> Int32 {
    try Output.write(text)
    return ExitCode.yes
}

/// Runs a command that needs no server.
/// - Returns: the exit code; nil if the command needs a server.
func runWithoutServer(_ invocation: Invocation) throws -> Int32? {
    switch invocation.command.id {
    case .completions: try answer(String((Shell(rawValue: invocation.positionals[0]).map(completionScript) ?? "").dropLast()))
    case .man: try showManual(invocation.positionals.first)
    case .generate: try writeGeneratedFiles(below: invocation.positionals[0])
    case .version: try showVersion(invocation)
    case .context: try ContextCommand.testing(invocation) == nil ? ContextCommand(invocation).run() : nil
    default: nil
    }
}

private func run(_ invocation: Invocation) throws -> Int32 {
    if let code = try runWithoutServer(invocation) { return code }
    let invocation = try ContextCommand.testing(invocation) ?? invocation
    // Before any fork and any thread.
    if invocation.reportsToServiceManager { _ = ServiceManager.current }
    // These commands handle signals, or hold leases. A guarded run makes this call itself, after it has forked.
    if invocation.trailing == nil, [.acquire, .keepalive, .watch, .repl].contains(invocation.command.id) { Streams.neverWait() }
    switch invocation.command.id {
    case .repl: return try runSession(invocation)
    case .acquire where invocation.trailing != nil: return try runGuarded(invocation)
    default:
        return try onLoop { loop in
            if let replay = try await Replay(invocation, loop: loop) { return try await replay.run() }
            let setup = try Setup(invocation, loop: loop)
            try setup.prepare()
            return try await setup.counting { try await setup.serving { try await setup.run() } }
        }
    }
}

/// `qq repl`: a session on a terminal, else a script.
private func runSession(_ invocation: Invocation) throws -> Int32 {
    let isInteractive = isatty(0) == 1 && isatty(1) == 1 && invocation[Flags.script] == nil
    if !isInteractive, invocation[Flags.script] == nil, isatty(0) == 1 {
        throw UsageError("a session needs a terminal for its output, too", hint: "run a script with -f FILE")
    }
    return try onLoop { loop in
        let messages = Messages(invocation)
        let metrics = try invocation[Flags.metricsFile].map { path throws(CoordinationError) in
            try MetricsFile(path, Metrics(clock: loop), loop: loop, report: { messages.note($0) })
        }
        let session = Session(invocation, loop: loop, metrics: metrics?.metrics, isInteractive: isInteractive)
        let run = { @Sendable () async throws -> Int32 in
            if isInteractive { return try await session.interact() }
            return try await session.run(script: invocation.scriptFile, keepsGoing: invocation[Flags.keepGoing])
        }
        guard let metrics else { return try await run() }
        return try await metrics.keeping(run)
    }
}

/// Runs `body` as a task on a loop of its own.
func onLoop(_ body: @escaping @Sendable (MainLoop) async throws -> Int32) throws -> Int32 {
    let loop = try MainLoop()
    let result = loop.run { () async -> Result<Int32, any Error> in
        do { return .success(try await body(loop)) } catch { return .failure(error) }
    }
    return try result?.get() ?? ExitCode.unavailable
}

extension Setup {
    /// Runs `body`, and until it returns writes the file of `--metrics-file`, if there is one.
    func counting<Result: Sendable>(_ body: @Sendable () async throws -> Result) async rethrows -> Result {
        guard let metricsFile else { return try await body() }
        return try await metricsFile.keeping(body)
    }

    func run() async throws -> Int32 {
        switch invocation.command.id {
        case .acquire: try await acquire()
        case .release: try await asking { try await release() }
        case .keepalive: try await keepalive()
        case .status: try await asking { try await status() }
        case .watch: try await watch()
        case .stepDown: try await asking { try await stepDown() }
        case .clusterStatus: try await asking { try await clusterStatus() }
        case .complete: await complete()
        // These are answered before a server is chosen.
        case .context, .repl, .completions, .man, .help, .version, .generate: ExitCode.usage
        }
    }
}
