import Glibc
import QQCore
import QQLoop

/// `watch --replay`: shows a recording as if its events happened now.
struct Replay: Sendable {
    private let recording: Recording
    private let names: [String]
    private let display: any WatchDisplay
    private let clock: ReplayClock
    private let loop: MainLoop
    private let signals: any StopSignals
    private let output: Output

    /// - Parameter signals: the signals that end the replay; nil for SIGINT, SIGTERM and SIGHUP of this process.
    /// - Returns: nil if the command is not a replay.
    /// - Throws: `CoordinationError` about the file or the names.
    init?(_ invocation: Invocation, loop: MainLoop, signals: (any StopSignals)? = nil, mayDraw: Bool = true) async throws {
        guard invocation.command.id == .watch, let path = invocation[Flags.replay] else { return nil }
        var recording = try await Recording(path: path, on: loop)
        let messages = Messages(invocation)
        if recording.isCutOff { messages.note("\(path): the last line is incomplete and is left out") }
        names = try Self.names(invocation.positionals, in: recording, at: path)
        let wanted = Set(names)
        recording.entries.removeAll { if case .change(let change) = $0.event { !wanted.contains(change.state.name) } else { false } }
        self.recording = recording
        self.loop = loop
        self.signals = try signals ?? SignalSource([SIGINT, SIGTERM, SIGHUP], on: loop)
        output = Output(invocation)
        clock = ReplayClock(loop: loop, speed: invocation[Flags.speed] ?? 1)
        let server = recording.entries.first?.server ?? ""
        // The server URL is a placeholder, because only JSON lines name the server, and these are printed as they were recorded.
        let lines = LineDisplay(output: output, messages: messages, server: try Systems.url("file:///"), clock: clock)
        if mayDraw, output.form == .terminal, LiveScreen.isUsable {
            display = LiveDisplay(LiveView(names, at: "\(server), replayed", isUnicode: Letters.areUnicode), lines, on: loop, clock: clock)
        } else {
            display = lines
        }
    }

    private static func names(_ given: [String], in recording: Recording, at path: String) throws(CoordinationError) -> [String] {
        let found = recording.names
        for name in given where !found.contains(name) {
            throw CoordinationError(
                .usage, "cannot replay \(Printable.text(name))", because: "it was not recorded", at: path,
                hint: "recorded: \(found.map { Printable.text($0) }.joined(separator: ", "))")
        }
        return given.isEmpty ? found : found.filter { given.contains($0) }
    }

    /// - Returns: the exit code.
    func run() async throws -> Int32 {
        try await withThrowingTaskGroup(of: Int32.self) { group in
            group.addTask {
                try await display.run()
                return ExitCode.yes
            }
            group.addTask {
                _ = try await signals.next()
                return ExitCode.yes
            }
            group.addTask {
                try await play()
                // The live view stays open until the user leaves it.
                guard let live = display as? LiveDisplay else { return ExitCode.yes }
                live.notice("the end of the recording")
                try await loop.sleep(until: .distantFuture)
                return ExitCode.yes
            }
            defer { group.cancelAll() }
            return try await group.next() ?? ExitCode.unavailable
        }
    }

    private func play() async throws {
        guard let first = recording.entries.first?.time else { return }
        let start = clock.now()
        for entry in recording.entries {
            // Wall clocks can step back. Events keep their order even then.
            try await clock.sleep(until: start + max(entry.time - first, .zero))
            switch entry.event {
            case .connection(let event): display.show(event)
            case .change(let change) where output.form == .json:
                if change.kind != .renewed { try output.print(json: entry.json) }
            case .change(let change): try display.show(change)
            }
            // Every event is printed, however slowly the output is read.
            if !(display is LiveDisplay) { try await Streams.delivered(on: loop) }
        }
    }
}

/// A clock that runs faster or slower than the loop's.
private struct ReplayClock: LeaseClock {
    let loop: MainLoop
    let speed: Double
    let began: BootInstant

    init(loop: MainLoop, speed: Double) {
        self.loop = loop
        self.speed = speed
        began = loop.now()
    }

    func now() -> BootInstant { began + .seconds(saturating: loop.now().duration(since: began).seconds * speed) }

    func sleep(until deadline: BootInstant) async throws {
        guard deadline != .distantFuture else { return try await loop.sleep(until: deadline) }
        try await loop.sleep(until: began + .seconds(saturating: deadline.duration(since: began).seconds / speed))
    }
}
