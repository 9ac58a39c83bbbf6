import CKernel
import Glibc
import QQCore
import QQLoop
import QQREPL
import Synchronization

import class LeaderElection.LeaseFolders

/// A session: a process that runs lines one after the other, and holds leases between them. A user types the lines, or a script contains them.
final class Session: Sendable {
    struct State {
        /// The context that `use` chose; nil before that.
        var context: String?
        var jobs: [Int: Job] = [:]
        var foreground: Foreground?
        /// Whether the reader of stdout has closed its end.
        var hasClosedPipe = false
        /// The guarded command that the session waits for.
        var process: SessionProcess?
        /// All guarded commands that are alive.
        var processes: [pid_t: SessionProcess] = [:]
        /// The end of the lifeline pipe that guarded commands inherit.
        var lifeline: CInt?
        /// The line that is being typed, or the next one of a script.
        var reading: Task<String?, any Error>?
        /// The question that the user is being asked.
        var question: Task<String?, Never>?
        /// The signal that ends the session.
        var leaving: CInt?
        /// The task that releases everything at the end.
        var ending: Task<Void, Never>?
        /// The server of lines that do not name one, for the prompt.
        var server: (context: String?, system: String) = (nil, "qq")
        /// The elections and members that the server had at the last read, for completion.
        var elections: [ElectionState] = []
        var members: Set<String> = []

        var nextNumber: Int { (jobs.keys.max() ?? 0) + 1 }

        func number(of process: SessionProcess) -> Int? {
            jobs.first { if case .process(let found) = $0.value.work { found === process } else { false } }?.key
        }
    }

    /// A command that runs while the next line is typed.
    struct Job: Sendable {
        /// The line that started it, without credentials.
        let line: String
        let startedAt: BootInstant
        let work: Work
        var isStopped = false

        enum Work: Sendable {
            case task(StopButton, Task<Int32, Never>)
            case process(SessionProcess)
        }
    }

    /// The command that the session waits for.
    struct Foreground: Sendable {
        let button: StopButton
        let task: Task<Int32, Never>
        var interrupts = 0
    }

    /// The outcome of a line: continue with its exit code, or leave the session.
    enum Step: Sendable, Equatable {
        case goOn(Int32)
        case leave
    }

    let loop: MainLoop
    /// The command line that started the session. Its flags about server, identity and output apply to each line.
    let base: Invocation
    let leases: SessionLeases
    private let folders = LeaseFolders()
    /// The metrics of all lines; nil if nothing shows them.
    private let metrics: Metrics?
    let messages: Messages
    let output: Output
    let state = Mutex(State())
    let isInteractive: Bool
    /// Whether the script is on stdin. If so, the commands that it starts must not read from stdin.
    let scriptIsInput: Bool

    init(_ base: Invocation, loop: MainLoop, metrics: Metrics? = nil, isInteractive: Bool) {
        self.base = base
        self.metrics = metrics
        self.loop = loop
        self.isInteractive = isInteractive
        scriptIsInput = !isInteractive && base.scriptFile == nil
        let messages = Messages(base)
        self.messages = messages
        let output = Output(base)
        self.output = output
        leases = SessionLeases(loop: loop) { text, color in
            // The stdout of a script is for answers only.
            if isInteractive, output.form == .terminal { Session.tell(text, color, output) } else { messages.note(text) }
        }
    }

    /// Reports something that happened in the background.
    func tell(_ text: String, _ color: Output.Color) { leases.tell(text, color) }

    /// Reports something that happened in the background, with its time.
    static func tell(_ text: String, _ color: Output.Color, _ output: Output) {
        try? output.print(output.color(ClockTime.text(.now()), .faint) + "  " + output.color(Printable.text(text), color))
    }

    // MARK: One line

