import Glibc
import QQCore
import QQNetwork
import Synchronization

/// A stand-in for `consul lock` 1.8.7, in the test process: the calls of its recorded traffic, in their order, and a command that it starts with
/// `sh -c`. It shares nothing with the product's client. As the real one, it ends `sh` alone, and it runs the command on when it is killed itself.
///
///     let lock = ConsulLock("jobs", "stamp …", at: server.port, in: box)
///     try await waitUntil("the lock") { lock.isHolding }
///     lock.interrupt()                       // SIGTERM
///     #expect(try await lock.ended() == 0)
public final class ConsulLock: Sendable {
    public struct Settings: Sendable {
        /// Number of holders; above 1 a semaphore.
        public var limit = 1
        /// Whether the command's failure makes the exit code 2.
        public var usesChildExitCode = false
        public var token = ""
        public var ttl = Duration.seconds(15)
        /// Pause after an acquire that a lock-delay refused.
        public var retry = Duration.seconds(5)
        /// From SIGTERM to SIGKILL.
        public var grace = Duration.seconds(5)

        public init() {}
    }

    struct State {
        var child: Child?
        var session: String?
        var hasLost = false
        var isInterrupted = false
        var output: [String] = []
        var exit: Int32?
        var task: Task<Void, Never>?
    }

    /// The program ends with this message and exit code 1.
    struct Stop: Error {
        var text: String
    }

    static let lockFlags: UInt64 = 0x2ddc_cbc0_58a5_0c18
    static let semaphoreFlags: UInt64 = 0xe0f6_9a2b_aa41_4de0

    public let prefix: String
    public let command: String
    public let settings: Settings
    let calls: ConsulCalls
    let sandbox: Sandbox
    let state = Mutex(State())

    /// Starts it.
    /// - Parameters:
    ///   - command: for `sh -c`.
    ///   - port: of an agent without TLS on 127.0.0.1, or of a proxy to it.
    public init(_ prefix: String, _ command: String, at port: UInt16, _ settings: Settings = Settings(), in sandbox: Sandbox) {
        (self.prefix, self.command, self.settings, self.sandbox) = (prefix, command, settings, sandbox)
        calls = ConsulCalls(port: port, token: settings.token, sandbox: sandbox)
        let task = Task { await run() }
        state.withLock { $0.task = task }
        sandbox.atClose { task.cancel() }
    }

    public var output: [String] { state.withLock { $0.output } }
    /// Its session; nil before it has one.
    public var session: String? { state.withLock { $0.session } }
    /// The `sh` that runs the command; nil before the command is started.
    public var child: Child? { state.withLock { $0.child } }
    public var isHolding: Bool { child?.isRunning ?? false }
    /// nil while it runs, and after it was killed.
    public var exit: Int32? { state.withLock { $0.exit } }

    /// SIGTERM or SIGINT: ends the command, releases, and exits with 0.
    public func interrupt() { state.withLock { $0.isInterrupted = true } }

    /// SIGKILL: no more calls, and the command runs on.
    public func kill() { state.withLock { $0.task }?.cancel() }

    public func ended(within limit: Duration = waitingTime) async throws -> Int32 {
        try await waitFor("the end of consul lock: \(output)", within: limit) { exit }
    }

    func say(_ text: String) { state.withLock { $0.output.append(text) } }

    // MARK: The program

    private func run() async {
        do {
            let code = try await work()
            state.withLock { $0.exit = code }
        } catch let stop as Stop {
            say(stop.text)
            state.withLock { $0.exit = 1 }
        } catch {
            // Killed.
        }
    }

    private func work() async throws -> Int32 {
        let own = try await calls.call("GET", "/v1/agent/self")
        guard own.status == 200 else {
            throw Stop(text: "Error querying Consul agent: Unexpected response code: \(own.status) (\(own.text))")
        }
        let isSemaphore = settings.limit > 1
        say(
            isSemaphore ? "Setting up semaphore (limit \(settings.limit)) at prefix: \(prefix)" : "Setting up lock at path: \(prefix)/.lock"
        )
        let session = try await createSession(deletesKeys: isSemaphore)
        state.withLock { $0.session = session }
        say("Attempting lock acquisition")
        return try await withThrowingTaskGroup(of: Int32?.self) { group in
            group.addTask { try await self.renew(session) }
            group.addTask { try await isSemaphore ? self.holdSemaphore(session) : self.holdLock(session) }
            defer { group.cancelAll() }
            while let code = try await group.next() { if let code { return code } }
            throw CancellationError()
        }
    }

    private func createSession(deletesKeys: Bool) async throws -> String {
        var document: [JSONObject.Member] = deletesKeys ? [.init(name: "Behavior", value: "delete")] : []
        document += [
            .init(name: "Name", value: .string("Consul lock for '\(command)' at '\(prefix)'")),
            .init(name: "TTL", value: .string("\(Int(settings.ttl.seconds))s")),
        ]
        let answer = try await calls.call("PUT", "/v1/session/create", JSONWriter.string(.object(JSONObject(document))))
        guard let id = answer.json?["ID"]?.stringValue else {
            throw Stop(
                text: "Lock acquisition failed: failed to create session: Unexpected response code: \(answer.status) (\(answer.text))")
        }
        return id
    }

    /// Failures are not acted on, as in the real one.
    private func renew(_ session: String) async throws -> Int32? {
        while true {
            try await Task.sleep(for: settings.ttl / 2)
            _ = try? await calls.call("PUT", "/v1/session/renew/" + session)
        }
    }

