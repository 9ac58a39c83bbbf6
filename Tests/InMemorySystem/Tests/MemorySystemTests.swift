import Glibc
import Support
import Testing

/// A system that nothing but this folder knows goes through every part of the command line.
@Suite("A system that is one more entry in the list")
struct MemorySystemTests {
    /// How a run ended, and what it printed.
    private struct Run {
        let code: Int32?
        let output: String
        let errors: String
    }

    private static let tool = String(Sandbox.stamp.dropLast("stamp".count)) + "qq-in-memory"

    private func run(
        _ words: [String], in box: Sandbox, program: String = tool, environment: [String: String] = [:]
    ) async throws -> Run {
        var launch = box.launch([program] + words, environment: environment)
        let number = Int.random(in: 0..<Int.max)
        launch.output = .file(box.path("stdout-\(number)"))
        launch.errors = .file(box.path("stderr-\(number)"))
        let ending = try await Child(launch).wait()
        let code: Int32? = if case .exited(let code) = ending { code } else { nil }
        return Run(code: code, output: readText(box.path("stdout-\(number)")), errors: readText(box.path("stderr-\(number)")))
    }

    private func inSandbox(_ body: (Sandbox) async throws -> Void) async throws {
        let left = try await withSandbox(.light, body)
        #expect(left.isEmpty, "processes were left behind")
    }

    @Test("leases, shows its column and is read within one session") func session() async throws {
        try await inSandbox { box in
            try box.write(
                """
                acquire web --id me
                status web
                status web --shelf other
                acquire web --id another
                status --all
                release web
                status web
                """, to: "script")
            let found = try await run(["repl", "-s", "memory:///team", "--keep-going", "-f", box.path("script")], in: box)
            let lines = found.output.split(separator: "\n").map(String.init)
            #expect(lines.count == 6, "\(found.output)")
            guard lines.count == 6 else { return }
            #expect(lines[0] == "web\tme\t1\t7")
            #expect(lines[1].hasPrefix("web\theld\tme\t1\t") && lines[1].hasSuffix("\tterm-1"))
            #expect(lines[2] == "web\tfree\t-\t-\t-\t-")
            #expect(lines[3].hasPrefix("web\theld\tme\t1\t") && lines[3].hasSuffix("\tterm-1"))
            #expect(lines[4] == "web" || lines[4].hasPrefix("web\t"))
            #expect(lines[5] == "web\tfree\t-\t-\t-\t-")
            #expect(found.errors.contains("web is held by this session already"), "\(found.errors)")
        }
    }

    @Test("runs a command under its lease, with its defaults and without its secrets") func guarded() async throws {
        try await inSandbox { box in
            let found = try await run(
                ["acquire", "web", "-s", "memory://", "--", "sh", "-c", "echo $QQ_ID $QQ_TOKEN $QQ_TTL $QQ_SERVER ${QQ_MEMORY_KEY-none}"],
                in: box, environment: ["QQ_MEMORY_KEY": "hunter2"])
            #expect(found.code == 0 && found.output.hasPrefix("memory-") && found.output.hasSuffix(" 1 7 memory:// none\n"), "\(found)")
            let json = try await run(["acquire", "web", "-s", "memory://", "--json"], in: box).output
            #expect(json.contains("\"system\":\"memory\"") && json.contains("\"ttl\":7"), "\(json)")
            let cluster = try await run(["cluster-status", "-s", "memory://", "--json"], in: box)
            #expect(cluster.code == 0 && cluster.output.contains("\"elections_kept\":0"), "\(cluster)")
        }
    }

    @Test(
        "checks names, URLs, flags and what it cannot do",
        arguments: [
            (["status", "WEB", "-s", "memory://"], 64, "a name in memory has small letters only"),
            (["status", "web", "-s", "memory://host"], 78, "a memory URL has no host"),
            (["status", "web", "-s", "http://h"], 78, "nats://, tls://, k8s://, etcd://, etcds://, consul://, consuls://, memory://"),
            (["status", "web", "--shelf", "a"], 64, "cannot use --shelf: it is for in-memory elections"),
            (["status", "web", "--shelf", "a", "-s", "nats://127.0.0.1:1"], 64, "cannot use --shelf: it is for in-memory elections"),
            (["status", "web", "-s", "memory://", "--creds", "x"], 64, "in-memory elections are not reached over a network"),
            (["status", "web", "-s", "memory://", "--retry-on", "timeout"], 64, "it is for RaftLock"),
            (["acquire", "web", "-s", "memory://", "--priority", "1"], 80, "memory has no queue"),
            (["status", "web", "-s", "memory://", "--advice"], 80, "memory gives no advice"),
            (["status", "web", "-s", "k8s://c", "--shelf", "a"], 64, "cannot use --shelf: it is for in-memory elections"),
        ])
    func refusals(words: [String], code: Int32, message: String) async throws {
        try await inSandbox { box in
            let found = try await run(words, in: box)
            #expect(found.code == code && found.errors.contains(message), "\(found)")
        }
    }

    @Test("is in help, manual pages and completions") func documents() async throws {
        try await inSandbox { box in
            let help = try await run(["acquire", "--help"], in: box).output.unwrapped
            for text in ["--shelf NAME", "in-memory elections 7s", "In memory, a lease lasts seven seconds"] {
                #expect(help.contains(text), "\(text)")
            }
            #expect(
                try await run(["status", "--help"], in: box).output.unwrapped.contains("The column of in-memory elections is the term."))
            #expect(try await run(["status", "-h"], in: box).output.contains("Memory: where elections are kept"))
            for name in ["man", "completions"] { mkdir(box.path(name), 0o755) }
            #expect(try await run(["__generate", box.folder], in: box).code == 0)
            #expect(box.read("man/qq-memory.7").contains("ends with the process"))
            for text in ["memory://", "qq\\-memory", "QQ_MEMORY_KEY"] { #expect(box.read("man/qq.1").contains(text), "\(text)") }
            for text in ["elections_kept", "\\fBmemory\\fR"] { #expect(box.read("man/qq-json.5").contains(text), "\(text)") }
            for shell in ["bash", "zsh", "fish"] {
                #expect(try await run(["completions", shell], in: box).output.contains("shelf"), "\(shell)")
            }
            #expect(try await run(["man", "qq-memory"], in: box).code == 0)
        }
    }

    @Test("can be a context") func contexts() async throws {
        try await inSandbox { box in
            let environment = ["QQ_SERVER": ""]
            #expect(
                try await run(["context", "add", "m", "-s", "memory:///a", "--shelf", "s"], in: box, environment: environment).code == 0)
            let shown = try await run(["context", "show", "m", "--effective"], in: box, environment: environment).output
            #expect(shown.contains("memory:///a") && shown.contains("shelf\ts\t"), "\(shown)")
            #expect(try await run(["status", "web", "--context", "m"], in: box, environment: environment).output.hasPrefix("web\tfree"))
        }
    }

    @Test("is unknown to qq itself") func unknown() async throws {
        try await inSandbox { box in
            let found = try await run(["status", "web", "-s", "memory://"], in: box, program: Sandbox.binary)
            #expect(found.code == 78 && found.errors.contains("unknown scheme memory"), "\(found)")
        }
    }
}

extension String {
    /// The text in one line, with single spaces.
    fileprivate var unwrapped: String { split { $0 == " " || $0 == "\n" }.joined(separator: " ") }
}
