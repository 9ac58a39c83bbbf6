import Glibc
import Support
import Testing

@testable import QQCLI

@Suite("A script")
struct ScriptTests {
    /// Runs a script from a file.
    private func run(_ script: String, _ arguments: [String] = ["repl", "-f"], in box: Sandbox, environment: [String: String] = [:])
        async throws -> Run
    {
        try box.write(script, to: "script")
        return try await box.start([Sandbox.binary] + arguments + [box.path("script")], environment: environment).finish()
    }

    @Test("contexts are listed, shown and chosen in a session that was begun with -s")
    func contexts() async throws {
        try await inSandbox { box in
            let home = ["XDG_CONFIG_HOME": box.path("config")]
            _ = try await box.run("context", "add", "a", "-s", "file:///a", environment: home)
            let run = try await self.run(
                "context list\ncontext use a\ncontext show\ncontext rename a b\ncontext show --effective\n",
                ["repl", "-s", box.server, "-f"], in: box, environment: home)
            #expect(run.code == 0, "\(run.errors)")
            #expect(run.text.contains("file:///a") && run.text.contains("server\t\(box.server)\tflag --server"), "\(run.text)")
        }
    }

    @Test("a script is run line by line, from a file or from stdin", arguments: [0, 1, 2, 3])
    func ways(way: Int) async throws {
        try await inSandbox { box in
            let script = "# what we do\nacquire web --id me\n\n  status web   # who?\nacquire job -- echo at work\n"
            let run: Run
            switch way {
            case 0: run = try await self.run(script, in: box)
            case 1: run = try await self.run(script, ["-f"], in: box)
            default:
                try box.write(script, to: "script")
                var launch = box.launch([Sandbox.binary] + (way == 2 ? ["repl"] : ["-f", "-"]))
                launch.input = .file(box.path("script"))
                run = try await Started(launch, in: box).finish()
            }
            #expect(run.code == 0, "\(run.errors)")
            #expect(
                run.lines.count == 3 && run.lines[0] == "web\tme\t1\t15" && run.lines[1].hasPrefix("web\theld\tme\t1\t")
                    && run.lines[2] == "at work", "\(run.text)")
            // No prompts, and no escape sequences.
            #expect(!run.text.contains("\u{1b}") && !run.errors.contains("\u{1b}") && !run.text.contains("file>"))
            #expect(run.errors == "qq: web: released\n")
            #expect(box.holder("web").isEmpty)
        }
    }

    @Test("a script stops at the first line that fails, with its exit code and number")
    func failure() async throws {
        try await inSandbox { box in
            let run = try await run("acquire web\nacquire job -- sh -c 'exit 7'\nacquire api\n", in: box)
            #expect(run.code == 7)
            #expect(run.errors.contains("qq: \(box.path("script")), line 2: exit code 7: acquire job -- sh -c 'exit 7'\n"), "\(run.errors)")
            #expect(access(box.leaseFile("api"), F_OK) != 0)
            #expect(box.holder("web").isEmpty)
        }
    }

    @Test("a script continues with --keep-going, and exits with the first failure's code")
    func keepGoing() async throws {
        try await inSandbox { box in
            let run = try await run(
                "status nobody\nno-such\nacquire job -- sh -c 'exit 9'\nacquire web --id me\n", ["--keep-going", "-f"], in: box)
            #expect(run.code == 1)
            #expect(
                run.errors.contains("line 1: exit code 1") && run.errors.contains("line 2: exit code 64")
                    && run.errors.contains("line 3: exit code 9"))
            #expect(run.text.contains("web\tme\t"))
        }
    }

    @Test(
        "a mistake in a script's line is named, with the line",
        arguments: [
            ("status $NOBODY_HERE", "qq: NOBODY_HERE is not set"), ("status 'web", "qq: a quote is not closed"),
            ("status web | cat", "qq: '|' is shell syntax"),
            ("staus web", "qq: did you mean status?"), ("acquire", "qq: acquire: NAME is missing"), ("repl", "qq: a session runs already"),
        ])
    func mistakes(line: String, message: String) async throws {
        try await inSandbox { box in
            let run = try await run("version\n\(line)\nversion\n", in: box)
            #expect(run.code == 64)
            #expect(run.errors.contains(message + "\n") || run.errors.contains(message), "\(run.errors)")
            #expect(run.errors.hasSuffix("line 2: exit code 64: \(line)\n"), "\(run.errors)")
            #expect(run.lines.count == 1)
        }
    }

    @Test("a script expands variables, and accepts a byte order mark, CRLF and a missing last newline")
    func variables() async throws {
        try await inSandbox { box in
            let script = "\u{feff}acquire $NAME --id \"${WHO} here\"\r\nacquire job -- echo '$NAME'\r\n"
            let run = try await run(script, ["-f"], in: box, environment: ["NAME": "web", "WHO": "me"])
            #expect(run.code == 0 && run.text == "web\tme here\t1\t15\n$NAME\n", "\(run.text) \(run.errors)")
            let last = try await self.run("version\nstatus web --id x --mine", in: box)
            #expect(last.code == 1 && last.errors.contains("line 2: exit code 1"), "without a newline at its end: \(last.errors)")
        }
    }

    @Test("a script that cannot be read exits with 78")
    func unreadable() async throws {
        try await inSandbox { box in
            for path in [box.path("nowhere"), box.folder] {
                for arguments in [["repl", "-f", path], ["-f", path]] {
                    let run = try await box.start([Sandbox.binary] + arguments).finish()
                    #expect(run.code == 78)
                    #expect(run.errors.hasPrefix("qq: cannot read the script: ") && run.errors.contains("(\(path))"), "\(run.errors)")
                }
            }
            let with = try await box.run("-f", box.path("nowhere"), "status", "web")
            #expect(with.code == 64 && with.errors.contains("--script is not a flag of status"), "\(with.errors)")
        }
    }

    @Test("a script of garbage fails, and no control characters reach the terminal")
    func garbage() async throws {
        try await inSandbox { box in
            var bytes = (0..<20_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 / 7) }
            bytes += [0, 0x1b, 0x5b, 0x32, 0x4a, 10]
            try box.write(bytes, to: "script")
            let run = try await box.run("-f", box.path("script"), "--keep-going")
            #expect(run.code == 64)
            #expect(run.output.isEmpty && !run.errors.contains("\u{1b}") && !run.errors.contains("\u{0}"))
            try box.write(Array(repeating: UInt8(ascii: "x"), count: 2 << 20), to: "script")
            let long = try await box.run("-f", box.path("script"))
            #expect(long.code == 65 && long.errors.contains("a line is longer than 1 MiB"), "\(long.errors)")
        }
    }

    @Test("a script keeps its leases while a later line waits, and stops when one is lost")
    func holding() async throws {
        try await inSandbox { box in
            let held = try await run(
                "acquire web --ttl 3s --renew-every 300ms --id me\nacquire job -- sleep 4\nstatus web --json\n", in: box)
            #expect(held.code == 0, "\(held.errors)")
            #expect(held.text.contains("\"leader\":\"me\"") || held.text.contains("\"leader\": \"me\""), "\(held.text)")
            try box.write(
                "acquire web --id me\nacquire job -- sh -c ': >running; while [ ! -e go ]; do sleep 0.02; done'\nacquire late\n",
                to: "script")
            let started = try box.start([Sandbox.binary, "-f", box.path("script")])
            try await waitUntil("the second line runs") { access(box.path("running"), F_OK) == 0 }
            try ForeignWriterTests.write(ForeignWriterTests.goRecord("intruder"), to: box.leaseFile("web"))
            try await waitUntil("the loss is reported") { started.errors.contains("web: lost: taken over by intruder") }
            try box.write("", to: "go")
            let lost = try await started.finish()
            #expect(lost.code == 79)
            #expect(lost.errors.contains("after line 2: web was lost"), "\(lost.errors)")
            #expect(access(box.leaseFile("late"), F_OK) != 0)
            #expect(box.holder("web") == "intruder")
        }
    }

    @Test("a script on stdin is not read by its commands, and a signal ends it while it waits for a line")
    func input() async throws {
        try await inSandbox { box in
            let pipe = Pipe()
            defer { pipe.closeWriting() }
            var launch = box.launch([Sandbox.binary, "repl"])
            launch.input = .descriptor(pipe.reading)
            let started = try Started(launch, in: box)
            let text = Array("acquire web\nacquire job -- cat\nacquire api\n".utf8)
            #expect(Glibc.write(pipe.writing, text, text.count) == text.count)
            try await waitUntil("the last line") { !box.holder("api").isEmpty }
            #expect(!started.output.contains("acquire api"))
            started.child.signal(SIGTERM)
            let run = try await started.finish()
            #expect(run.code == 143)
            #expect(run.errors.contains("web: released") && run.errors.contains("api: released"), "\(run.errors)")
            #expect(box.holder("web").isEmpty && box.holder("api").isEmpty)
        }
    }

    @Test("a script prints the documented JSON with --json")
    func json() async throws {
        try await inSandbox { box in
            let run = try await run(
                "acquire web\nwatch web -s file://\(box.leases) --until free &\nleases\njobs\n", ["repl", "--json", "-f"], in: box)
            #expect(run.code == 0, "\(run.errors)")
            let lines = run.text.split(separator: "\n").map { $0 + "\n" }
            try checkSchema(
                String(lines.first { $0.contains("\"expires_in\"") && !$0.contains("\"event\"") && !$0.contains("\"id\"") } ?? ""),
                Schemas.sessionLease)
            try checkSchema(String(lines.first { $0.contains("\"job\"") } ?? ""), Schemas.sessionJob)
        }
    }

    @Test("a signal to a script ends its commands and releases its leases")
    func ended() async throws {
        try await inSandbox { box in
            try box.write(
                "acquire web\nacquire behind -- sleep 600 &\nacquire job -- \(Sandbox.stamp) \(box.path("stamps"))\nacquire late\n",
                to: "script")
            let started = try box.start([Sandbox.binary, "-f", box.path("script")])
            _ = try await box.waitForTerms(1)
            started.child.signal(SIGTERM)
            let run = try await started.finish()
            #expect(run.code == 143, "\(run.errors)")
            #expect(box.living.isEmpty)
            #expect(["web", "job", "behind"].allSatisfy { box.holder($0).isEmpty } && access(box.leaseFile("late"), F_OK) != 0)
        }
    }

    @Test("a killed script leaves no guarded command")
    func killed() async throws {
        try await inSandbox { box in
            try box.write("acquire job -- \(Sandbox.stamp) \(box.path("stamps")) --child --daemon --ignore-term\n", to: "script")
            let started = try box.start([Sandbox.binary, "-f", box.path("script")])
            _ = try await box.waitForTerms(1)
            started.child.signal(SIGKILL)
            _ = try await started.finish()
            try await waitUntil("no process is left") { box.living.isEmpty }
        }
    }

    @Test("a script's messages do not show credentials in its lines")
    func secrets() async throws {
        try await inSandbox { box in
            let run = try await run(
                "watch web -s nats://me:hunter2@127.0.0.1:1 &\nstatus web -s nats://me:hunter2@127.0.0.1:1 --timeout 200ms --retries 0\n",
                in: box)
            #expect(run.code == 69, "\(run.errors)")
            #expect(run.errors.contains("line 2: exit code 69: status web -s nats://***@127.0.0.1:1"), "\(run.errors)")
            #expect(!run.errors.contains("hunter2"))
        }
    }

    @Test("a script at a terminal passes it to its commands, and Ctrl-C ends the script")
    func terminal() async throws {
        try await inSandbox { box in
            try box.write(
                "acquire web\nacquire job -- sh -c 'echo asking; read line; echo got $line'\nacquire job -- sh -c 'echo at work; exec sleep 600'\nacquire late\n",
                to: "script")
            let terminal = try await Tmux([Sandbox.binary, "-f", box.path("script")], in: box)
            try await terminal.expect("asking")
            try await terminal.enter("an answer")
            try await terminal.expect("got an answer")
            try await terminal.expect("at work")
            try await terminal.press("C-c")
            let ending = try await terminal.end()
            #expect(ending == .exited(130) || ending == .died(signal: SIGINT))
            #expect(box.holder("web").isEmpty && box.holder("job").isEmpty && access(box.leaseFile("late"), F_OK) != 0)
        }
    }
}
