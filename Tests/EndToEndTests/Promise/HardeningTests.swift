import Glibc
import QQCore
import Support
import Testing

@Suite("Input from outside")
struct HardeningTests {
    @Test("a password in a URL appears in no message, wherever the URL was typed")
    func passwords() async throws {
        try await inSandbox { box in
            for url in [
                "nats://me:hunter2@n1:4222", "nats://me:hunter 2@n1", "nats://me:hunter2@n1/x",
                "raftlock://me:hunter2@",
            ] {
                for words in [
                    [url], ["acquire", url], ["status", url], ["release", url, "extra"], ["status", "x", "--context", url],
                    ["status", "x", "--cluster-config", url], ["status", "x", "-s", url, "-s", url],
                    ["status", "x", "--server", url, "--timeout", "1"],
                    ["context", url], ["context", "use", url], ["man", url], ["help", url], ["completions", url], ["--\(url)"],
                    ["acquire", "x", "--\(url)"],
                    ["watch", "x", "--record", url, "--for", "10ms"], ["watch", "--replay", url], ["-f", url],
                    ["acquire", "x", "--ttl", url],
                    ["acquire", "x", "--wait", url], ["step-down", url, "-v"],
                ] {
                    let run = try await box.run(words)
                    #expect(!run.errors.contains("hunter"), "\(words): \(run.errors)")
                }
            }
        }
    }

    @Test("characters that reverse or hide text do not reach the terminal, and JSON keeps their meaning")
    func hiddenText() async throws {
        try await inSandbox { box in
            let name = "n1\u{202e}gnp\u{2066}\u{200b}"
            let taken = try await box.run("acquire", "x", "--id", name, "--ttl", "60s")
            #expect(taken.text == "x\tn1\\u202egnp\\u2066\\u200b\t1\t60\n", "\(taken.text)")
            let refused = try await box.run("acquire", "x", "--", "true")
            #expect(refused.code == 1 && refused.errors.contains("n1\\u202egnp"), "\(refused.errors)")
            let status = try await box.run("status", "x", "--json")
            #expect(!status.text.contains("\u{202e}"))
            #expect(try object(status.text)["leader"]?.stringValue == name)
            let shell = try await box.run("acquire", "y", "--id", name, "--format", "shell")
            #expect(shell.text.contains("export QQ_ID='\(name)'\n"))
        }
    }

    @Test("with too little memory there is a message and an exit code, and no crash once the program is loaded")
    func memory() async throws {
        try await inSandbox(.heavy) { box in
            // From `least` on the program loads; with less, the loader, the kernel or the libraries' initializers end it.
            var (unloaded, least) = (1000, 4 << 20)
            while least - unloaded > 64 {
                let middle = (unloaded + least) / 2
                if Self.endsBeforeStart(try await box.run(["version"], kilobytes: middle)) { unloaded = middle } else { least = middle }
            }
            let loader = try await box.run(["version"], kilobytes: unloaded - 1024)
            #expect([127, 139].contains(loader.code), "\(unloaded - 1024) kB: \(loader.ending) \(loader.errors)")
            let room = [128, 512, 2048, 6144, 8192, 9000, 12_000, 16_384, 32_768, 65_536, 66_560, 73_728, 98_304]
            for kilobytes in [80_000, unloaded - 1024] + room.map({ least + $0 }) {
                for words in [
                    ["status", "x"], ["acquire", "x", "-s", "nats://127.0.0.1:1"], ["acquire", "x", "-s", "qq://127.0.0.1:1"],
                    ["acquire", "x", "-s", "raftlock://127.0.0.1:1"],
                ] {
                    let run = try await box.run(words + ["--retries", "0", "--timeout", "1s"], kilobytes: kilobytes)
                    let what = "\(words), \(kilobytes) of \(least) kB: \(run.ending) \(run.errors)"
                    if kilobytes < least, Self.endsBeforeStart(run) {
                        #expect(try await box.run(["version"], kilobytes: kilobytes).code == run.code, "\(what)")
                        continue
                    }
                    let isRefused = run.code == 69 && run.errors.contains("qq: cannot ")
                    #expect(isRefused || (words == ["status", "x"] && run.code == 1), "\(what)")
                }
            }
        }
    }

    /// Whether the loader or a signal ended a program before it could print anything.
    private static func endsBeforeStart(_ run: Run) -> Bool { run.code == 127 || (run.code.map { $0 > 128 } ?? true) }
}

extension Sandbox {
    fileprivate func run(_ words: [String]) async throws -> Run { try await start([Self.binary] + words).finish() }

    /// Runs `qq` with a limit of its address space. If a signal ends it, the exit code is 129 or more.
    fileprivate func run(_ words: [String], kilobytes: Int) async throws -> Run {
        let script = "ulimit -c 0; ulimit -v \(kilobytes); \"$@\"; code=$?; exit $code"
        return try await start(["sh", "-c", script, "sh", Self.binary] + words).finish()
    }
}
