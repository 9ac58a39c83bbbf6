import Glibc
import Support
import Testing

/// A user at the prompt of a session.
final class AtPrompt: Sendable {
    let terminal: Tmux
    private let box: Sandbox

    init(
        _ arguments: String..., in box: Sandbox, columns: Int = 80, rows: Int = 24, prompt: String = "file>",
        environment: [String: String] = [:]
    ) async throws {
        self.box = box
        terminal = try await Tmux([Sandbox.binary, "repl"] + arguments, in: box, columns: columns, rows: rows, environment: environment)
        try await terminal.expectLast(prompt)
    }

    /// Enters a line, and waits for its answer and the next prompt.
    func run(_ line: String, _ answer: String) async throws {
        try await terminal.enter(line)
        try await terminal.expect(answer)
        try await isBack()
    }

    /// Waits for an empty prompt.
    func isBack() async throws {
        try await terminal.wait(for: "a prompt", isJoined: true) { Self.last($0).hasSuffix(">") }
    }

    /// The last line of a screen.
    static func last(_ screen: String) -> Substring { screen.split(separator: "\n").last ?? "" }

    /// Leaves with `exit`, and waits for the session's end.
    @discardableResult
    func leave() async throws -> Ending {
        try await terminal.enter("exit")
        return try await terminal.end()
    }
}

extension Sandbox {
    /// The holder of an election according to its lease file; empty if there is none.
    func holder(_ name: String) -> String {
        let text = readText(leaseFile(name))
        guard let mark = text.firstRange(of: "\"holder\": \"") else { return "" }
        return String(text[mark.upperBound...].prefix { $0 != "\"" })
    }

    /// Writes contexts, and returns the environment in which they apply.
    func writeContexts(_ names: String..., current: String? = nil) throws -> [String: String] {
        var text = current.map { "current: \($0)\n" } ?? ""
        text += "contexts:\n"
        for name in names {
            mkdir(path(name), 0o755)
            text += "  \(name):\n    server: file://\(path(name))\n"
        }
        for folder in ["home/.config", "home/.config/qq"] { mkdir(path(folder), 0o700) }
        try write(text, to: "home/.config/qq/contexts.yaml")
        return ["QQ_SERVER": ""]
    }
}
