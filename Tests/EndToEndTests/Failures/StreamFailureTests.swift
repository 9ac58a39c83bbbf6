import Glibc
import Support
import Testing

@Suite("Standard streams that cannot be used")
struct StreamFailureTests {
    @Test(
        "a full stdout, which loses the answer, exits with 69",
        arguments: [["status", "x"], ["cluster-status"], ["version"], ["help"], ["watch", "x", "--for", "1s"], ["completions", "bash"]])
    func full(_ words: [String]) async throws {
        try await inSandbox { box in
            var launch = box.launch([Sandbox.binary] + words)
            launch.output = .file("/dev/full")
            let run = try await Started(launch, in: box).finish()
            #expect(run.ending == .exited(69))
            #expect(run.errors.contains("stdout"))
        }
    }

    /// Runs `qq` with a pipe as its stdout that nobody reads any more.
    private func runWithoutReader(_ words: [String], in box: Sandbox) async throws -> Run {
        let pipe = Pipe()
        pipe.closeReading()
        var launch = box.launch([Sandbox.binary] + words)
        launch.output = .descriptor(pipe.writing)
        let started = try Started(launch, in: box)
        pipe.closeWriting()
        return try await started.finish()
    }

    @Test(
        "a closed pipe ends a command in silence, as the kernel ends other programs",
        arguments: [
            ["status", "--all"], ["status", "x", "--json"], ["cluster-status"], ["version"], ["help"], ["man"], ["completions", "bash"],
            ["watch", "x"], ["watch", "x", "--json"], ["acquire", "y"], ["release", "x", "--id", "me"], ["repl", "-f", "script"],
        ])
    func closedPipe(_ words: [String]) async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "x", "--id", "me")
            try box.write("acquire z\nstatus x\nstatus x\n", to: "script")
            let run = try await runWithoutReader(words, in: box)
            #expect(run.ending == .died(signal: SIGPIPE), "\(run.errors)")
            #expect(run.errors == (words.first == "repl" ? "qq: z: released\n" : ""))
            // What could not be told is not left behind.
            for name in ["y", "z"] { #expect(try await box.run("status", name).ending == .exited(1)) }
        }
    }

    @Test("watch ends as soon as its reader has gone, and not only at the next change", arguments: [[], ["--json"]])
    func watchWithoutReader(_ options: [String]) async throws {
        try await inSandbox { box in
            let pipe = Pipe()
            var launch = box.launch([Sandbox.binary, "watch", "x"] + options)
            launch.output = .descriptor(pipe.writing)
            let run = try Started(launch, in: box)
            pipe.closeWriting()
            var bytes: [UInt8] = []
            try await waitUntil("the first state") {
                _ = pipe.drain(into: &bytes)
                return bytes.contains(10)
            }
            #expect(run.child.isRunning)
            pipe.closeReading()
            let end = try await run.finish()
            #expect(end.ending == .died(signal: SIGPIPE) && end.errors.isEmpty, "\(end.errors)")
        }
    }

    @Test("keepalive holds on without a reader, and reports that once")
    func keepaliveWithoutReader() async throws {
        try await inSandbox { box in
            let pipe = Pipe()
            pipe.closeReading()
            var launch = box.launch([Sandbox.binary, "keepalive", "a", "b", "--ttl", "1s", "--json"])
            launch.output = .descriptor(pipe.writing)
            let run = try Started(launch, in: box)
            pipe.closeWriting()
            try await waitUntil("the loss of output is reported: \(run.errors)") { run.errors.contains("Broken pipe") }
            for name in ["a", "b"] { #expect(try await box.outlivesItsDeadline(name)) }
            #expect(run.errors.components(separatedBy: "Broken pipe").count == 2, "\(run.errors)")
            run.child.signal(SIGTERM)
            #expect(try await run.finish().ending == .exited(0))
        }
    }

    @Test("closed stdin, stdout or stderr do not affect a guarded command, except that it lacks the stream too", arguments: [0, 1, 2])
    func closed(_ number: Int) async throws {
        try await inSandbox { box in
            // The command's own files can get the free number. What matters is that its output does not reach a file of qq's.
            var launch = box.launch([
                Sandbox.binary, "acquire", "x", "-v", "--", "sh", "-c",
                "echo $QQ_TOKEN >\(box.path("token")); echo out; echo err >&2; exit 6",
            ])
            if number == 0 { launch.input = .closed }
            if number == 1 { launch.output = .closed }
            if number == 2 { launch.errors = .closed }
            let run = try await Started(launch, in: box).finish()
            #expect(run.ending == .exited(6))
            #expect(box.read("token") == "1\n")
            #expect(try await box.run("acquire", "x", "--", "true").ending == .exited(0))
            #expect(try await box.run("acquire", "x").text.hasPrefix("x\t"))
        }
    }

    @Test("with all standard streams closed, no command writes into lease files")
    func closedForAnswers() async throws {
        try await inSandbox { box in
            for words in [
                ["acquire", "x"], ["status", "x"], ["release", "x"], ["acquire", "y", "-v", "--", "true"], ["status", "--all"],
            ] {
                var launch = box.launch([Sandbox.binary] + words)
                launch.input = .closed
                launch.output = .closed
                launch.errors = .closed
                _ = try await Started(launch, in: box).finish()
                for name in ["x", "y"] {
                    let text = readText(box.leaseFile(name))
                    #expect(text.isEmpty || (try? object(text)) != nil, "\(words): \(text)")
                }
            }
        }
    }
}
