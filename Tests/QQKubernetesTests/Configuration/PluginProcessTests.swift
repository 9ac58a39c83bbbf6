import CKernel
import Glibc
import QQCore
import Support
import Synchronization
import Testing
import Traits

@testable import QQKubernetes

/// Runs of real programs.
@Suite(.ownThread) struct PluginProcessTests {
    private let folder: ConfigurationFolder
    private let lines = Lines()

    private final class Lines: Sendable {
        private let state = Mutex<[String]>([])
        var all: [String] { state.withLock { $0 } }
        func add(_ line: String) { state.withLock { $0.append(line) } }
    }

    init() throws { folder = try ConfigurationFolder() }

    private static let good =
        #"echo '{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential","status":{"token":"s3cret"}}'"#

    private func plugin(_ script: String, more: String = "") throws -> ExecPlugin {
        try folder.write("#!/bin/sh\n" + script + "\n", to: "plugin.sh")
        return try plugin(command: "./plugin.sh", more: more)
    }

    private func plugin(command: String, more: String = "") throws -> ExecPlugin {
        let user = "{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: \(command)\(more.isEmpty ? "" : ", " + more)}}"
        guard case .plugin(let plugin) = try folder.access(user: user).credential.method else { throw CancellationError() }
        return plugin
    }

    private func surroundings(lendsTerminal: Bool = false) -> ClientSurroundings {
        ClientSurroundings(requestTimeout: .seconds(90), lendsTerminal: lendsTerminal) { [lines] in lines.add($0) }
    }

    private func run(_ script: String, more: String = "") throws -> ExecCredential {
        try PluginRun(try plugin(script, more: more), surroundings()).credential()
    }

    private func fault(_ script: String, more: String = "") throws -> PluginFault {
        try #require(throws: PluginFault.self) { try run(script, more: more) }
    }

    /// What a script writes to the file `out`, with a good output.
    private func written(_ script: String, more: String = "") throws -> String {
        _ = try run("{ \(script); } > \(folder.path)/out\n" + Self.good, more: more)
        return String(decoding: try SmallFile.read(folder.path + "/out", upTo: 1 << 16), as: UTF8.self)
    }

    private func process(_ script: String, timeLimit: Duration = .seconds(90), stop: CInt = -1) throws -> PluginProcess.Result {
        let path = try folder.write("#!/bin/sh\n" + script + "\n", to: "process.sh")
        return try PluginProcess(
            path: path, arguments: [path], environment: PluginRun.environment(adding: []), hasTerminal: false, timeLimit: timeLimit,
            stop: stop
        ) { [lines] in lines.add($0) }.run()
    }

    @Test func `the output of a program is a credential`() throws {
        #expect(try run(Self.good).credential.authorization == Secret("Bearer s3cret"))
        #expect(lines.all.isEmpty)
    }

    @Test func `a program gets arguments, variables, the description of its task and an empty stdin`() throws {
        let text = try written(
            #"echo "$#,$1,$2,$VAR"; echo "$KUBERNETES_EXEC_INFO"; wc -c; ps -o args= -p $$"#,
            more: "args: [a b, '*'], env: [{name: VAR, value: x=y}]")
        let lines = text.split(separator: "\n")
        #expect(lines[0] == "2,a b,*,x=y")
        #expect(lines[1] == #"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","spec":{"interactive":false}}"#)
        #expect(lines[2] == "0")
    }

    @Test func `a program gets no descriptors of this process`() throws {
        // Open across execve(2), as one that was inherited.
        let inherited = open("/dev/null", O_RDONLY)
        defer { close(inherited) }
        try #require(inherited > 2)
        let text = try written("ls -l /proc/self/fd | grep -v '/proc/'")
        #expect(!text.contains("/dev/null\n") || text.split(separator: "\n").count(where: { $0.contains("/dev/null") }) == 1, "\(text)")
        let numbers = text.split(separator: "\n").compactMap { $0.split(separator: " ").dropLast(2).last.flatMap { Int($0) } }
        #expect(numbers.allSatisfy { $0 <= 2 }, "\(text)")
    }

    @Test func `a program's stderr is shown line by line, bounded and printable`() throws {
        _ = try run("printf 'one\\n\\n \\033[31mtwo\\rthree' >&2; head -c 5000 /dev/zero | tr '\\0' x >&2; " + Self.good)
        #expect(lines.all.count == 3 && lines.all[0] == "plugin.sh: one" && lines.all[1] == "plugin.sh:  \\x1b[31mtwo", "\(lines.all)")
        #expect(lines.all[2].hasPrefix("plugin.sh: threexxx") && lines.all[2].utf8.count < 1100)
        _ = try run("seq 1 500 >&2; " + Self.good)
        #expect(lines.all.count == 3 + PluginProcess.mostLines + 1 && lines.all.last == "plugin.sh: (more lines are not shown)")
    }

    @Test func `a program that fails is told apart by its exit code or signal`() throws {
        #expect(try fault(Self.good + "; echo 'no  login' >&2; echo >&2; exit 3") == .exited(3, lastLine: "no  login"))
        #expect(try fault("exit 1") == .exited(1, lastLine: nil))
        #expect(try fault("kill -TERM $$") == .died(signal: SIGTERM))
    }

