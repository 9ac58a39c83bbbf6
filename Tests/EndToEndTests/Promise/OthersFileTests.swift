import Glibc
import Support
import Testing

@Suite("Files of other programs among the leases")
struct OthersFileTests {
    @Test(
        "a file of another program is never written, whatever the command",
        arguments: [
            "{}", "{\"debug\": true, \"retries\": 3}\n", "{\"Holder\": \"a\"}", "[]", "[{\"holder\": \"a\"}]", "7", "\"text\"", "null",
        ])
    func untouched(_ text: String) async throws {
        try await inSandbox { box in
            try box.write(text, to: "leases/config.json")
            for words in [
                ["acquire", "config"], ["acquire", "config", "--", "touch", "ran"],
                ["acquire", "config", "--wait=1s", "--", "touch", "ran"],
                ["acquire", "config", "--skip-ok", "--", "touch", "ran"], ["release", "config", "--id", "me"],
                ["step-down", "config", "--force", "--yes"], ["keepalive", "config"], ["keepalive", "config", "--once", "--id", "me"],
                ["status", "config"], ["watch", "config", "--for", "2s"],
            ] {
                let run = try await box.start([Sandbox.binary] + words).finish()
                #expect(run.ending == .exited(65), "\(words): \(run.errors)")
                #expect(run.errors.contains("config.json") && run.errors.contains("choose another name"), "\(words): \(run.errors)")
            }
            #expect(readText(box.leaseFile("config")) == text)
            #expect(names(in: box.leases) == ["config.json"], "no file is put beside it")
            #expect(access(box.path("ran"), F_OK) != 0)
        }
    }

    @Test("files of other programs are left out of lists")
    func lists() async throws {
        try await inSandbox { box in
            #expect(try await box.run("acquire", "x", "--id", "me", "--ttl", "100s").ending == .exited(0))
            for (name, text) in [
                ("config", "{\"debug\": true}"), ("list", "[1]"),
                ("package-lock", "{\"a\": \"" + String(repeating: "b", count: 50_000) + "\"}"),
            ] {
                try box.write(text, to: "leases/\(name).json")
            }
            let list = try await box.run("status", "--all")
            #expect(list.ending == .exited(0), "\(list.errors)")
            #expect(list.lines.map { $0.prefix(2) } == ["x\t"])
            // A file that held a lease before is reported.
            try box.write("{}", to: "leases/x.json")
            #expect(try await box.run("status", "--all").ending == .exited(65))
        }
    }
}
