import Glibc
import Synchronization

/// A terminal as a user has it, with a screen that can be read: a tmux server of its own, which ends with the sandbox.
public final class Tmux: Sendable {
    private let sandbox: Sandbox
    private let socket: String
    private let server: pid_t
    /// The program in the terminal.
    public let pid: pid_t
    private let looks = Atomic(0)

    /// Starts a program in a new terminal.
    /// - Parameter environment: in addition to the sandbox's. `TERM` is the type of terminal that the program sees.
    public init(
        _ words: [String], in sandbox: Sandbox, columns: Int = 80, rows: Int = 24, environment: [String: String] = [:]
    ) async throws {
        self.sandbox = sandbox
        let name = "tmux-\(UInt32.random(in: 0 ... .max))"
        socket = sandbox.path(name)
        // The program has the whole screen, which can still be read after the program has ended.
        let settings = [
            "set -g status off", "set -g remain-on-exit on", "set -g remain-on-exit-format ''", "set -g history-limit 5000",
            "set -s escape-time 0", "set -s set-clipboard off",
        ]
        try sandbox.write(settings.joined(separator: "\n") + "\n", to: name + ".conf")
        let variables = ["TERM": "screen"].merging(environment) { $1 }.map { "\($0.key)=\($0.value)" }
        let start = ["tmux", "-u", "-S", socket, "-f", socket + ".conf", "new-session", "-d", "-s", "test"]
        // `env` comes after tmux has set TERM.
        _ = try await Self.run(
            start + ["-x", "\(columns)", "-y", "\(rows)", "--", "/usr/bin/env"] + variables + words, output: socket + ".out", in: sandbox)
        let server = try await Self.run(
            ["tmux", "-S", socket, "display-message", "-p", "-t", "test", "#{pid} #{pane_pid}"], output: socket + ".out", in: sandbox)
        let numbers = server.split(whereSeparator: { $0 == " " || $0 == "\n" }).compactMap { pid_t($0) }
        guard numbers.count == 2 else { throw CannotStart("tmux did not report its processes: \(server)") }
        (self.server, pid) = (numbers[0], numbers[1])
        try Watchdog.watch(numbers[0], in: sandbox)
        // Its programs get SIGHUP, as when a user closes the window.
        sandbox.atClose { kill(numbers[0], SIGTERM) }
    }

    private static func run(_ words: [String], output: String, in sandbox: Sandbox) async throws -> String {
        unlink(output)
        var launch = sandbox.launch(words)
        launch.output = .file(output)
        launch.errors = .file(output)
        let ending = try await Child(launch).wait("the end of \(words.joined(separator: " "))")
        let text = readText(output)
        guard ending == .exited(0) else { throw CannotStart("\(words.joined(separator: " ")): \(text)") }
        return text
    }

    private func ask(_ words: String...) async throws -> String { try await ask(words) }

    private func ask(_ words: [String]) async throws -> String {
        let number = looks.add(1, ordering: .relaxed).newValue
        let output = "\(socket).\(number)"
        defer { unlink(output) }
        return try await Self.run(["tmux", "-u", "-S", socket] + words, output: output, in: sandbox)
    }

    // MARK: The keyboard

    /// Types text, without Enter.
    public func type(_ text: String) async throws { _ = try await ask(["send-keys", "-t", "test", "-l", "--", Self.escaped(text)]) }

    /// Presses keys by their names in tmux: `Enter`, `Tab`, `Up`, `Left`, `Home`, `BSpace`, `C-a`, `M-b`.
    public func press(_ keys: String...) async throws { _ = try await ask(["send-keys", "-t", "test", "--"] + keys) }

    /// Types a line and Enter.
    public func enter(_ line: String) async throws {
        _ = try await ask(["send-keys", "-t", "test", "-l", "--", Self.escaped(line), ";", "send-keys", "-t", "test", "Enter"])
    }

    /// Pastes text in one piece, as a terminal does.
    public func paste(_ text: String) async throws {
        _ = try await ask(["set-buffer", "-b", "test", "--", Self.escaped(text), ";", "paste-buffer", "-p", "-t", "test", "-b", "test"])
    }

    /// A semicolon at the end of a word would end the command.
    private static func escaped(_ text: String) -> String { text.hasSuffix(";") ? text.dropLast() + "\\;" : text }

    public func resize(columns: Int, rows: Int = 24) async throws {
        _ = try await ask("resize-window", "-t", "test", "-x", "\(columns)", "-y", "\(rows)")
    }

    // MARK: The screen

