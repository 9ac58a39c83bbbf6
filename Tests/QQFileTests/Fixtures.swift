import Foundation
import QQCore
import Synchronization

@testable import QQFile

/// CLOCK_BOOTTIME, which a test can advance.
final class TestClock: LeaseClock {
    private let ahead = Mutex(Duration.zero)

    func now() -> BootInstant {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return BootInstant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)) + ahead.withLock { $0 }
    }

    func sleep(until deadline: BootInstant) async throws {
        while now() < deadline { try await Task.sleep(for: min(deadline.duration(since: now()), .milliseconds(2))) }
        try Task.checkCancellation()
    }

    func putForward(_ duration: Duration) { ahead.withLock { $0 += duration } }
}

/// A temporary folder for one test, removed together with this object.
final class TemporaryFolder: Sendable {
    let path: String

    init() {
        path = NSTemporaryDirectory() + "qq-file-tests-" + UUID().uuidString
        mkdir(path, 0o755)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }

    func write(_ text: String, to name: String) throws {
        // In place, as other writers of lease files do.
        let number = open(file(name), O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard number >= 0 else { throw SystemCallError("open") }
        try Descriptor(number).write(Array(text.utf8), at: 0)
    }

    func text(_ name: String) -> String? { FileManager.default.contents(atPath: file(name)).map { String(decoding: $0, as: UTF8.self) } }

    /// Inode, size, times and content of every file, for comparison.
    func snapshot() throws -> [String: [String]] {
        var files: [String: [String]] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: path) + ["."] {
            var information = stat()
            lstat(file(name), &information)
            files[name] = [
                "\(information.st_ino)", "\(information.st_size)", "\(information.st_mtim)", "\(information.st_ctim)", text(name) ?? "",
            ]
        }
        return files
    }

    /// The number of descriptors of this process that are open on files in the folder.
    var openDescriptors: Int {
        let numbers = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return numbers.count {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)"))?.hasPrefix(path) == true
        }
    }

    func coordinator(_ clock: TestClock = TestClock(), isDefault: Bool = false, requestTimeout: Duration = .seconds(60)) throws
        -> FileCoordinator
    {
        FileCoordinator(
            server: try ServerURL.parse("file://" + path, as: [.file]), isDefault: isDefault, clock: clock, ownTTL: .seconds(15),
            requestTimeout: requestTimeout)
    }
}

func ask(
    _ identity: String, _ name: String = "backup", ttl: Duration = .seconds(600), livenessLock: Bool = false,
    continuing: FencingToken? = nil
) -> AcquireRequest {
    AcquireRequest(
        name: name, identity: identity, ttl: ttl, continuing: continuing.map { term(of: identity, $0, ttl: ttl) },
        wantsLivenessLock: livenessLock)
}

/// A term to resume. Only its identity and its token matter.
func term(of identity: String, _ token: FencingToken, ttl: Duration) -> Grant {
    Grant(
        name: "backup", identity: identity, token: token, ttl: ttl, deadline: .distantFuture, acquiredAt: WallTime(seconds: 0),
        expiresAt: WallTime(seconds: 0))
}

struct NotGranted: Error {
    var state: ElectionState
}

struct NotRefused: Error {}

extension FileCoordinator {
    func get(_ request: AcquireRequest) async throws -> (grant: Grant, livenessLock: (any LivenessLock)?) {
        switch try await acquire(request) {
        case .granted(let grant, let livenessLock): return (grant, livenessLock)
        case .refused(let state): throw NotGranted(state: state)
        }
    }

    /// Takes over a lease whose liveness lock was closed. A process that another test starts at that moment has a copy of the lock until it executes its own
    /// program.
    @discardableResult
    func takeOver(_ request: AcquireRequest) async throws -> (grant: Grant, livenessLock: (any LivenessLock)?) {
        let end = ContinuousClock.now + .seconds(120)
        while true {
            do { return try await get(request) } catch is NotGranted where ContinuousClock.now < end {
                try await Task.sleep(for: .milliseconds(1))
            }
        }
    }

    func blocker(of request: AcquireRequest) async throws -> ElectionState {
        switch try await acquire(request) {
        case .granted: throw NotRefused()
        case .refused(let state): return state
        }
    }
}

/// The `CoordinationError` that `body` throws, if any.
func failure(_ body: () async throws -> Void) async -> CoordinationError? {
    do { try await body() } catch { return error as? CoordinationError }
    return nil
}

struct NeverHappened: Error, CustomStringConvertible {
    var description: String
}

/// Waits until `condition` holds, for at most two minutes.
func eventually(_ what: String, _ condition: () async throws -> Bool) async throws {
    let clock = ContinuousClock()
    let end = clock.now + .seconds(120)
    while !(try await condition()) {
        if clock.now >= end { throw NeverHappened(description: "waited in vain for " + what) }
        try await Task.sleep(for: .milliseconds(1))
    }
}

/// A `sleep` process that inherits a liveness lock, if one is given.
final class Sleeper: Sendable {
    let pid: pid_t

    init(_ livenessLock: (any LivenessLock)?) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // Duplicating a descriptor onto itself would keep its close-on-exec flag.
        if let livenessLock { posix_spawn_file_actions_adddup2(&actions, livenessLock.descriptor, 200) }
        var pid: pid_t = 0
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("sleep"), strdup("900"), nil]
        defer { for argument in arguments { free(argument) } }
        while true {
            let result = posix_spawnp(&pid, "sleep", &actions, nil, &arguments, environ)
            guard result == 0 else { throw SystemCallError("posix_spawn", code: result) }
            if Self.becomesSleep(pid) { break }
            // Another test killed all processes with a copy of its liveness lock. This one had a copy until it executed its own program.
            waitpid(pid, nil, 0)
        }
        self.pid = pid
    }

    /// Whether the process lives until it runs `sleep`. It gets that name a moment after it was started.
    private static func becomesSleep(_ pid: pid_t) -> Bool {
        while isAlive(pid) {
            if (try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8)) == "sleep\n" { return true }
            usleep(100)
        }
        return false
    }

    var isAlive: Bool { Self.isAlive(pid) }

    private static func isAlive(_ pid: pid_t) -> Bool {
        var information = siginfo_t()
        waitid(P_PID, id_t(pid), &information, WEXITED | WNOHANG | WNOWAIT)
        return information.si_signo == 0
    }

    func end() { kill(pid, SIGKILL) }

    deinit {
        kill(pid, SIGKILL)
        var status: CInt = 0
        waitpid(pid, &status, 0)
    }
}

/// A value that several tasks change.
final class Noted<Value: Sendable>: Sendable {
    private let noted: Mutex<Value>

    init(_ value: Value) { noted = Mutex(value) }

    var value: Value { noted.withLock { $0 } }

    func change(_ body: @Sendable (inout Value) -> Void) { noted.withLock { body(&$0) } }
}