    /// Runs a line.
    /// - Throws: `UsageError` or `CoordinationError` about the line.
    func run(_ line: CommandLine, text: String) async throws -> Step {
        guard let first = line.words.first else { return .goOn(ExitCode.yes) }
        if let own = SessionCommand(rawValue: first) {
            guard !line.isInBackground else { throw UsageError("'\(first)' does not run in the background", hint: nil) }
            return try await run(own, Array(line.words.dropFirst()))
        }
        if first == CommandName.help.rawValue, line.words.count == 2, let own = SessionCommand(rawValue: line.words[1]) {
            try output.print(own.summary)
            return .goOn(ExitCode.yes)
        }
        if !first.hasPrefix("-"), Commands.named(first) == nil {
            let near = Suggestion.hint(for: first, among: Commands.visible.map(\.name) + SessionCommand.allCases.map(\.rawValue))
            throw UsageError("unknown command \(first.quoted)", hint: near ?? "see 'help' for the commands")
        }
        switch try Parser.parse(line.words, inSession: true) {
        case .version: try Output.write(Build.text)
        case .noCommand: throw UsageError("no command given", hint: "see 'help' for the commands")
        case .help(nil, _) where first != Flags.help.erased.long: try Output.write(SessionHelp.text)
        case .help(let command, let long):
            try Output.write(String(helpText(for: command, long: long, width: columns).dropLast()))
        case .run(let invocation): return .goOn(try await run(invocation, line, text))
        }
        return .goOn(ExitCode.yes)
    }

    /// Waits until stdout has taken the answer of a line, a signal ends the session, or a lease is lost.
    /// - Returns: the error if stdout cannot be written.
    func delivered() async -> CoordinationError? {
        Streams.settle(within: .milliseconds(1))
        if Streams.isIdle(STDOUT_FILENO) {
            do throws(CoordinationError) { try Streams.check() } catch { return error }
            return nil
        }
        let loop = loop
        let waiting = Task<String?, any Error>(executorPreference: loop) {
            try await Streams.delivered(on: loop)
            return nil
        }
        state.withLock { $0.reading = waiting }
        defer { state.withLock { $0.reading = nil } }
        do { _ = try await waiting.value } catch { return error as? CoordinationError }
        return nil
    }

    var columns: Int {
        let columns = Int(qq_terminal_columns(1))
        return columns > 0 ? columns : 80
    }

    private func run(_ invocation: Invocation, _ line: CommandLine, _ text: String) async throws -> Int32 {
        let invocation = filled(invocation)
        if invocation.command.id == .repl { throw UsageError("a session runs already", hint: "leave it with 'exit'") }
        // Manual pages are also shown by a separate program.
        if invocation.trailing != nil || (isInteractive && invocation.command.id == .man) {
            return try await runProcess(invocation, isInBackground: line.isInBackground, text)
        }
        let button = StopButton()
        let task = Task(executorPreference: loop) { [self] () async -> Int32 in
            do { return try await evaluate(invocation, button, isInBackground: line.isInBackground) } catch {
                if (error as? CoordinationError)?.code == Output.closedPipe { state.withLock { $0.hasClosedPipe = true } }
                return Self.told(error, messages)
            }
        }
        guard line.isInBackground else { return await inForeground(button, task) }
        start(text, .task(button, task))
        return ExitCode.yes
    }

    /// Adds the session's flags to a line, for everything that the line does not set itself.
    func filled(_ invocation: Invocation) -> Invocation {
        let ofServers = ContextsFile.flags.map(\.name) + [Flags.context.erased.name]
        // The session keeps its metrics itself. Each line would replace the file.
        var values = base.values.filter { ![Flags.help.erased.name, Flags.metricsFile.erased.name].contains($0.name) }
        let context = state.withLock { $0.context }
        // A server that the line names, or else the context that `use` chose, replaces the session's server together with its credentials.
        let namesServer = [Flags.server.erased, Flags.clusterConfig.erased, Flags.context.erased].contains { invocation.isGiven($0) }
        // Contexts are looked at and chosen whatever the session's server is.
        let action = invocation.command.id == .context ? invocation.positionals.first.flatMap { ContextCommand.Action(rawValue: $0) } : nil
        let isAboutContexts = action.map { ![.add, .test].contains($0) && !invocation[Flags.effective] } ?? false
        if namesServer || context != nil || isAboutContexts { values.removeAll { ofServers.contains($0.name) } }
        if isAboutContexts { return added(values, to: invocation) }
        if !namesServer, let context { values += flags(of: context) }
        // If the line has one of two flags that exclude each other, the session supplies neither.
        for rule in invocation.command.rules {
            guard case .exclusive(let one, let other) = rule, invocation.isGiven(one) || invocation.isGiven(other) else { continue }
            values.removeAll { $0.name == one.name || $0.name == other.name }
        }
        return added(values, to: invocation)
    }

