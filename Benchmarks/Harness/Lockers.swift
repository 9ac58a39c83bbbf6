import Glibc

// Programs that hold a lock while a command runs, such as `qq acquire`, `etcdctl lock` and `consul lock`, compared with one another.

/// A program that holds a lock while a command runs, and ends with the command.
struct Locker {
    /// The words of the program for the lock of this name, which waits for it, and runs the command.
    var words: (_ lock: String, _ command: [String]) -> [String]
    /// Returns once a second contender waits for the lock of this name. What it returns waits for the release, and returns the time when the server told
    /// of it.
    var awaits: (_ lock: String) -> () -> UInt64

    init(words: @escaping (_ lock: String, _ command: [String]) -> [String], awaits: @escaping (_ lock: String) -> () -> UInt64) {
        (self.words, self.awaits) = (words, awaits)
    }
}

/// Times until the start of a waiter's command, in nanoseconds.
struct Takeovers {
    /// From the end of the holder's command, or from its holder's.
    var fromEnd: [UInt64] = []
    /// From the moment in which the server told of the release.
    var fromRelease: [UInt64] = []
}

/// The times of hand-overs from one process to the next, for each program. They take turns.
func handovers(_ lockers: [Locker], _ stamp: String, in folder: String, rounds: Int) -> [Takeovers] {
    takeTurns(lockers, stamp, in: folder, "handover", rounds) { holder in
        for pid in family(of: holder.pid) where isSleep(pid) { kill(pid, SIGTERM) }
    }
}

/// The times from SIGKILL of a holder, whose command lives until it is ended.
func failovers(_ locker: Locker, _ stamp: String, in folder: String, rounds: Int) -> Takeovers {
    takeTurns([locker], stamp, in: folder, "failover", rounds) { $0.kill() }[0]
}

private func takeTurns(
    _ lockers: [Locker], _ stamp: String, in folder: String, _ kind: String, _ rounds: Int, _ end: (Child) -> Void
) -> [Takeovers] {
    let file = folder + "/stamp"
    var times = lockers.map { _ in Takeovers() }
    for round in 0..<rounds + 1 {
        for (place, locker) in lockers.enumerated() {
            let lock = "\(kind)-\(place)-\(round)"
            unlink(file)
            let holder = dependent(locker.words(lock, ["/bin/sleep", "600"]))
            waitForSleep(of: holder)
            let waiter = dependent(locker.words(lock, [stamp, file]))
            let released = locker.awaits(lock)
            // Time for the requests that follow, until the waiter is quiet.
            usleep(50_000)
            let ended = now()
            end(holder)
            let told = released()
            let started = stampedStart(of: waiter, file)
            holder.wait()
            // The first round warms the caches.
            guard round > 0 else { continue }
            times[place].fromEnd.append(started - ended)
            times[place].fromRelease.append(started > told ? started - told : 0)
        }
    }
    return times
}

/// Waits until a process runs `sleep`, as its command.
func waitForSleep(of holder: Child) {
    waitUntil("process \(holder.pid) runs its command") { family(of: holder.pid).contains(where: isSleep) }
}

private func isSleep(_ pid: pid_t) -> Bool { text("/proc/\(pid)/comm") == "sleep\n" }

/// Waits for the end of a waiter, whose command writes down when it was started. Returns that time.
func stampedStart(of waiter: Child, _ file: String) -> UInt64 {
    guard waiter.wait() == 0 else { stop("the waiter failed") }
    guard let started = UInt64(text(file).dropLast()) else { stop("no stamp in \(file)") }
    return started
}