    private func holdLock(_ session: String) async throws -> Int32 {
        let key = prefix + "/.lock"
        let end = "flags=\(Self.lockFlags)"
        guard try await acquireLock(key, session) else { return 1 }
        let code = try await runCommand { index in
            let answer = try await self.calls.call("GET", "/v1/kv/\(key)?consistent=\(index.map { "&index=\($0)" } ?? "")")
            if answer.status == 500 { throw ConsulCalls.Broken() }
            return (answer.entries.first?["Session"]?.stringValue == session, answer.index)
        }
        _ = try await calls.call("PUT", "/v1/kv/\(key)?\(end)&release=\(session)")
        let left = try await calls.call("GET", "/v1/kv/" + key).entries.first
        _ = try await calls.call("PUT", "/v1/session/destroy/" + session)
        guard let left else { return cleanedUp(code) }
        guard left["Flags"]?.uint64Value == Self.lockFlags else {
            throw Stop(text: "Lock cleanup failed: Existing key does not match lock use")
        }
        guard left["Session"] == nil else { return inUse(code) }
        let removed = try await calls.call("DELETE", "/v1/kv/\(key)?cas=\(left["ModifyIndex"]?.uint64Value ?? 0)")
        return removed.text == "true" ? cleanedUp(code) : inUse(code)
    }

    func cleanedUp(_ code: Int32) -> Int32 {
        say("Cleanup succeeded")
        return code
    }

    func inUse(_ code: Int32) -> Int32 {
        say("Cleanup aborted, lock in use")
        return code
    }

    var isInterrupted: Bool { state.withLock { $0.isInterrupted } }

    /// Returns false after an interruption, which waits until the blocking query ends, up to 15 s.
    private func acquireLock(_ key: String, _ session: String) async throws -> Bool {
        var index: UInt64?
        while !isInterrupted {
            let answer = try await calls.call("GET", "/v1/kv/\(key)?\(index.map { "index=\($0)&" } ?? "")wait=15000ms")
            let entry = answer.entries.first
            if let entry, entry["Flags"]?.uint64Value != Self.lockFlags {
                throw Stop(text: "Lock acquisition failed: Existing key does not match lock use")
            }
            index = answer.index
            if let holder = entry?["Session"]?.stringValue, holder != session { continue }
            let acquired = try await calls.call("PUT", "/v1/kv/\(key)?acquire=\(session)&flags=\(Self.lockFlags)")
            if acquired.text == "true" { return true }
            guard acquired.status == 200 else {
                throw Stop(text: "Lock acquisition failed: failed to acquire lock: Unexpected response code: \(acquired.status)")
            }
            // Either another one was faster, or a lock-delay refused.
            let again = try await calls.call("GET", "/v1/kv/" + key)
            if again.entries.first?["Session"] == nil {
                index = nil
                try await Task.sleep(for: settings.retry)
            }
        }
        say("Shutdown triggered or timeout during lock acquisition")
        return false
    }

    // MARK: The command

    /// Runs the command for as long as the lock is held.
    /// - Parameter look: waits for a change after this index, and returns whether the lock is still held, and the new index.
    func runCommand(_ look: @escaping @Sendable (UInt64?) async throws -> (isHeld: Bool, index: UInt64?)) async throws -> Int32 {
        // The first look is over before the command starts; the real one makes it at the same time.
        let first = try? await look(nil)
        say("Starting handler")
        let launch = sandbox.launch(["/bin/sh", "-c", command], environment: ["CONSUL_LOCK_HELD": "true"])
        let child = try Child(launch)
        state.withLock { $0.child = child }
        try Watchdog.watch(child.pid, in: sandbox)
        let monitor = Task {
            var (index, failures) = (first?.index, 0)
            while first?.isHeld != false, !Task.isCancelled {
                do {
                    let (isHeld, next) = try await look(index)
                    guard isHeld else { break }
                    (index, failures) = (next, 0)
                } catch {
                    // `-monitor-retry`.
                    failures += 1
                    guard failures <= 3 else { break }
                    try? await Task.sleep(for: .seconds(1))
                }
            }
            state.withLock { $0.hasLost = true }
        }
        defer { monitor.cancel() }
        while child.isRunning, !isInterrupted, !state.withLock({ $0.hasLost }) { try await Task.sleep(for: .milliseconds(2)) }
        let isKilled = child.isRunning
        if isKilled {
            say(isInterrupted ? "Shutdown triggered, killing child" : "Lock lost, killing child")
            say("Terminating child pid \(child.pid)")
            child.signal(SIGTERM)
            let end = ContinuousClock.now + settings.grace
            while child.isRunning, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(2)) }
            if child.isRunning {
                say("Child did not exit after grace period of \(Int(settings.grace.seconds))s")
                say("Killing child pid \(child.pid)")
                child.signal(SIGKILL)
            }
        }
        let ending = try await child.wait("the end of a command that was killed")
        switch ending {
        case .exited(0): break
        case .exited(let code): say("Error running handler: exit status \(code)")
        case .died(let signal): say("Error running handler: signal: \(String(cString: strsignal(signal)).lowercased())")
        }
        if !isKilled { say("Child terminated, releasing lock") } else if ending != .died(signal: SIGKILL) { say("Child terminated") }
        return ending != .exited(0) && settings.usesChildExitCode ? 2 : 0
    }
}
