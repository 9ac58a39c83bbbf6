import Glibc
import Support
import Testing

extension Sandbox {
    /// The samples of a metrics file, by name and labels; empty without the file.
    func samples(_ file: String = "qq.prom") throws -> [String: Double] {
        var found: [String: Double] = [:]
        for line in read(file).split(separator: "\n") where !line.hasPrefix("#") {
            let space = try #require(line.lastIndex(of: " "))
            let value: Double = try #require(Double(line[line.index(after: space)...]), "\(line)")
            #expect(found.updateValue(value, forKey: String(line[..<space])) == nil, "twice: \(line)")
        }
        return found
    }

    /// Waits until a metrics file, which is written every 5 s, is as it should be.
    func waitForSamples(
        _ what: String, file: String = "qq.prom", of qq: Started, _ condition: ([String: Double]) -> Bool
    ) async throws -> [String: Double] {
        try await waitFor("\(what): \(qq.errors)", within: .seconds(120)) {
            guard qq.child.isRunning else { throw TimedOut("qq ended: \(qq.errors)") }
            let found = try samples(file)
            return condition(found) ? found : nil
        }
    }

    /// Has promtool check a metrics file, if it is there.
    func checkMetrics(_ file: String = "qq.prom") async throws {
        guard Promtool.path != nil else { return }
        let check = try await start(Promtool.checkMetrics(path(file))).finish(within: .seconds(120))
        #expect(check.code == 0 && check.text.isEmpty && check.errors.isEmpty, "\(check.text) \(check.errors)")
    }
}

extension AwaySystem.Kind {
    /// The system's name in labels.
    fileprivate var label: String {
        switch self {
        case .leaseFiles: "file"
        case .nats, .etcd, .consul, .kubernetes: rawValue
        case .raftLock: "raftlock"
        case .quorumQuest: "quorum-quest"
        }
    }
}

@Suite("The file of --metrics-file") struct MetricsFileTests {
    @Test(
        "on every system it shows whether this process leads, for how long still, what it lost and why, and its requests",
        arguments: AwaySystem.Kind.allCases)
    func everySystem(_ kind: AwaySystem.Kind) async throws {
        try await inSandbox { box in
            let system = try await AwaySystem.start(kind, in: box)
            let keeper = try box.start(
                [Sandbox.binary, "keepalive", "x", "--ttl", kind.ttl, "--timeout", "1s", "--metrics-file", box.path("qq.prom")],
                environment: system.environment)
            func election(_ name: String, _ more: String = "") -> String { "qq_\(name){election=\"x\",\(more)system=\"\(kind.label)\"}" }
            func requests(_ name: String, _ operation: String) -> String {
                "qq_\(name){operation=\"\(operation)\",system=\"\(kind.label)\"}"
            }
            // That the folder of lease files is gone is seen at once.
            let lost = election("losses_total", "reason=\"\(kind == .leaseFiles ? "removed" : "expired")\",")
            let led = try await box.waitForSamples("the lease is renewed", of: keeper) {
                $0[election("leading")] == 1 && ($0[requests("successes_total", "renew")] ?? 0) > 0
            }
            let ttl = try #require(led[election("lease_ttl_seconds")])
            #expect(ttl == Double(kind.ttl.dropLast()))
            #expect(try #require(led[election("lease_remaining_seconds")]) > 0 && led[election("lease_remaining_seconds")] ?? 99 <= ttl)
            #expect((0...ttl).contains(try #require(led[election("last_renewal_age_seconds")])))
            #expect(try #require(led[election("terms_total")]) >= 1 && led[requests("successes_total", "acquire")] ?? 0 >= 1)
            #expect(led[requests("request_duration_seconds_count", "renew")] == led[requests("requests_total", "renew")])
            try await box.checkMetrics()

            try await system.away()
            let gone = try await box.waitForSamples("the lease has expired", of: keeper) {
                $0[election("leading")] == 0 && ($0[lost] ?? 0) > (led[lost] ?? 0)
            }
            #expect(gone[election("lease_remaining_seconds")] == 0 && gone[election("last_renewal_age_seconds")] == nil)
            let failures = try #require(gone[requests("failures_total", "renew")])
            #expect(kind == .leaseFiles || failures > led[requests("failures_total", "renew")] ?? 0)

            try await system.back()
            let again = try await box.waitForSamples("it leads again", of: keeper) { $0[election("leading")] == 1 }
            #expect(try #require(again[election("terms_total")]) > led[election("terms_total")] ?? 0)
            keeper.child.signal(SIGTERM)
            let run = try await keeper.finish()
            #expect(run.code == 0, "\(run.errors)")
            let left = try box.samples()
            #expect(left[election("leading")] == 0 && left[election("lease_remaining_seconds")] == 0)
            #expect(try #require(left[requests("successes_total", "release")]) >= 1)
            try await box.checkMetrics()
        }
    }

    @Test("it is one file that everyone can read, and is there at the end of a command whose exit code stays") func command() async throws {
        try await inSandbox { box in
            let run = try await box.run("acquire", "x", "--metrics-file", box.path("qq.prom"), "--", "sh", "-c", "exit 7")
            #expect(run.code == 7, "\(run.errors)")
            let found = try box.samples()
            #expect(found[#"qq_leading{election="x",system="file"}"#] == 0 && found[#"qq_terms_total{election="x",system="file"}"#] == 1)
            #expect(found[#"qq_successes_total{operation="acquire",system="file"}"#] == 1)
            #expect(found[#"qq_successes_total{operation="release",system="file"}"#] == 1)
            for reason in ["expired", "taken_over", "removed"] {
                #expect(found["qq_losses_total{election=\"x\",reason=\"\(reason)\",system=\"file\"}"] == 0)
            }
            #expect(try await box.start(["stat", "-c", "%a", box.path("qq.prom")]).finish().text == "644\n")
            #expect(try await box.start(["sh", "-c", #"ls -a "$1" | grep -c prom"#, "sh", box.folder]).finish().text == "1\n")
        }
    }

