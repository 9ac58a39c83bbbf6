import Glibc
import QQCore
import Support
import Testing

@Suite("What comes from outside")
struct HardeningTests {
    @Test("a password in a URL is in no message, wherever the URL was typed")
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

    @Test("characters that turn or hide text do not reach the terminal, and JSON means the same")
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

    @Test("with too little memory or no threads there is a message and an exit code, not a crash", arguments: [100, 114, 118, 122, 130])
    func memory(megabytes: Int) async throws {
        try await inSandbox { box in
            for server in ["file://" + box.leases, "nats://127.0.0.1:1", "qq://127.0.0.1:1", "raftlock://127.0.0.1:1"] {
                let run = try await box.start([
                    "sh", "-c", "ulimit -c 0; ulimit -v \(megabytes * 1000); \"$@\"; code=$?; exit $code", "sh", Sandbox.binary, "status",
                    "x", "-s",
                    server, "--retries", "0", "--timeout", "300ms",
                ]).finish()
                // Below its own size the program is not even loaded: the loader's 127, or the kernel's SIGSEGV of a program linked statically.
                if run.errors.contains("error while loading") || (run.code == 139 && run.errors.isEmpty) { continue }
                #expect([1, 69, 80].contains(run.code), "\(server) \(megabytes): \(run.ending) \(run.errors)")
                if run.code == 69 { #expect(run.errors.hasPrefix("qq: cannot "), "\(run.errors)") }
            }
        }
    }
}

extension Sandbox {
    fileprivate func run(_ words: [String]) async throws -> Run { try await start([Self.binary] + words).finish() }
}
