import CGuardian
import CKernel
import Glibc
import QQCore
import QQLoop

/// Ends survivors of earlier terms of an election on this machine, before work begins under a new one.
public struct Leftovers: Sendable {
    private let exact: [String]
    private let loose: String
    private let loop: MainLoop
    private let told: @Sendable (Int) -> Void

    /// Time that the processes have to die. No work begins under a lease that expires in the meantime.
    private static let limit = Duration.seconds(2)

    /// - Parameters:
    ///   - elections: the names by which every contender knows the election (`Coordinator.electionKeys`).
    ///   - kind: only the system and the name of the election.
    ///   - told: called with the number of processes that were ended, if there were any.
    public init(elections: [String], kind: String, loop: MainLoop, told: @escaping @Sendable (Int) -> Void) {
        exact = elections.map { TermMark.digits($0) + "-" }
        loose = TermMark.digits(kind) + "-"
        self.loop = loop
        self.told = told
    }

    /// Returns once no survivor of an earlier term is alive, as far as this process can see. Starts a thread, because reading another
    /// process's files can hang in the kernel.
    /// - Throws: `CoordinationError` of kind `.unavailable` if a survivor stays alive, or the search takes too long or fails.
    public func end(before grant: Grant) async throws(CoordinationError) {
        if grant.followsCleanEnd { return }
        let limit = Self.limit
        let end = loop.now() + limit
        let (exact, loose, loop) = (exact, loose, loop)
        let found: Result?
        do {
            found = try await withThrowingTaskGroup(of: Result?.self) { group in
                group.addTask { try await resultOfThread { Self.end(exact: exact, loose: loose, until: end) } }
                group.addTask {
                    try? await loop.sleep(until: end + limit)
                    return nil
                }
                defer { group.cancelAll() }
                return try await group.next() ?? nil
            }
        } catch {
            let reason = "no thread can be started"
            throw failure(grant, (error as? SystemCallError).map { "\(reason): \($0.reason)" } ?? ForeignError.reason(reason, error))
        }
        guard let found else {
            throw failure(grant, "looking for processes of its earlier terms takes longer than \(DurationText.brief(limit * 2))")
        }
        if let code = found.problem {
            throw failure(grant, "the processes of this machine cannot be listed: \(SystemCallError("opendir", code: code).reason)")
        }
        guard found.living.isEmpty else {
            let pids = found.living.map { String($0) }.joined(separator: ", ")
            throw failure(
                grant, "processes of an earlier term are alive, and qq cannot end them: \(pids)",
                hint: "end them, as their user or as root, and try again; list them: ps -fp \(pids.filter { $0 != " " })")
        }
        if found.ended > 0 { told(found.ended) }
    }

    private func failure(_ grant: Grant, _ reason: String, hint: String? = nil) -> CoordinationError {
        CoordinationError(.unavailable, "cannot begin under the lease of \(Printable.text(grant.name))", because: reason, hint: hint)
    }

    private struct Result: Sendable {
        var ended = 0
        /// Processes that could not be ended; only the first ones are listed.
        var living: [pid_t] = []
        var problem: CInt?
    }

    /// Runs rounds of SIGKILL until two in a row find nothing: one round can miss a process that is just being forked or is between two
    /// programs. One round is enough if it found neither a survivor nor a process that was between two programs. Runs on a thread of its
    /// own.
    private static func end(exact: [String], loose: String, until deadline: BootInstant) -> Result {
        let texts = exact.map { strdup($0) }
        let (kind, variable) = (strdup(loose), strdup(TermMark.variable))
        defer { for text in texts + [kind, variable] { free(text) } }
        var marks = texts.map { UnsafePointer($0) } + [nil]
        var result = Result()
        var found = [qq_leftover](repeating: qq_leftover(), count: 64)
        var seen: Set<pid_t> = []
        // A process that cannot be killed is not found again once the process by which it was found is dead.
        var denied: [pid_t: qq_leftover] = [:]
        var emptyRounds = 0
        return marks.withUnsafeMutableBufferPointer { marks in
            var leftovers = qq_leftovers()
            leftovers.variable = UnsafePointer(variable)
            leftovers.exact = marks.baseAddress
            leftovers.loose = UnsafePointer(kind)
            while true {
                let count = qq_leftovers_end(&leftovers, &found, CInt(found.count))
                guard count >= 0 else {
                    result.problem = errno
                    return result
                }
                for process in found.prefix(Int(count)) {
                    seen.insert(process.pid)
                    if process.is_denied != 0 { denied[process.pid] = process }
                }
                denied = denied.filter { entry in
                    var process = entry.value
                    return qq_leftover_lives(&process) != 0
                }
                emptyRounds = count == 0 && denied.isEmpty ? emptyRounds + 1 : 0
                if emptyRounds >= (seen.isEmpty && leftovers.is_unsure == 0 ? 1 : 2) { break }
                if qq_boot_now() >= deadline.nanoseconds {
                    result.living = Set(found.prefix(Int(count)).map(\.pid)).union(denied.keys).sorted()
                    // Processes that were found in this round might be dying; the next attempt shows.
                    if result.living.isEmpty { break }
                    return result
                }
                usleep(seen.isEmpty ? 200 : 2000)
            }
            result.ended = seen.count
            return result
        }
    }
}
