import Glibc
import Support
import Testing

/// A program on a terminal of its own, and its output there.
final class AtTerminal {
    let terminal: Terminal
    let child: Child
    private(set) var screen = ""

    init(_ words: [String], in box: Sandbox, environment: [String: String] = [:]) throws {
        terminal = try Terminal()
        var launch = box.launch(words, environment: environment)
        launch.terminal = terminal.path
        child = try Child(launch)
    }

    func type(_ text: String) { terminal.type(text) }

    /// Waits until this text appears on the screen, and drops everything up to its end.
    func expect(_ text: String, within limit: Duration = waitingTime) async throws {
        do {
            try await waitUntil(text, within: limit) {
                screen += terminal.read()
                return screen.contains(text)
            }
        } catch { throw TimedOut("'\(text)' did not appear; the screen shows: \(screen.debugDescription)") }
        // Without Foundation there is no range(of:).
        var rest = Substring(screen)
        while !rest.hasPrefix(text) { rest = rest.dropFirst() }
        screen = String(rest.dropFirst(text.count))
    }

    func ending(within limit: Duration = waitingTime) async throws -> Ending {
        do {
            return try await waitFor("the program's end", within: limit) {
                // Output is read after the check, so that the last output of an ended program is complete.
                let ending = child.ending
                screen += terminal.read()
                return ending
            }
        } catch { throw TimedOut("the program did not end; the screen shows: \(screen.debugDescription)") }
    }
}

/// An interactive bash, as an operator uses it.
final class Shell {
    let at: AtTerminal
    static let prompt = "<ready>"

    init(in box: Sandbox) async throws {
        at = try AtTerminal(
            ["bash", "--norc", "--noprofile", "-i"], in: box,
            environment: ["PS1": Self.prompt, "QQ": Sandbox.binary, "STAMP": Sandbox.stamp, "INPUTRC": "/dev/null", "TERM": "dumb"])
        try await at.expect(Self.prompt)
        // Typed text is not echoed, so that it is not mistaken for an answer.
        at.type("stty -echo; bind 'set enable-bracketed-paste off' 2>/dev/null; set +o emacs +o vi\n")
        try await at.expect(Self.prompt)
        at.type("echo quiet''\n")
        try await at.expect("quiet")
        try await at.expect(Self.prompt)
    }

    /// Types a line, and waits for its answer.
    func run(_ line: String, _ answer: String) async throws {
        at.type(line + "\n")
        try await at.expect(answer)
    }

    func prompt() async throws { try await at.expect(Self.prompt) }

    func leave() async throws {
        at.type("exit 0\n")
        _ = try await at.ending()
    }
}