    /// The text on the screen, in lines without trailing spaces.
    /// - Parameters:
    ///   - isJoined: whether a line that was wrapped at the margin counts as one.
    ///   - isWhole: whether lines that have scrolled off the top come first.
    public func screen(isJoined: Bool = false, isWhole: Bool = false) async throws -> String {
        let text = try await ask(
            ["capture-pane", "-p", "-t", "test"] + (isJoined ? ["-J"] : []) + (isWhole ? ["-S", "-"] : []))
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            String(line.reversed().drop { $0 == " " }.reversed())
        }
        while lines.last?.isEmpty == true { lines.removeLast() }
        return lines.joined(separator: "\n")
    }

    /// The text on the screen with the escape codes of its colours.
    public func coloredScreen() async throws -> String { try await ask("capture-pane", "-p", "-e", "-t", "test") }

    /// Position of the cursor, from 0.
    public var cursor: (column: Int, row: Int) {
        get async throws {
            let numbers = try await ask("display-message", "-p", "-t", "test", "#{cursor_x} #{cursor_y}").split { $0 == " " || $0 == "\n" }
                .compactMap { Int($0) }
            guard numbers.count == 2 else { throw CannotStart("tmux did not report the position of the cursor") }
            return (numbers[0], numbers[1])
        }
    }

    /// Whether the program has switched to the alternate screen.
    public var showsOtherScreen: Bool {
        get async throws { try await ask("display-message", "-p", "-t", "test", "#{alternate_on}").hasPrefix("1") }
    }

    /// Waits until the screen meets the condition.
    /// - Returns: the screen at that time.
    @discardableResult
    public func wait(
        for what: String, isJoined: Bool = false, isWhole: Bool = false, within limit: Duration = waitingTime,
        _ condition: @Sendable (String) -> Bool
    ) async throws -> String {
        let end = ContinuousClock.now + limit
        while true {
            let screen = try await screen(isJoined: isJoined, isWhole: isWhole)
            if condition(screen) { return screen }
            if ContinuousClock.now >= end { throw TimedOut("waited \(limit) in vain for \(what); the screen shows:\n\(screen)\n") }
            try await Task.sleep(for: .milliseconds(25))
        }
    }

    /// Waits until the screen, or the lines that have scrolled off its top, shows this text. A line that was wrapped at the margin counts as one.
    @discardableResult
    public func expect(_ text: String, within limit: Duration = waitingTime) async throws -> String {
        try await wait(for: "'\(text)'", isJoined: true, isWhole: true, within: limit) { $0.contains(text) }
    }

    /// Waits until this is a whole line of the screen, or of the lines that have scrolled off its top.
    @discardableResult
    public func expectLine(_ line: String, within limit: Duration = waitingTime) async throws -> String {
        try await wait(for: "the line '\(line)'", isJoined: true, isWhole: true, within: limit) {
            $0.split(separator: "\n").contains { $0 == line }
        }
    }

    /// Waits until the screen no longer shows this text.
    @discardableResult
    public func expectGone(_ text: String, within limit: Duration = waitingTime) async throws -> String {
        try await wait(for: "the end of '\(text)'", isJoined: true, within: limit) { !$0.contains(text) }
    }

    /// Waits until the last line of the screen is this one.
    @discardableResult
    public func expectLast(_ line: String, within limit: Duration = waitingTime) async throws -> String {
        try await wait(for: "'\(line)' as the last line", isJoined: true, within: limit) {
            $0.split(separator: "\n").last.map { $0 == line } ?? false
        }
    }

    // MARK: The end

    /// Closes the terminal, as a user closes a window.
    public func close() async throws { _ = try await ask("kill-server") }

    /// How the program ended; nil while the program runs.
    public var ending: Ending? {
        get async throws {
            let fields = try await ask("display-message", "-p", "-t", "test", "#{pane_dead},#{pane_dead_status},#{pane_dead_signal}")
                .split(separator: ",", omittingEmptySubsequences: false).map { String($0.filter { $0 != "\n" }) }
            // tmux knows that the terminal is closed before it knows how the program ended.
            guard fields.count == 3, fields[0] == "1" else { return nil }
            if let signal = Int32(fields[2]) { return .died(signal: signal) }
            if let code = Int32(fields[1]) { return .exited(code) }
            // tmux 3.3a can miss a SIGCHLD that arrives while it does something else, and would never notice the end.
            kill(server, SIGCHLD)
            return nil
        }
    }

    /// Waits until the program has ended.
    @discardableResult
    public func end(within limit: Duration = waitingTime) async throws -> Ending {
        let end = ContinuousClock.now + limit
        while true {
            if let ending = try await ending { return ending }
            if ContinuousClock.now >= end {
                throw TimedOut("waited \(limit) in vain for the end of the program; the screen shows:\n\(try await screen())\n")
            }
            try await Task.sleep(for: .milliseconds(25))
        }
    }
}
