import Glibc
import QQCore
import Support
import Testing

/// Everything runs in the container image, in which nothing can be written to but what a test mounts.
@Suite("With a read-only root and no home", .enabled(if: containersArePossible, "this user can make no user namespace here"))
struct ReadOnlyTests {
    /// Variables that a container might have.
    static let homes: [[String: String]] = [[:], ["HOME": "/"], ["HOME": "/nonexistent"], ["HOME": ""]]
    private static let folder = "file:///leases"

    @Test("a guarded command needs no place to write to", arguments: homes) func guarded(_ home: [String: String]) async throws {
        let image = try await BuiltImage.shared()
        try await inSandbox { box in
            let run = try await image.run(
                "-s", Self.folder, "acquire", "x", "--", "/usr/bin/qq", "-s", Self.folder, "status", "x", in: box, environment: home)
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(run.text.hasPrefix("x\theld\t"), "\(run.text)")
            #expect(run.errors.isEmpty, "\(run.errors)")
            #expect(try await box.run("status", "x").ending == .exited(1))
        }
    }

    @Test("SIGTERM releases what keepalive holds, which needs no place to write to") func keepalive() async throws {
        let image = try await BuiltImage.shared()
        try await inSandbox { box in
            let qq = try image.start(["-s", Self.folder, "keepalive", "x"], in: box)
            try await waitUntil("x is held: \(qq.errors)") { qq.output.contains("elected") }
            #expect(try await box.run("status", "x").ending == .exited(0))
            kill(try await qq.initProcess().pid, SIGTERM)
            #expect(try await qq.finish(within: .seconds(90)).ending == .exited(0), "\(qq.errors)")
            #expect(try await box.run("status", "x").ending == .exited(1))
        }
    }

    @Test("reading needs no place to write to, and contexts are just not there", arguments: homes)
    func reading(_ home: [String: String]) async throws {
        let image = try await BuiltImage.shared()
        try await inSandbox { box in
            for (words, code) in [
                (["status", "x"], 1), (["status", "--all"], 0), (["watch", "x", "--until", "free"], 0), (["cluster-status"], 0),
                (["release", "x"], 1), (["keepalive", "x", "--once"], 1), (["step-down", "x", "--yes"], 1),
            ] as [([String], Int32)] {
                let run = try await image.start(["-s", Self.folder] + words, in: box, environment: home).finish()
                #expect(run.ending == .exited(code), "\(words): \(run.errors)")
            }
        }
    }

    @Test("acquire without a command gives the lease back if its grant cannot be saved, and says which folder it needs")
    func grants() async throws {
        let image = try await BuiltImage.shared()
        try await inSandbox { box in
            let run = try await image.run("-s", Self.folder, "acquire", "x", in: box)
            #expect(run.ending == .exited(69), "\(run.errors)")
            #expect(run.errors.contains("set XDG_RUNTIME_DIR"), "\(run.errors)")
            #expect(try await box.run("status", "x").ending == .exited(1))
            let saved = try await image.run(
                "-s", Self.folder, "acquire", "x", "--ttl", "2s", in: box, environment: ["XDG_RUNTIME_DIR": "/run"])
            #expect(saved.ending == .exited(0), "\(saved.errors)")
        }
    }

    @Test("lease files can be in an emptyDir: every user can write there, so qq makes a folder of its own in it") func emptyDir()
        async throws
    {
        let image = try await BuiltImage.shared()
        try await inSandbox { box in
            let run = try await image.run(
                "acquire", "x", "--", "/usr/bin/qq", "status", "x", in: box, environment: ["XDG_STATE_HOME": "/run"])
            #expect(run.ending == .exited(0), "\(run.errors)")
            let open = try await image.run("-s", "file:///run", "acquire", "x", "--", "/usr/bin/qq", "version", in: box)
            #expect(open.ending == .exited(77), "\(open.errors)")
            #expect(open.errors.contains("every user can replace files in it"), "\(open.errors)")
        }
    }

    @Test("whatever cannot be written is named, with what to set instead") func named() async throws {
        let image = try await BuiltImage.shared()
        try await inSandbox { box in
            for (words, home, code, part) in [
                (["acquire", "x", "--", "/usr/bin/qq"], [:], 78, "name one with -s file:///DIR"),
                (["acquire", "x", "--", "/usr/bin/qq"], ["HOME": "/"], 77, "Read-only file system"),
                (["context", "list"], [:], 78, "set HOME"),
                (["context", "list"], ["HOME": "/"], 0, nil),
                (["context", "add", "lab", "-s", "nats://n"], ["HOME": "/"], 69, "Read-only file system"),
            ] as [([String], [String: String], Int32, String?)] {
                let run = try await image.start(words, in: box, environment: home).finish()
                #expect(
                    run.ending == .exited(code) && (part.map { run.errors.contains($0) } ?? run.errors.isEmpty),
                    "\(words) \(home): \(run.ending) \(run.errors)")
            }
        }
    }

    @Test("a hook says that the image has no shell, and the command runs all the same") func hooks() async throws {
        let image = try await BuiltImage.shared()
        try await inSandbox { box in
            let run = try await image.run(
                "-s", Self.folder, "acquire", "x", "--on-elected", "true", "--", "/usr/bin/qq", "version", in: box)
            #expect(run.ending == .exited(0) && run.text.hasPrefix("qq \(version)"))
            #expect(run.errors == "qq: hook 'true' failed: there is no /bin/sh here to run it\n", "\(run.errors)")
        }
    }
}
