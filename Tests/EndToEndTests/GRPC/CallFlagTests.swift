import Glibc
import QQCore
import Support
import Testing

@testable import QQCLI

/// The flags about calls: retrying them, and limiting what they can carry.
@Suite("Call flags of the gRPC systems")
struct CallFlagTests {
    @Test("--cancel-wait removes a killed process's place in the queue") func cancelWait() async throws {
        try await onRaftLock { raft in
            raft.cluster.acquire("x", by: "other", for: .seconds(60))
            let waiter = try raft.qq("acquire", "x", "--id", "me", "--wait")
            try await waitUntil("qq waits: \(waiter.errors)") { raft.cluster.lock("x")?.waiters == ["me"] }
            waiter.child.signal(SIGKILL)
            let left = try await raft.run("release", "x", "--cancel-wait", "--id", "me", "--json")
            #expect(left.ending == .exited(0), "\(left.errors)")
            try checkSchema(left.text, Schemas.release)
            #expect(try object(left.text)["released"] == true && object(left.text)["leader"] == "other")
            #expect(raft.cluster.lock("x")?.waiters == [])
            let again = try await raft.run("release", "x", "--cancel-wait", "--id", "me")
            #expect(again.ending == .exited(1) && again.errors.contains("me is not waiting for x"), "\(again.errors)")
            #expect(raft.cluster.owner(of: "x") == "other")
        }
    }

    @Test("--advice shows the pauses that the servers advise") func advice() async throws {
        try await onRaftLock { raft in
            raft.cluster.acquire("x", by: "other", for: .seconds(60))
            let run = try await raft.run("status", "x", "--advice", "--json")
            #expect(run.ending == .exited(0), "\(run.errors)")
            try checkSchema(run.text, Schemas.status)
            let advice = try #require(try object(run.text)["advice"]?.objectValue)
            // The first pause is a quarter of the time left on the lease, the longest is all of it.
            #expect((10...60).contains(advice["maximum"]?.doubleValue ?? 0), "\(run.text)")
            #expect((advice["initial"]?.doubleValue ?? 0) < (advice["maximum"]?.doubleValue ?? 0))
            let plain = try await raft.run("status", "x", "--advice")
            #expect(plain.text.split(separator: "\t").count == 9, "\(plain.text)")
            let list = try await raft.run("status", "--all", "--advice")
            #expect(list.ending == .exited(0) && list.text.split(separator: "\t").count == 9, "\(list.errors)")
        }
    }

    @Test("the retry flags set how often, after what pauses and after which failures a request is retried") func retries() async throws {
        try await onRaftLock { raft in
            raft.cluster.loseLeader()
            let run = try await raft.run(
                "acquire", "x", "--retries", "2", "--backoff", "20ms..1s", "--backoff-factor", "5", "--jitter", "0")
            #expect(run.ending == .exited(69))
            #expect(run.errors.contains("trying again in 20ms") && run.errors.contains("trying again in 100ms"), "\(run.errors)")
            #expect(run.errors.split(separator: "\n").count { $0.contains("trying again") } == 2)
            let usual = try await raft.run("acquire", "x", "--jitter", "0")
            for pause in ["100ms", "200ms", "400ms"] { #expect(usual.errors.contains("trying again in \(pause)"), "\(usual.errors)") }
            #expect(usual.errors.split(separator: "\n").count { $0.contains("trying again") } == 3)
            let none = try await raft.run("acquire", "x", "--retry-on", "timeout,rate-limited")
            #expect(none.ending == .exited(69) && !none.errors.contains("trying again"), "\(none.errors)")
            #expect(none.errors.contains("no leader"), "\(none.errors)")
            let asked = try await raft.run("acquire", "x", "--retry-on", "no-leader", "--retries", "1")
            #expect(asked.ending == .exited(69) && asked.errors.contains("trying again"), "\(asked.errors)")
        }
    }

    @Test("call flags are refused for a system that does not use them") func refused() async throws {
        try await inSandbox { box in
            for flags in [
                ["--retry-on", "timeout"], ["--max-message", "1"], ["--follow-redirects"],
            ] {
                let run = try await box.start([Sandbox.binary, "acquire", "x"] + flags).finish()
                #expect(run.ending == .exited(64), "\(flags): \(run.errors)")
                #expect(run.errors.contains(flags[0]), "\(run.errors)")
            }
        }
    }
}