    @Test("a command that is ended because its lease was not renewed in time is one loss") func guardedLoss() async throws {
        try await inSandbox { box in
            let system = try await AwaySystem.start(.nats, in: box)
            let holder = try await box.hold(
                "x", ["--ttl", "4s", "--metrics-file", box.path("qq.prom")], environment: system.environment)
            try await system.away()
            let run = try await holder.finish(within: .seconds(90))
            #expect(run.code == 79, "\(run.errors)")
            try await system.back()
            let found = try box.samples()
            #expect(found[#"qq_losses_total{election="x",reason="expired",system="nats"}"#] == 1)
            #expect(found[#"qq_leading{election="x",system="nats"}"#] == 0)
        }
    }

    @Test("a wait is counted, and its time") func waits() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x", "--ttl", "60s")
            let waiter = try box.qq("keepalive", "x", "--metrics-file", box.path("qq.prom"))
            func name(_ name: String) -> String { "qq_\(name){election=\"x\",system=\"file\"}" }
            let waiting = try await box.waitForSamples("it waits", of: waiter) { $0[name("waiting")] == 1 }
            #expect(waiting[name("leading")] == 0 && waiting[name("terms_total")] == 0 && waiting[name("waits_total")] == 1)
            try await holder.terminate()
            let led = try await box.waitForSamples("it leads", of: waiter) { $0[name("leading")] == 1 }
            #expect(led[name("waiting")] == 0 && led[name("waits_total")] == 1)
            #expect(try #require(led[name("wait_seconds_total")]) >= waiting[name("wait_seconds_total")] ?? .infinity)
            try await waiter.terminate()
        }
    }

    @Test("the slots of a name share its series") func slots() async throws {
        try await inSandbox { box in
            let run = try await box.run("acquire", "x", "--slots", "3", "--metrics-file", box.path("qq.prom"), "--", "true")
            #expect(run.code == 0, "\(run.errors)")
            let elections = try box.samples().keys.filter { $0.hasPrefix("qq_terms_total") }
            #expect(elections == [#"qq_terms_total{election="x",system="file"}"#])
        }
    }

    @Test("a session writes one file for all its lines") func session() async throws {
        try await inSandbox { box in
            try box.write("acquire web\nstatus web\nrelease web\nacquire db\n", to: "script")
            let run = try await box.run("repl", "-f", box.path("script"), "--metrics-file", box.path("qq.prom"))
            #expect(run.code == 0, "\(run.errors)")
            let found = try box.samples()
            for name in ["web", "db"] {
                #expect(found["qq_terms_total{election=\"\(name)\",system=\"file\"}"] == 1)
                #expect(found["qq_leading{election=\"\(name)\",system=\"file\"}"] == 0)
            }
            #expect(try #require(found[#"qq_successes_total{operation="read",system="file"}"#]) >= 1)
        }
    }

    @Test("qq reports a file that it cannot write, and the command keeps its exit code") func unwritable() async throws {
        try await inSandbox { box in
            let run = try await box.run("acquire", "x", "--metrics-file", box.path("nowhere/qq.prom"), "--", "sh", "-c", "exit 7")
            #expect(run.code == 7)
            #expect(run.errors.contains("cannot write the metrics") && run.errors.contains("No such file"), "\(run.errors)")
        }
    }

    @Test("on RaftLock it counts redirects; a renewal that the servers call an error although they carry it out is none")
    func redirects() async throws {
        try await onRaftLock { raft in
            let run = try await raft.run(
                "acquire", "x", "--ttl", "15s", "--renew-every", "300ms", "--timeout", "15s", "--metrics-file", raft.box.path("qq.prom"),
                "--",
                "sleep", "1.5")
            #expect(run.ending == .exited(0), "\(run.errors)")
            let found = try raft.box.samples()
            let redirects = raft.cluster.followers.reduce(0) { sum, node in
                sum + raft.cluster.calls(to: node)["Acquire"]
            }
            let counted = try #require(found[#"qq_redirects_total{system="raftlock"}"#])
            #expect(redirects > 0 && counted >= Double(redirects))
            #expect(found[#"qq_requests_total{operation="acquire",system="raftlock"}"#] == 1)
            #expect(found[#"qq_successes_total{operation="renew",system="raftlock"}"#] ?? 0 >= 1)
            #expect(found[#"qq_failures_total{operation="renew",system="raftlock"}"#] == 0)
        }
    }

    @Test("it counts failures and retries") func retries() async throws {
        try await onQuorumQuest { quest in
            quest.server.change { $0.unavailable["TryAcquireLock"] = 2 }
            let run = try quest.qq("keepalive", "x", "--backoff", "10ms..20ms", "--metrics-file", quest.box.path("qq.prom"))
            func name(_ name: String) -> String { "qq_\(name){operation=\"acquire\",system=\"quorum-quest\"}" }
            let found = try await quest.box.waitForSamples("the lease is acquired", of: run) { $0[name("successes_total")] == 1 }
            #expect(found[name("failures_total")] == 2 && found[name("retries_total")] == 2 && found[name("requests_total")] == 3)
            try await run.terminate()
        }
    }
}
