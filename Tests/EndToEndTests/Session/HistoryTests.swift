import Glibc
import Support
import Testing

@Suite("The history of a session")
struct HistoryTests {
    private func lines(_ box: Sandbox) -> [String] { box.read("state/qq/history").split(separator: "\n").map { String($0) } }

    @Test("the history file is private, without secrets and without lines that begin with a space")
    func file() async throws {
        try await inSandbox { box in
            let person = try await AtPrompt(in: box)
            try await person.run("status web", "nobody")
            try await person.run(" status hidden", "hidden")
            try await person.run("status x -s nats://me:hunter2@127.0.0.1:1 --timeout 100ms --retries 0", "qq: cannot")
            try await person.run("acquire x -- sh -c 'echo --password=hunter2'", "--password=hunter2")
            try await person.run("status api", "nobody")
            try await person.run("status api", "nobody")
            // The arrow keys do not bring such lines back either.
            try await person.terminal.press("Up", "Up")
            try await person.terminal.expectLast("file> status web")
            try await person.terminal.press("C-c")
            try await person.leave()
            #expect(lines(box) == ["status web", "status api", "exit"])
            var information = stat()
            #expect(lstat(box.path("state/qq/history"), &information) == 0 && information.st_mode & 0o777 == 0o600)
            #expect(lstat(box.path("state/qq"), &information) == 0 && information.st_mode & 0o777 == 0o700)
        }
    }

    @Test("the history continues in the next session, also after a kill")
    func kept() async throws {
        try await inSandbox { box in
            let first = try await AtPrompt(in: box)
            try await first.run("status web", "nobody")
            kill(first.terminal.pid, SIGKILL)
            try await first.terminal.end()
            let second = try await AtPrompt(in: box)
            try await second.terminal.press("Up")
            try await second.terminal.expectLast("file> status web")
            try await second.terminal.press("C-c")
            try await second.leave()
        }
    }

    @Test("two sessions at the same time share the history")
    func two() async throws {
        try await inSandbox { box in
            let first = try await AtPrompt(in: box)
            let second = try await AtPrompt(in: box)
            try await first.run("status one", "one")
            try await second.run("status two", "two")
            try await first.run("status three", "three")
            try await second.leave()
            try await first.leave()
            #expect(lines(box) == ["status one", "status two", "status three", "exit", "exit"])
        }
    }

    @Test("the history is limited and drops its oldest lines")
    func bounded() async throws {
        try await inSandbox { box in
            mkdir(box.path("state/qq"), 0o700)
            try box.write((1...1500).map { "status e\($0)\n" }.joined(), to: "state/qq/history")
            let person = try await AtPrompt(in: box)
            try await person.run("status new", "new")
            try await person.leave()
            let lines = lines(box)
            #expect(lines.count == 1001)
            #expect(lines.first == "status e502" && lines.suffix(2) == ["status new", "exit"])
        }
    }

    @Test("a history that cannot be written is reported once, and the session continues")
    func unwritable() async throws {
        try await inSandbox { box in
            try box.write("a file where a folder should be", to: "state/qq")
            let person = try await AtPrompt(in: box)
            try await person.run("status web", "qq: the history is not kept: cannot write")
            try await person.run("status api", "api")
            try await person.leave()
            let screen = try await person.terminal.screen(isWhole: true)
            #expect(screen.components(of: "the history is not kept") == 1, "\(screen)")
        }
    }
}

extension String {
    /// Number of occurrences of a text.
    func components(of text: String) -> Int { ranges(of: text).count }
}
