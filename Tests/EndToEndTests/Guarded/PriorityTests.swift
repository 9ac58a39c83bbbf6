import Glibc
import Support
import Testing

@Suite("The priority of the guardian") struct PriorityTests {
    /// How the kernel schedules a process: proc_pid_stat(5), fields 19 and 41.
    private struct Scheduling {
        let nice: Int
        let policy: Int

        init(_ pid: pid_t) throws {
            let text = readText("/proc/\(pid)/stat")
            // The name can contain anything, but ends with the last parenthesis; the field after it is number 3.
            let fields = try #require(text.split(separator: ")").last).split(separator: " ")
            nice = try #require(Int(fields[19 - 3]))
            policy = try #require(Int(fields[41 - 3]))
        }
    }

    @Test("the guardian has a higher priority than the command if allowed, and the command keeps qq's")
    func aboveTheCommand() async throws {
        try await inSandbox { box in
            let isAllowed = try await box.start(["chrt", "--rr", "1", "true"]).finish().ending == .exited(0)
            let holder = try box.start(["nice", "-n", "5", Sandbox.binary, "acquire", "x", "--", Sandbox.stamp, box.path("stamps")])
            _ = try await box.waitForTerms(1)
            let guardian = try await box.guardian(of: holder)
            let policy = isAllowed ? SCHED_RR : SCHED_OTHER
            try await waitUntil("the guardian has its priority") { try Scheduling(guardian.pid).policy == policy }
            for process in box.living where process.pid != guardian.pid {
                let scheduling = try Scheduling(process.pid)
                #expect(scheduling.policy == SCHED_OTHER && scheduling.nice == 5, "\(process)")
            }
            try await holder.terminate()
        }
    }
}
