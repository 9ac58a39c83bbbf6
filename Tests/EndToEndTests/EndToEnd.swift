import Glibc
import Support
import Testing

/// Runs a test in a sandbox of its own. The test fails if a process that it started still lives.
func inSandbox(
    _ load: Gate.Load = .light, sourceLocation: SourceLocation = #_sourceLocation, _ body: (Sandbox) async throws -> Void
) async throws {
    let left = try await withSandbox(load, body)
    #expect(left.isEmpty, "processes were left behind", sourceLocation: sourceLocation)
}

/// The result of a program's run.
struct Run {
    var ending: Ending
    var output: [UInt8]
    var errors: String

    var text: String { String(decoding: output, as: UTF8.self) }
    var lines: [String] { text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init).dropLast() }
    var code: Int32? { if case .exited(let code) = ending { code } else { nil } }
}

/// A running program, with its output in files.
final class Started: Sendable {
    let child: Child
    private let outputFile: String
    private let errorFile: String

    init(_ launch: Launch, in sandbox: Sandbox) throws {
        let number = Int.random(in: 0..<Int.max)
        outputFile = sandbox.path("stdout-\(number)")
        errorFile = sandbox.path("stderr-\(number)")
        var launch = launch
        if launch.output == .file("/dev/null") { launch.output = .file(outputFile) }
        if launch.errors == .file("/dev/null") { launch.errors = .file(errorFile) }
        child = try Child(launch)
    }

    var pid: pid_t { child.pid }
    var output: String { readText(outputFile) }
    var errors: String { readText(errorFile) }

    func finish(within limit: Duration = waitingTime, _ sourceLocation: SourceLocation = #_sourceLocation) async throws -> Run {
        do {
            let ending = try await child.wait(within: limit)
            return Run(ending: ending, output: readBytes(outputFile) ?? [], errors: errors)
        } catch {
            Issue.record("the program did not end in time; stdout: \(output) stderr: \(errors)", sourceLocation: sourceLocation)
            throw error
        }
    }
}

extension Sandbox {
    func start(_ words: [String], environment: [String: String] = [:]) throws -> Started {
        try Started(launch(words, environment: environment), in: self)
    }

    /// Starts `qq`.
    func qq(_ arguments: String..., environment: [String: String] = [:]) throws -> Started {
        try start([Self.binary] + arguments, environment: environment)
    }

    /// Runs `qq` to its end.
    func run(
        _ arguments: String..., environment: [String: String] = [:], within limit: Duration = waitingTime,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Run {
        try await start([Self.binary] + arguments, environment: environment).finish(within: limit, sourceLocation)
    }

    /// Starts `qq` as a user other than root, to whom the sandbox's folders then belong. If the tests do not run as root, that is their own user.
    func qqAsUser(_ arguments: [String], environment: [String: String] = [:]) throws -> Started {
        guard isRoot else { return try start([Self.binary] + arguments, environment: environment) }
        let user: uid_t = 12345
        for name in ["", "leases", "run", "state", "home"] { chown(path(name), user, user) }
        // By a descriptor: the user might not be allowed to reach the folder of the binary.
        let binary = open(Self.binary, O_RDONLY | O_CLOEXEC)
        defer { Glibc.close(binary) }
        var launch = launch(
            ["setpriv", "--reuid", "\(user)", "--regid", "\(user)", "--clear-groups", "/proc/self/fd/9"] + arguments,
            environment: environment)
        launch.descriptors[9] = binary
        return try Started(launch, in: self)
    }

    func runAsUser(_ arguments: String..., environment: [String: String] = [:]) async throws -> Run {
        try await qqAsUser(arguments, environment: environment).finish()
    }

    /// Waits until the log shows stamps of this many different tokens.
    func waitForTerms(_ count: Int, log: String = "stamps", within limit: Duration = waitingTime) async throws -> Stamps {
        try await waitFor("\(count) terms with stamps", within: limit) {
            let stamps = stamps(log)
            return stamps.terms.count >= count ? stamps : nil
        }
    }

    /// Holds an election with a guarded command that does nothing until it is ended.
    func hold(_ name: String, _ options: String..., environment: [String: String] = [:]) async throws -> Started {
        let holder = try start(
            [Self.binary, "acquire", name] + options + ["--", "sh", "-c", "echo held; exec sleep 600"], environment: environment)
        try await waitUntil("\(name) is held: \(holder.errors)") {
            guard holder.child.isRunning else { throw TimedOut("the holder ended: \(holder.errors)") }
            return holder.output.contains("held")
        }
        return holder
    }

    /// Stops a `qq` that holds an election, but not in the microseconds while it has the lease file locked. No process could read the
    /// file then, and the test would not reach its subject.
    func stop(_ qq: Started, holding name: String) async throws {
        try await waitUntil("\(qq.pid) is stopped, but not while it changes the file") {
            kill(qq.pid, SIGSTOP)
            while LivingProcess(qq.pid)?.isStopped == false { usleep(100) }
            let descriptor = open(leaseFile(name), O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { return true }
            defer { Glibc.close(descriptor) }
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
            kill(qq.pid, SIGCONT)
            return false
        }
    }

    /// Waits until this many contenders wait for their turn, the last of them being `qq`.
    func waitForQueue(_ qq: Started, count: Int = 1, for name: String = "x") async throws {
        try await waitUntil("\(count) wait, the last is \(qq.pid): \(qq.errors)") {
            guard qq.child.isRunning else { throw TimedOut("qq ended instead of waiting: \(qq.child.ending as Any) \(qq.errors)") }
            return try waiters(name, in: self) >= count
        }
    }

    /// The guardian of a `qq`.
    func guardian(of qq: Started) async throws -> LivingProcess {
        try await waitFor("the guardian of \(qq.pid)") { LivingProcess.below(qq.pid).first { $0.name == "lease-guardian" } }
    }
}

extension Sandbox {
    /// When the lease in a file ends, in nanoseconds of the boot clock; nil without a lease of `qq`.
    func deadline(of name: String) -> UInt64? {
        guard let value = try? object(readText(leaseFile(name)))["bootDeadline"]?.int64Value else { return nil }
        return UInt64(exactly: value)
    }

    /// Waits until the lease that a file shows now would have ended without a renewal.
    /// - Returns: whether it was renewed.
    @discardableResult
    func outlivesItsDeadline(_ name: String) async throws -> Bool {
        let first = try await waitFor("a deadline of \(name)") { deadline(of: name) }
        try await waitUntil("the first deadline of \(name)") { bootNow() > first }
        return try await waitFor("a deadline of \(name)") { deadline(of: name) } > bootNow()
    }
}

extension Started {
    /// Whether one of the program's threads waits for room in a pipe.
    var waitsForPipe: Bool {
        names(in: "/proc/\(pid)/task").contains { readText("/proc/\(pid)/task/\($0)/wchan").contains("pipe_") }
    }

    /// Whether the program has a file open.
    func hasOpen(_ path: String) -> Bool {
        var wanted = stat()
        guard stat(path, &wanted) == 0 else { return false }
        return names(in: "/proc/\(pid)/fd").contains { name in
            var information = stat()
            return stat("/proc/\(pid)/fd/\(name)", &information) == 0 && information.st_ino == wanted.st_ino
                && information.st_dev == wanted.st_dev
        }
    }

    /// Ends the program with SIGTERM, as an operator does, and waits for its end.
    func terminate() async throws {
        child.signal(SIGTERM)
        _ = try await finish()
    }
}

let isRoot = geteuid() == 0
