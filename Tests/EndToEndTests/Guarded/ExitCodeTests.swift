import Glibc
import Support
import Testing

@Suite("The exit code of a guarded command")
struct ExitCodeTests {
    @Test("a command's exit code is passed on, from 0 to 255")
    func passedThrough() async throws {
        try await inSandbox { box in
            for code: Int32 in [0, 1, 2, 42, 64, 75, 79, 80, 126, 127, 128, 137, 200, 254, 255] {
                let run = try await box.run("acquire", "x", "--", "sh", "-c", "exit \(code)")
                #expect(run.ending == .exited(code))
                #expect(run.text.isEmpty && run.errors.isEmpty)
            }
        }
    }

    @Test("if a signal n kills the command, qq exits with 128+n", arguments: [SIGHUP, SIGINT, SIGKILL, SIGSEGV, SIGTERM, SIGUSR1])
    func diedOfSignal(_ signal: Int32) async throws {
        try await inSandbox { box in
            let run = try await box.run("acquire", "x", "--", Sandbox.stamp, box.path("stamps"), "--for", "1", "--die", "\(signal)")
            #expect(run.ending == .exited(128 + signal))
        }
    }

    @Test("a missing command exits with 127, and the lease is free again")
    func notFound() async throws {
        try await inSandbox { box in
            let run = try await box.run("acquire", "x", "--", "no-such-command-anywhere")
            #expect(run.ending == .exited(127))
            #expect(run.errors.contains("no-such-command-anywhere"))
            #expect(try await box.run("acquire", "x", "--", box.path("nothing-here")).ending == .exited(127))
            #expect(try await box.run("status", "x").ending == .exited(1))
        }
    }

    @Test("a command that cannot be executed exits with 126, and the lease is free again")
    func notRunnable() async throws {
        try await inSandbox { box in
            try box.write("#!/bin/sh\n", to: "script")
            let run = try await box.run("acquire", "x", "--", box.path("script"))
            #expect(run.ending == .exited(126))
            #expect(run.errors.contains("chmod +x"))
            #expect(try await box.run("acquire", "x", "--", box.folder).ending == .exited(126))
            #expect(try await box.run("status", "x").ending == .exited(1))
        }
    }
}
