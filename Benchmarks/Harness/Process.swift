import Glibc

/// A child process.
struct Child {
    let pid: pid_t

    /// Starts a program in a process group of its own. Its output is discarded unless a descriptor is given for it.
    init(_ words: [String], environment: [String: String] = [:], input: CInt? = nil, output: CInt? = nil) {
        pid = startProcess(words, environment: environment, flags: Int16(POSIX_SPAWN_SETPGROUP)) { actions in
            for (descriptor, given): (CInt, CInt?) in [(0, input), (1, output), (2, isVerbose ? 2 : nil)] {
                if let given {
                    posix_spawn_file_actions_adddup2(&actions, given, descriptor)
                } else {
                    posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
                }
            }
        }
    }

    /// Waits for the process to end. Returns the exit code, or 128 plus the signal.
    @discardableResult
    func wait() -> Int32 { waitForUsage().code }

    /// Waits for the process to end. Returns the exit code and the peak of its resident memory in kB, which is never below that of this
    /// process when it started the child.
    func waitForUsage() -> (code: Int32, peak: Int) {
        var status: Int32 = 0
        var usage = rusage()
        while wait4(pid, &status, 0, &usage) < 0 { guard errno == EINTR else { return (-1, 0) } }
        return (status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f), usage.ru_maxrss)
    }

    func kill(_ signal: Int32 = SIGKILL) { Glibc.kill(pid, signal) }

    func killGroup() { Glibc.kill(-pid, SIGKILL) }
}

/// Runs commands in turns, and a few times before that to warm the caches.
/// - Parameter allowed: the exit codes that count as a success.
/// - Returns: for each command, the median of its times in nanoseconds and its peak memory in kB.
func takeTurns(_ commands: [[String]], _ rounds: Int, allowing allowed: Set<Int32> = [0]) -> (medians: [UInt64], peaks: [Int]) {
    let warmUp = 5
    var times = commands.map { _ in [UInt64]() }
    var peaks = commands.map { _ in 0 }
    for round in 0..<warmUp + rounds {
        for (place, command) in commands.enumerated() {
            let start = now()
            let (code, peak) = Child(command).waitForUsage()
            let time = now() - start
            guard allowed.contains(code) else { stop("\(command.joined(separator: " ")): exit code \(code)") }
            peaks[place] = max(peaks[place], peak)
            if round >= warmUp { times[place].append(time) }
        }
    }
    return (times.map(median), peaks)
}

/// Starts a program after `prepare` has set up its descriptors.
func startProcess(
    _ words: [String], environment: [String: String], flags: Int16, _ prepare: (inout posix_spawn_file_actions_t) -> Void
) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    prepare(&actions)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    posix_spawnattr_setflags(&attributes, flags)
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
    return pid
}

/// Every process below `pid`, itself included.
func family(of pid: pid_t) -> [pid_t] {
    // Each thread has the children that it has started.
    let children = names(in: "/proc/\(pid)/task").flatMap { text("/proc/\(pid)/task/\($0)/children").split(separator: " ") }
    return [pid] + children.compactMap { pid_t($0) }.flatMap(family)
}

/// The names of the entries of a folder.
private func names(in path: String) -> [String] {
    guard let folder = opendir(path) else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if !name.hasPrefix(".") { names.append(name) }
    }
    return names
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

/// Processor time that a process and its descendants have used, in clock ticks.
func processorTicks(_ pid: pid_t) -> UInt64 {
    family(of: pid).map { pid in
        // Fields 14 and 15 of the whole line, 12 and 13 after the name.
        let fields = text("/proc/\(pid)/stat").split(separator: ")").last?.split(separator: " ") ?? []
        return fields.count > 12 ? (UInt64(fields[11]) ?? 0) + (UInt64(fields[12]) ?? 0) : 0
    }.reduce(0, +)
}

/// The peak of the resident memory of a process and its descendants, in kB.
func peakMemory(of pid: pid_t) -> Int { family(of: pid).map { kilobytes("VmHWM", in: "/proc/\($0)/status") }.reduce(0, +) }

/// Nanoseconds on the clock of the stamps.
func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Checks the condition every 0.2 ms until it holds, for at most ten seconds.
func waitUntil(_ what: String, _ condition: () -> Bool) {
    let end = now() + 10_000_000_000
    while !condition() {
        guard now() < end else { stop("timed out: \(what)") }
        usleep(200)
    }
}

/// Time from a command's start to its end, in nanoseconds. The command must succeed.
func time(_ command: [String]) -> UInt64 {
    let start = now()
    let code = Child(command).wait()
    let time = now() - start
    guard code == 0 else { stop("\(command.joined(separator: " ")): exit code \(code)") }
    return time
}

let isVerbose = getenv("BENCH_VERBOSE") != nil

func stop(_ message: String) -> Never {
    let line = "bench: \(message)\n"
    _ = line.withCString { write(2, $0, strlen($0)) }
    exit(1)
}