    /// Adds those flags that the line's command has and the line does not set.
    private func added(_ values: [GivenFlag], to invocation: Invocation) -> Invocation {
        invocation.adding(
            values.filter { value in
                invocation.command.flags.contains { $0.name == value.name } && !invocation.values.contains { $0.name == value.name }
            })
    }

    /// The flags that choose a context and its server. As flags they override the environment, as `use` should.
    private func flags(of context: String) -> [GivenFlag] {
        var values = [GivenFlag(name: Flags.context.erased.name, text: context, value: context)]
        guard case .run(let line)? = try? Parser.parse(["status", "--all"]),
            let choice = (try? ContextChoice(for: line.adding(values))) ?? nil
        else { return values }
        for flag in [Flags.server.erased, Flags.clusterConfig.erased] {
            if let text = choice.text(flag.name) { values.append(GivenFlag(name: flag.name, text: text, value: text)) }
        }
        return values
    }

    private func evaluate(_ invocation: Invocation, _ button: StopButton, isInBackground: Bool) async throws -> Int32 {
        if invocation.command.id == .context, try ContextCommand.testing(invocation) == nil {
            return try await ContextCommand(invocation).run(on: loop)
        }
        if let code = try runWithoutServer(invocation) { return code }
        if let replay = try await Replay(invocation, loop: loop, signals: button, mayDraw: !isInBackground) {
            return try await replay.run()
        }
        let invocation = try ContextCommand.testing(invocation) ?? invocation
        // All leases that the session holds share one `LeaseFolders`. Other commands have their own, as outside of a session.
        let folders = invocation.command.id == .acquire ? folders : LeaseFolders()
        let setup = try Setup(invocation, loop: loop, signals: button, mayDraw: !isInBackground, folders: folders, metrics: metrics)
        if setup.server.system.isOverNetwork { try Room.check(.network) }
        switch invocation.command.id {
        // The connection stays open because the lease needs it.
        case .acquire: return try await leases.acquire(setup, signals: button)
        case .release where !invocation[Flags.cancelWait] && setup.givenIdentity == nil && leases.holds(setup.name, at: setup.server),
            .stepDown where leases.holds(setup.name, at: setup.server) && !invocation.isGiven(Flags.node):
            let grant = leases.grant(of: setup.name, at: setup.server)
            try await leases.release(setup.name, at: setup.server)
            try setup.printReleased(grant)
            return ExitCode.yes
        default: break
        }
        let result: Result<Int32, any Error>
        do { result = .success(try await setup.counting { try await setup.run() }) } catch { result = .failure(error) }
        await setup.coordinator.close()
        refreshElections()
        return try result.get()
    }

    /// Reports an error on stderr.
    /// - Returns: its exit code.
    static func told(_ error: any Error, _ messages: Messages) -> Int32 {
        switch error {
        case let error as UsageError:
            Messages.error(error)
            return ExitCode.usage
        case let error as CoordinationError:
            // Ends the session in silence.
            if error.code != Output.closedPipe { messages.error(error) }
            return error.exitCode
        case is CancellationError: return ExitCode.signal(SIGINT)
        default:
            messages.error(
                CoordinationError(.unavailable, "cannot continue", because: ForeignError.reason("an error that qq does not know", error)))
            return ExitCode.unavailable
        }
    }

    // MARK: Completion

    /// Reads the elections of the server, for completion. Failures are therefore ignored.
    /// - Parameter withMembers: whether to read the members as well, if the system has members.
    func refreshElections(withMembers: Bool = false) {
        guard isInteractive else { return }
        Task(executorPreference: loop) { [self] in
            guard let coordinator = quietSetup()?.coordinator else { return }
            if let found = try? await coordinator.lister?.list() {
                let elections = coordinator.grouped(found)
                state.withLock { $0.elections = elections }
            }
            if withMembers, coordinator.capabilities.has(.members) {
                let members = await coordinator.clusterStatus().members
                state.withLock { $0.members = Set(members.map(\.id)) }
            }
            await coordinator.close()
        }
    }

    /// The setup of a line that does not name a server; nil if it cannot be resolved.
    func quietSetup() -> Setup? {
        guard case .run(let line)? = try? Parser.parse(["status", "--all", "--timeout", "2s", "--retries", "0", "--quiet"]) else {
            return nil
        }
        return try? Setup(filled(line), loop: loop, signals: StopButton(), mayDraw: false)
    }
}
