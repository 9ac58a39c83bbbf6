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
