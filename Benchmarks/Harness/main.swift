import Glibc

// Usage: harness QQ FLOCK STAMP EMPTY EMPTY-LINKED-LIKE-QQ [ROUNDS]
// Compares commands within one run. They take turns, so that other load on the machine affects all of them.

let words = CommandLine.arguments
guard words.count >= 6 else { stop("run me with make bench") }
let (qq, flock, stamp, empty, emptyLikeQQ) = (words[1], words[2], words[3], words[4], words[5])
let rounds = words.count > 6 ? Int(words[6]) ?? 200 : 200

var rows: [Row] = []
let folders = try workFolders()
defer { for folder in folders { remove(folder.path) } }

// A cold start that runs `true`: on a file system in memory, and on disk, where a new term waits until its token is stored.
for folder in folders {
    let guarded = [qq, "-s", "file://\(folder.path)", "acquire", "cold", "--", "/bin/true"]
    let medians = takeTurns([guarded, [flock, "-n", folder.path + "/flock", "/bin/true"], ["/bin/true"]], rounds).medians
    rows.append(Row("acquire x -- true, \(folder.kind)", medians[0], "flock -n f true", medians[1], aim: folder.isMemory ? 2 : nil))
    if folder.isMemory { rows.append(Row("acquire x -- true, \(folder.kind)", medians[0], "true alone", medians[2])) }
}

let starts = takeTurns([[qq, "version"], [empty], [emptyLikeQQ]], rounds).medians
rows.append(Row("version", starts[0], "empty Swift program, -static-stdlib", starts[1], aim: 1.3))
rows.append(Row("version", starts[0], "empty Swift program, linked like qq", starts[2], aim: 1.3))

let failovers = failoverTimes(folders[0].path, rounds: max(20, rounds / 4))
rows.append(Row("failover after SIGKILL of qq", failovers[0], "flock --no-fork, SIGKILL of it", failovers[1]))
rows.append(Row("failover after SIGKILL of qq", failovers[0], "flock, SIGKILL of it and its child", failovers[2]))

show(rows)
let worst = failovers[0]
print(
    "\nFailover: \(milliseconds(worst)), aim under 20 ms: \(worst < 20_000_000 ? "met" : "NOT MET"). From the SIGKILL to the start of the waiter's command,"
)
print(
    "by stamps on CLOCK_BOOTTIME. flock forks, and its child keeps the lock if only flock is killed. It is therefore measured with --no-fork,"
)
print(
    "where the one process is the command, and with both killed together. Of qq, only qq is killed: ending its command is part of the time."
)
showMemory(folders[0].path)

// MARK: Measuring

/// The times from SIGKILL to the start of the waiter's command: qq, flock --no-fork, flock with its child.
func failoverTimes(_ folder: String, rounds: Int) -> [UInt64] {
    let file = folder + "/stamp"
    let sleeper = ["/bin/sleep", "60"]
    let guarded = [qq, "-s", "file://\(folder)", "acquire", "failover"]
    let ways: [(holder: [String], waiter: [String], lock: String, killsGroup: Bool)] = [
        (guarded + ["--"] + sleeper, guarded + ["--wait", "--", stamp, file], folder + "/.failover.lock", false),
        ([flock, "--no-fork", folder + "/flock"] + sleeper, [flock, folder + "/flock", stamp, file], folder + "/flock", false),
        ([flock, folder + "/flock"] + sleeper, [flock, folder + "/flock", stamp, file], folder + "/flock", true),
    ]
    var times = ways.map { _ in [UInt64]() }
    for _ in 0..<rounds {
        for (place, way) in ways.enumerated() {
            unlink(file)
            let holder = Child(way.holder)
            waitForSleep(of: holder)
            let waiter = Child(way.waiter)
            waitUntil("\(way.waiter) waits") { isAwaited(way.lock) }
            let killed = now()
            if way.killsGroup { holder.killGroup() } else { holder.kill() }
            let started = stampedStart(of: waiter, file)
            holder.wait()
            times[place].append(started - killed)
        }
    }
    return times.map(median)
}

/// Whether a process waits for a lock of the file.
func isAwaited(_ path: String) -> Bool {
    var information = stat()
    guard stat(path, &information) == 0 else { return false }
    return text("/proc/locks").split(separator: "\n").contains { line in
        line.contains("->") && line.split(separator: " ").contains { $0.hasSuffix(":\(information.st_ino)") }
    }
}

/// Shows the memory of a qq that holds a lease for a while, renewals included.
func showMemory(_ folder: String) {
    let holder = Child([qq, "-s", "file://\(folder)", "acquire", "memory", "--ttl", "1s", "--", "/bin/sleep", "60"])
    waitForSleep(of: holder)
    usleep(2_000_000)
    let members = family(of: holder.pid).filter { text("/proc/\($0)/comm") != "sleep\n" }
    var sums = (peak: 0, resident: 0, proportional: 0)
    print("\nMemory of a holding qq after six renewals, in kB:\n")
    print(aligned(["process", "peak (VmHWM)", "resident (RSS)", "proportional (PSS)"], [-16, 14, 16, 20]))
    for pid in members {
        let numbers = (
            peak: kilobytes("VmHWM", in: "/proc/\(pid)/status"), resident: kilobytes("Rss", in: "/proc/\(pid)/smaps_rollup"),
            proportional: kilobytes("Pss", in: "/proc/\(pid)/smaps_rollup")
        )
        sums = (sums.peak + numbers.peak, sums.resident + numbers.resident, sums.proportional + numbers.proportional)
        let name = String(text("/proc/\(pid)/comm").dropLast())
        print(aligned([name, "\(numbers.peak)", "\(numbers.resident)", "\(numbers.proportional)"], [-16, 14, 16, 20]))
    }
    print(aligned(["together", "\(sums.peak)", "\(sums.resident)", "\(sums.proportional)"], [-16, 14, 16, 20]))
    print(
        "\nAim: a peak under 15 MB: \(sums.peak < 15_000 ? "met" : "NOT MET"). Pages that both processes share count twice in the first two columns."
    )
    kill(holder.pid, SIGTERM)
    holder.wait()
}

// MARK: Folders

struct WorkFolder {
    var path: String
    var kind: String
    var isMemory: Bool
}

/// A folder in memory and one on disk, in this order, so that the first is the faster one.
func workFolders() throws -> [WorkFolder] {
    let places = [("/dev/shm", "in memory", true), (getenv("BENCH_DISK").map { String(cString: $0) } ?? "/var/tmp", "on disk", false)]
    let folders = places.compactMap { place, kind, isMemory -> WorkFolder? in
        var path = Array((place + "/qq-bench-XXXXXX").utf8CString)
        return mkdtemp(&path) == nil
            ? nil
            : WorkFolder(
                path: String(decoding: path.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self), kind: kind, isMemory: isMemory)
    }
    guard !folders.isEmpty else { stop("no folder to work in") }
    return folders
}

func remove(_ path: String) { Child(["/bin/rm", "-rf", path]).wait() }