    @Test func `a program that does not exist is told apart from one that cannot be run`() throws {
        #expect(throws: PluginFault.notFound) { try PluginRun(try plugin(command: "/no/such/plugin"), surroundings()).credential() }
        #expect(throws: PluginFault.notFound) { try PluginRun(try plugin(command: "no-such-plugin-anywhere"), surroundings()).credential() }
        try folder.write("#!/no/such/shell\n", to: "shell.sh")
        #expect(throws: PluginFault.notStarted("No such file or directory")) {
            try PluginRun(try plugin(command: "./shell.sh"), surroundings()).credential()
        }
        try folder.write("", to: "plain")
        chmod(folder.path + "/plain", 0o600)
        #expect(throws: PluginFault.notStarted("Permission denied")) {
            try PluginRun(try plugin(command: "./plain"), surroundings()).credential()
        }
        let error = PluginFault.notFound.told(try plugin(command: "kubelogin", more: "installHint: 'brew install kubelogin'"))
        #expect(error.reason == "the exec plugin kubelogin is not in PATH" && error.hint == "brew install kubelogin")
        #expect(error.location == "user \"ops\", \(folder.path)/config" && error.kind == .configuration)
    }

    @Test func `a name is looked up in the absolute folders of PATH`() throws {
        try folder.write("", to: "a/tool")
        try folder.write("", to: "b/tool")
        chmod(folder.path + "/a/tool", 0o644)
        #expect(
            PluginRun.find("tool", in: "::.:\(folder.path)/none:\(folder.path)/a:\(folder.path)/b")
                == (getuid() == 0 ? folder.path + "/b/tool" : folder.path + "/b/tool"))
        #expect(PluginRun.find("a", in: folder.path) == nil)
        #expect(PluginRun.find("tool", in: "") == nil)
    }

    @Test func `a program that must have a terminal is refused without one`() throws {
        #expect(try fault(Self.good, more: "interactiveMode: Always") == .needsTerminal)
        // Without permission to lend it, IfAvailable means none.
        _ = try run(Self.good, more: "interactiveMode: IfAvailable")
    }

    @Test func `a program that takes too long is killed with everything that it has started`() throws {
        // On a busy machine the program might not have come that far.
        for limit in [Duration.milliseconds(500), .seconds(4), .seconds(30)] where lines.all.isEmpty {
            let fault = try #require(throws: PluginFault.self) {
                try process("sleep 1000 & echo $! > \(folder.path)/child; echo busy >&2; wait", timeLimit: limit)
            }
            #expect(fault == .timedOut(limit))
        }
        #expect(lines.all == ["busy"])
        let child = try #require(
            pid_t(Secret(String(decoding: try SmallFile.read(folder.path + "/child", upTo: 100), as: UTF8.self)).trimmed.text))
        // The orphan is reaped by process 1 or whoever stands in for it.
        var isGone = false
        for _ in 0..<6000 where !isGone {
            let state = ReadableFile.text(of: "/proc/\(child)/stat", upTo: 1000)
            isGone = state.isEmpty || state.contains(") Z ")
            usleep(10_000)
        }
        #expect(isGone)
    }

    @Test func `a program's children that go on do not keep qq waiting`() throws {
        let begin = qq_boot_now()
        let result = try process("sleep 60 & echo done")
        #expect(result.output == Array("done\n".utf8))
        #expect(qq_boot_now() - begin < 50_000_000_000)
    }

    @Test func `an output without end is cut off`() throws {
        #expect(throws: PluginFault.tooMuchOutput) { try process("exec cat /dev/zero") }
    }

    @Test func `a run ends when it is told to`() throws {
        let stop = eventfd(1, CInt(EFD_CLOEXEC | EFD_NONBLOCK))
        defer { close(stop) }
        #expect(throws: PluginFault.stopped) { try process("exec sleep 1000", stop: stop) }
    }

    @Test func `no process and no descriptor is left behind`() async throws {
        func descriptors() -> Int { (0..<1024).count { fcntl($0, F_GETFD) >= 0 } }
        _ = try process("echo x")
        let before = descriptors()
        for _ in 0..<60 { _ = try process("echo x >&2; exit 7") }
        // Other tests of this process open and close files meanwhile.
        try await waitUntil("as few descriptors as before") { descriptors() < before + 60 }
    }

    @Test func `variables replace those of this process, and none is lost`() throws {
        setenv("QQ_TEST_PLUGIN", "old", 1)
        defer { unsetenv("QQ_TEST_PLUGIN") }
        let entries = PluginRun.environment(adding: [("QQ_TEST_PLUGIN", "new"), ("A", "1"), ("A", "2")]).map {
            String(decoding: $0.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        #expect(entries.filter { $0.hasPrefix("QQ_TEST_PLUGIN=") } == ["QQ_TEST_PLUGIN=new"])
        #expect(entries.filter { $0.hasPrefix("A=") } == ["A=2"])
        #expect(entries.contains { $0.hasPrefix("PATH=") })
    }
}
