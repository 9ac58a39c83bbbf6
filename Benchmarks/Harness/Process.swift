import Glibc

/// A process of ours.
struct Child {
    let pid: pid_t

    /// Starts a program in a process group of its own, its output thrown away.
    init(_ words: [String], environment: [String: String] = [:]) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        for descriptor: CInt in 0...2 where descriptor != 2 || !isVerbose {
            posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        for (name, value) in environment { setenv(name, value, 1) }
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        var pid: pid_t = 0
        let problem = posix_spawn(&pid, words[0], &actions, &attributes, &arguments, environ)
        for argument in arguments { free(argument) }
        guard problem == 0 else { stop("cannot run \(words[0]): \(String(cString: strerror(problem)))") }
        self.pid = pid
    }

    /// Waits for its end; the exit code, or 128 and the signal.
    @discardableResult
    func wait() -> Int32 {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 { guard errno == EINTR else { return -1 } }
        return status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
    }

    func kill(_ signal: Int32 = SIGKILL) { Glibc.kill(pid, signal) }

    func killGroup() { Glibc.kill(-pid, SIGKILL) }
}

/// Every process below `pid`, itself included.
func family(of pid: pid_t) -> [pid_t] {
    [pid] + text("/proc/\(pid)/task/\(pid)/children").split(separator: " ").compactMap { pid_t($0) }.flatMap(family)
}

/// A field of a file of /proc that is `Name:  12345 kB`.
func kilobytes(_ field: String, in path: String) -> Int {
    for line in text(path).split(separator: "\n") where line.hasPrefix(field + ":") {
        return line.split(separator: " ").compactMap { Int($0) }.first ?? 0
    }
    return 0
}

func text(_ path: String) -> String {
    guard let file = fopen(path, "r") else { return "" }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
    return String(decoding: bytes, as: UTF8.self)
}

/// Nanoseconds on the clock that the stamps are taken from.
func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Looks every 0.2 ms until it holds; at most ten seconds.
func waitUntil(_ what: String, _ condition: () -> Bool) {
    let end = now() + 10_000_000_000
    while !condition() {
        guard now() < end else { stop("waited in vain: \(what)") }
        usleep(200)
    }
}

let isVerbose = getenv("BENCH_VERBOSE") != nil

func stop(_ message: String) -> Never {
    let line = "bench: \(message)\n"
    _ = line.withCString { write(2, $0, strlen($0)) }
    exit(1)
}
