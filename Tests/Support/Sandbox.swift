import Glibc
import Synchronization

/// A folder, an environment and a mark for one test, isolated from other tests and from the developer's own leases.
public final class Sandbox: Sendable {
    public let folder: String
    /// An entry in the environment of every process that the test starts, directly or indirectly.
    public let mark: String
    private let closing = Mutex<[@Sendable () -> Void]>([])

    public init() throws {
        var template = Array("/tmp/qq-e2e-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw CannotStart("no temporary folder: \(String(cString: strerror(errno)))") }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        mark = "QQ_TEST_MARK=" + folder
        Busyness.measure()
        for name in ["leases", "run", "state", "home"] { mkdir(path(name), name == "run" ? 0o700 : 0o755) }
    }

    public func path(_ name: String) -> String { folder + "/" + name }

    public var leases: String { path("leases") }
    public var server: String { "file://" + leases }
    public func leaseFile(_ name: String) -> String { leases + "/\(name).json" }

    /// The clean environment with which all processes are started.
    public var environment: [String: String] {
        [
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", "HOME": path("home"), "LC_ALL": "C.UTF-8",
            "TERM": "xterm",
            "XDG_RUNTIME_DIR": path("run"), "XDG_STATE_HOME": path("state"), "QQ_SERVER": server, "QQ_TEST_MARK": folder,
        ]
    }

    /// The binary under test: the one that QQ_BINARY names, otherwise the one that was built with the tests.
    public static let binary = getenv("QQ_BINARY").map { String(cString: $0) } ?? builtProduct("qq")
    public static let stamp = builtProduct("stamp")
    /// The program of Examples/queue-worker, as it was built with the tests.
    public static let worker = builtProduct("example-worker")

    private static func builtProduct(_ name: String) -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let length = readlink("/proc/self/exe", &buffer, buffer.count)
        let own = String(decoding: buffer.prefix(max(0, length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let beside = String(own[..<(own.lastIndex(of: "/") ?? own.startIndex)]) + "/" + name
        if access(beside, X_OK) == 0 { return beside }
        let package = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
        return package + "/.build/debug/" + name
    }

    public func launch(_ words: [String], environment extra: [String: String] = [:]) -> Launch {
        Launch(words, environment: environment.merging(extra) { $1 }, folder: folder)
    }

    public func write(_ text: String, to name: String) throws { try write(Array(text.utf8), to: name) }

    public func write(_ bytes: [UInt8], to name: String, mode: mode_t = 0o644) throws {
        let full = name.hasPrefix("/") ? name : path(name)
        let descriptor = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw CannotStart("cannot write \(full): \(String(cString: strerror(errno)))") }
        defer { Glibc.close(descriptor) }
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress?.advanced(by: done), bytes.count - done) }
            guard count > 0 else { throw CannotStart("cannot write \(full): \(String(cString: strerror(errno)))") }
            done += count
        }
    }

    public func read(_ name: String) -> String { readText(path(name)) }

    public func stamps(_ name: String = "stamps") -> Stamps { Stamps(path(name)) }

    /// The running processes that carry the mark.
    public var living: [LivingProcess] { LivingProcess.marked(mark) }

    /// Registers an action for the closing of the sandbox, before leftovers are looked for. The last one registered runs first.
    public func atClose(_ action: @escaping @Sendable () -> Void) { closing.withLock { $0.append(action) } }

    /// Ends the processes that are left, and removes the folder.
    /// - Parameter patience: the most time that the processes have to end by themselves. It is two seconds on a machine that is not busy.
    /// - Returns: the processes that had to be ended; there should be none.
    public func close(patience: Duration = .seconds(30)) async -> [LivingProcess] {
        for action in closing.withLock({ actions in
            defer { actions = [] }
            return actions.reversed()
        }) { action() }
        let began = ContinuousClock.now
        try? await waitUntil("an empty sandbox", within: patience) {
            living.isEmpty || ContinuousClock.now - began > .seconds(2) + busyTime(since: began)
        }
        let left = living
        // One look can miss a process that is being forked.
        var emptyLooks = 0
        try? await waitUntil("an empty sandbox", within: .seconds(30)) {
            let rest = living
            emptyLooks = rest.isEmpty ? emptyLooks + 1 : 0
            // Kill the whole group, so that a process that is being forked does not escape. Every session here belongs to the sandbox.
            for process in rest {
                kill(-process.group, SIGKILL)
                kill(process.pid, SIGKILL)
            }
            return left.isEmpty || emptyLooks == 5
        }
        removeTree(folder)
        return left
    }
}

/// Removes a folder and everything in it.
public func removeTree(_ path: String) {
    if let directory = opendir(path) {
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name == "." || name == ".." { continue }
            let full = path + "/" + name
            var information = stat()
            if lstat(full, &information) == 0, information.st_mode & S_IFMT == S_IFDIR { removeTree(full) } else { unlink(full) }
        }
        closedir(directory)
    }
    rmdir(path)
}

/// Runs `body` with a sandbox of its own, once the gate lets the test in.
/// - Returns: the processes that the body left running; they have been ended.
public func withSandbox(_ load: Gate.Load = .light, _ body: (Sandbox) async throws -> Void) async throws -> [LivingProcess] {
    await Gate.shared.enter(load)
    let result: Result<[LivingProcess], any Error>
    do {
        let sandbox = try Sandbox()
        do {
            // Tests with processes and servers wait for them in many ways.
            try await ThreadExecutor.run { try await body(sandbox) }
            result = .success(await sandbox.close())
        } catch {
            // After a failure, leftovers are to be expected.
            _ = await sandbox.close(patience: .seconds(1))
            result = .failure(error)
        }
    } catch { result = .failure(error) }
    await Gate.shared.leave(load)
    return try result.get()
}
