import Glibc
import QQCore
import Support
import Testing

@testable import QQCLI

/// The flags about calls: counting them, retrying them, and limiting what they can carry.
@Suite("Call flags of the gRPC systems")
struct CallFlagTests {
    /// The samples of a metrics file, by name and labels.
    private func samples(_ text: String) throws -> [String: Double] {
        var found: [String: Double] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let space = try #require(line.lastIndex(of: " "))
            let value: Double = try #require(Double(line[line.index(after: space)...]), "\(line)")
            found[String(line[..<space])] = value
        }
        return found
    }

    @Test("--metrics-file counts the calls and leaves one file that everyone can read") func metrics() async throws {
        try await onRaftLock { raft in
            let file = raft.box.path("metrics.prom")
            let run = try await raft.run(
                "acquire", "x", "--ttl", "15s", "--renew-every", "300ms", "--timeout", "15s", "--metrics-file", file, "--", "sleep", "1.5")
            #expect(run.ending == .exited(0), "\(run.errors)")
            let found = try samples(raft.box.read("metrics.prom"))
            #expect(found[#"qq_successes_total{operation="Acquire"}"#] == 1)
            #expect(found[#"qq_successes_total{operation="Release"}"#] == 1)
            // The servers answer each renewal with an error, although they carry it out.
            #expect(found[#"qq_successes_total{operation="Renew"}"#] ?? 0 >= 1)
            #expect(found[#"qq_failures_total{operation="Renew"}"#] == 0)
            #expect(found[#"qq_retries_total{operation="Renew"}"#] == 0)
            let requests = Double(raft.cluster.calls("Acquire"))
            #expect(found[#"qq_requests_total{operation="Acquire"}"#] == requests)
            let redirects = raft.cluster.followers.reduce(0) { $0 + raft.cluster.calls(to: $1)["Acquire"] }
            #expect(found[#"qq_redirects_total{operation="Acquire"}"#] == Double(redirects) && redirects > 0)
            #expect(found[#"qq_request_duration_seconds_count{operation="Acquire"}"#] == requests)
            #expect(found[#"qq_request_duration_seconds_bucket{operation="Acquire",le="+Inf"}"#] == requests)
            #expect(try await raft.box.start(["stat", "-c", "%a", file]).finish().text == "644\n")
            #expect(try await raft.box.start(["sh", "-c", #"ls -a "${1%/*}" | grep -c metrics"#, "sh", file]).finish().text == "1\n")
        }
    }

    @Test("--metrics-file counts retries and is written while the command runs") func metricsOfRetries() async throws {
        try await onQuorumQuest { quest in
            let file = quest.box.path("metrics.prom")
            quest.server.change { $0.unavailable["TryAcquireLock"] = 2 }
            let run = try quest.qq("keepalive", "x", "--backoff", "10ms..20ms", "--metrics-file", file)
            try await waitUntil("the metrics are written: \(run.errors)", within: .seconds(90)) {
                quest.box.read("metrics.prom").contains(#"qq_successes_total{operation="TryAcquireLock"} 1"#)
            }
            let found = try samples(quest.box.read("metrics.prom"))
            #expect(found[#"qq_failures_total{operation="TryAcquireLock"}"#] == 2)
            #expect(found[#"qq_retries_total{operation="TryAcquireLock"}"#] == 2)
            try await run.terminate()
            // One release after each uncertain acquire, and the last one.
            #expect(try samples(quest.box.read("metrics.prom"))[#"qq_successes_total{operation="ReleaseLock"}"#] == 3)
        }
    }

    @Test("qq reports a --metrics-file that it cannot write, and the command keeps its exit code") func metricsUnwritable() async throws {
        try await onQuorumQuest { quest in
            let file = quest.box.path("nowhere/metrics.prom")
            let run = try await quest.run("acquire", "x", "--metrics-file", file, "--", "sh", "-c", "exit 7")
            #expect(run.ending == .exited(7))
            #expect(run.errors.contains("cannot write the metrics") && run.errors.contains("No such file"), "\(run.errors)")
        }
    }

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
                ["--retry-on", "timeout"], ["--metrics-file", box.path("m")], ["--max-message", "1"], ["--follow-redirects"],
            ] {
                let run = try await box.start([Sandbox.binary, "acquire", "x"] + flags).finish()
                #expect(run.ending == .exited(64), "\(flags): \(run.errors)")
                #expect(run.errors.contains(flags[0]), "\(run.errors)")
            }
        }
    }
}
