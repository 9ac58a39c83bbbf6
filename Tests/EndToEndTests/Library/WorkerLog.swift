import Glibc
import Support

/// The log that all workers of Examples/queue-worker share.
struct WorkerLog: Sendable {
    struct Line: Sendable, Hashable {
        enum What: String, Sendable { case leads, done, cancelled, lost, refused, ended }

        /// Nanoseconds of the boot clock.
        let at: UInt64
        let worker: String
        let token: UInt64
        let what: What
        /// The item, or `NAME=MILLISECONDS`.
        let detail: String

        init?(_ line: Substring) {
            let words = line.split(separator: " ")
            guard words.count == 5, let at = UInt64(words[0]), let token = UInt64(words[2]), let what = What(rawValue: String(words[3]))
            else {
                return nil
            }
            self.at = at
            self.token = token
            self.what = what
            worker = String(words[1])
            detail = String(words[4])
        }

        /// The number of the detail.
        var milliseconds: Int64? { detail.split(separator: "=").last.flatMap { Int64($0) } }
    }

    /// One term as the worker shows it.
    struct Term: Sendable {
        let token: UInt64
        let worker: String
        let lines: [Line]

        var began: UInt64 { lines.first?.at ?? 0 }
        /// The last write; nil if there was none.
        var lastWrite: UInt64? { lines.last { $0.what == .done }?.at }
        var firstWrite: UInt64? { lines.first { $0.what == .done }?.at }
        func first(_ what: Line.What) -> Line? { lines.first { $0.what == what } }
    }

    let lines: [Line]

    init(_ text: String) { lines = text.split(separator: "\n").compactMap { Line($0) } }

    /// The terms in the order of their first lines.
    var terms: [Term] {
        var order: [UInt64] = []
        var found: [UInt64: [Line]] = [:]
        for line in lines {
            if found[line.token] == nil { order.append(line.token) }
            found[line.token, default: []].append(line)
        }
        return order.map { Term(token: $0, worker: found[$0]?.first?.worker ?? "", lines: found[$0] ?? []) }
    }

    func term(of worker: String) -> Term? { terms.first { $0.worker == worker } }
    func count(_ what: Line.What, by worker: String? = nil) -> Int {
        lines.count { $0.what == what && (worker == nil || $0.worker == worker) }
    }
    var items: [String] { lines.filter { $0.what == .done }.map(\.detail) }

    /// Each case of a write that came too late, in words: with an older token after a newer one had written, of an item that was done, or under a token that
    /// two terms had. Empty if the promise was kept.
    var offences: [String] {
        var found: [String] = []
        var largest: UInt64 = 0
        var done: Set<String> = []
        for line in lines where line.what == .done {
            if line.token < largest { found.append("\(line.worker) wrote \(line.detail) with token \(line.token) after \(largest)") }
            largest = max(largest, line.token)
            if !done.insert(line.detail).inserted { found.append("\(line.detail) was done twice") }
        }
        let starts = Dictionary(grouping: lines.filter { $0.what == .leads }, by: \.token)
        found += starts.filter { $0.value.count > 1 }.map { "token \($0.key) was given to \($0.value.count) terms" }
        found += zip(terms, terms.dropFirst()).filter { $0.token >= $1.token }.map { "token \($1.token) came after \($0.token)" }
        return found
    }

    /// Each case of work that had not ended when the next leader began, in words. A worker that was killed ends with its last line.
    var overlaps: [String] {
        zip(terms, terms.dropFirst()).compactMap { one, next in
            guard let last = one.lines.last?.at, last >= next.began else { return nil }
            return "\(one.worker) worked for \((last - next.began) / 1_000) us beside \(next.worker)"
        }
    }
}

extension Sandbox {
    /// Fills the queue of the workers.
    func fillQueue(_ count: Int) throws {
        for folder in ["queue", "queue/todo", "queue/leases"] { mkdir(path(folder), 0o755) }
        for number in 0..<count { try write("", to: "queue/todo/item-\(10_000 + number)") }
    }

    var workerLog: WorkerLog { WorkerLog(read("queue/log")) }
    var itemsLeft: Int { names(in: path("queue/todo")).count }
    var itemsDone: Int { names(in: path("queue/done")).count }

    /// Starts a worker of Examples/queue-worker.
    func worker(_ id: String, at server: String, ttl: Int, step: Int = 20, untilEmpty: Bool = false) throws -> Started {
        var words = [Self.worker, "queue", "--id", id, "--server", server, "--ttl", "\(ttl)", "--step", "\(step)"]
        if untilEmpty { words += ["--until", "empty"] }
        return try start(words)
    }

    /// Starts a worker that leads, and another one that waits.
    func twoWorkers(at servers: (String, String), ttl: Int, untilEmpty: Bool = false) async throws -> (leader: Started, waiter: Started) {
        let leader = try worker("one", at: servers.0, ttl: ttl, untilEmpty: untilEmpty)
        try await waitUntil("worker one works: \(leader.errors)") {
            guard leader.child.isRunning else { throw TimedOut("worker one ended: \(leader.errors)") }
            return workerLog.count(.done, by: "one") > 0
        }
        let waiter = try worker("two", at: servers.1, ttl: ttl, untilEmpty: untilEmpty)
        try await waitUntil("worker two waits: \(waiter.errors)") {
            guard waiter.child.isRunning else { throw TimedOut("worker two ended: \(waiter.errors)") }
            return waiter.errors.contains("waiting while another process leads")
        }
        return (leader, waiter)
    }

    /// Waits until a worker has written under its own term.
    func waitForWork(of worker: Started, _ id: String, items: Int = 3) async throws {
        try await waitUntil("worker \(id) works: \(worker.errors)") {
            guard worker.child.isRunning else { throw TimedOut("worker \(id) ended: \(worker.errors)") }
            return workerLog.count(.done, by: id) >= items
        }
    }

    /// Stops a worker, but not in the microseconds while it has the queue or the lease file locked: no other process could write then, and the test would not
    /// reach its subject.
    func stopOutsideOfLocks(_ worker: Started) async throws {
        try await waitUntil("worker \(worker.pid) is stopped, but not while it has a lock") {
            kill(worker.pid, SIGSTOP)
            while LivingProcess(worker.pid)?.isStopped == false { usleep(100) }
            if ["queue/fence", "queue/leases/queue.json"].allSatisfy({ isUnlocked(path($0)) }) { return true }
            kill(worker.pid, SIGCONT)
            return false
        }
    }

    private func isUnlocked(_ file: String) -> Bool {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return true }
        defer { Glibc.close(descriptor) }
        return flock(descriptor, LOCK_EX | LOCK_NB) == 0
    }
}
