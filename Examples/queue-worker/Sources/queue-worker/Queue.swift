import Foundation
import LeaderElection

/// Items that wait in the folder `todo` and are moved to the folder `done`, at most once each.
///
/// A lease alone cannot keep two workers apart: a worker that was stopped does not know, for a moment after it continues, that another one works by now.
/// The folder therefore remembers the largest token that has written to it, and refuses smaller ones.
struct Queue: Sendable {
    let folder: String
    /// Name of this worker in the log.
    let worker: String

    init(_ folder: String, worker: String) throws {
        self.folder = folder
        self.worker = worker
        for name in ["todo", "done", "leases"] {
            try FileManager.default.createDirectory(atPath: folder + "/" + name, withIntermediateDirectories: true)
        }
    }

    /// The item that has its turn, the first one by name; nil if the queue is empty.
    func next() throws -> String? {
        try FileManager.default.contentsOfDirectory(atPath: folder + "/todo").filter { !$0.hasPrefix(".") }.min()
    }

    /// Moves an item to `done`, and writes a line about it.
    /// - Throws: ``Refused`` if a worker with a larger token has written before.
    func finish(_ item: String, _ token: FencingToken) async throws {
        let fence = try await Fence.lock(folder + "/fence")
        try fence.pass(token)
        // The lock is still held, so no newer worker can come between the check of the token and these two writes.
        guard rename("\(folder)/todo/\(item)", "\(folder)/done/\(item)") == 0 else { throw CannotWrite(what: item, code: errno) }
        try log("done", token, item)
    }

    /// Adds a line to the log that all workers share: nanoseconds of the boot clock, worker, token, what has happened, and details.
    func log(_ what: String, _ token: FencingToken?, _ detail: String) throws {
        let descriptor = open(folder + "/log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw CannotWrite(what: "log", code: errno) }
        defer { close(descriptor) }
        // One write, so that lines of several processes do not mix.
        let line = Array("\(bootNanoseconds()) \(worker) \(token?.value ?? 0) \(what) \(detail)\n".utf8)
        guard write(descriptor, line, line.count) == line.count else { throw CannotWrite(what: "log", code: errno) }
    }
}

/// The clock by which leases end: it counts the time in which the machine sleeps, and nobody sets it.
private func bootNanoseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_BOOTTIME, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}

/// A file of the queue could not be changed.
struct CannotWrite: Error, CustomStringConvertible {
    var what: String
    var code: Int32

    var description: String { "cannot write \(what): \(String(cString: strerror(code)))" }
}
