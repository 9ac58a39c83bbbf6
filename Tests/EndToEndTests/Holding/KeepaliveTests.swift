import Glibc
import QQCore
import Support
import Testing

@Suite("keepalive")
struct KeepaliveTests {
    /// The events that `keepalive --json` has printed so far.
    private func events(_ run: Started) throws -> [JSONObject] {
        try run.output.split(separator: "\n").map { try object($0) }
    }

    private func waitForEvent(_ name: String, of run: Started, count: Int = 1, within limit: Duration = waitingTime) async throws
        -> JSONObject
    {
        try await waitFor("\(count) × \(name) in \(run.output) \(run.errors)", within: limit) {
            let found = try events(run).filter { $0["event"]?.stringValue == name }
            return found.count >= count ? found[count - 1] : nil
        }
    }

    @Test("keepalive resumes a saved grant with the same term and token")
    func goesOn() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "x", "--ttl", "20s", "--id", "me")
            let run = try box.qq("keepalive", "x", "--renew-every", "500ms", "--json")
            let elected = try await waitForEvent("elected", of: run)
            #expect(elected["token"]?.uint64Value == 1)
            #expect(elected["id"]?.stringValue == "me")
            _ = try await waitForEvent("renewed", of: run, count: 3)
            #expect(try await box.run("acquire", "x", "--", "true").ending == .exited(1))
            run.child.signal(SIGTERM)
            #expect(try await run.finish().ending == .exited(0))
            #expect(try events(run).last?["event"]?.stringValue == "released")
            #expect(try await box.run("status", "x").ending == .exited(1))
            #expect(names(in: box.path("run/qq")) == [])
        }
    }

    @Test("keepalive holds several elections, and releases all of them on SIGTERM and SIGINT", arguments: [SIGTERM, SIGINT])
    func several(_ signal: Int32) async throws {
        try await inSandbox { box in
            let run = try box.qq("keepalive", "a", "b", "c", "a")
            try await waitUntil("all leases are held: \(run.output)") {
                run.output.split(separator: "\n").count { $0.contains("elected") } == 3
            }
            #expect(try await box.run("status", "a", "b", "c").ending == .exited(0))
            #expect(try await box.run("status", "a", "--mine").ending == .exited(0))
            run.child.signal(signal)
            #expect(try await run.finish().ending == .exited(0))
            let status = try await box.run("status", "--all", "--held")
            #expect(status.output.isEmpty)
        }
    }

    @Test("keepalive --once renews a held lease, and exits with 1 if there is none")
    func once() async throws {
        try await inSandbox { box in
            #expect(try await box.run("keepalive", "x", "--once").ending == .exited(1))
            _ = try await box.run("acquire", "x", "--ttl", "5s")
            let before = try object(try await box.run("status", "x", "--json").text)
            let run = try await box.run("keepalive", "x", "--once", "--ttl", "60s")
            #expect(run.ending == .exited(0))
            let after = try object(try await box.run("status", "x", "--json").text)
            #expect(before["token"] == after["token"])
            #expect((after["expires_in"]?.doubleValue ?? 0) > 50)
            #expect(try await box.run("keepalive", "x", "y", "--once").ending == .exited(1))
        }
    }

    @Test("keepalive --pid holds the lease for as long as that process lives")
    func pid() async throws {
        try await inSandbox { box in
            let process = try box.start(["sleep", "600"])
            let run = try box.qq("keepalive", "x", "--pid", "\(process.pid)")
            try await waitUntil("the lease is held") { run.output.contains("elected") }
            #expect(run.child.isRunning)
            process.child.signal(SIGKILL)
            try await process.child.wait()
            #expect(try await run.finish().ending == .exited(0))
            #expect(try await box.run("status", "x").ending == .exited(1))
            #expect(try await box.run("keepalive", "x", "--pid", "\(process.pid)").ending == .exited(69))
        }
    }

    @Test("when keepalive is killed a waiter leads immediately, long before the TTL")
    func killed() async throws {
        try await inSandbox { box in
            let run = try box.qq("keepalive", "x", "--ttl", "60s")
            try await waitUntil("the lease is held") { run.output.contains("elected") }
            let next = try box.qq("keepalive", "x", "--ttl", "60s", "--json")
            _ = try await waitForEvent("waiting", of: next)
            run.child.signal(SIGKILL)
            let elected = try await waitForEvent("elected", of: next)
            #expect(elected["token"]?.uint64Value == 2)
            try await next.terminate()
        }
    }

    @Test("a keepalive stopped past its TTL loses the lease, reports it, and campaigns again")
    func stopped() async throws {
        try await inSandbox { box in
            let run = try box.qq(
                "keepalive", "x", "--ttl", "4s", "--renew-every", "500ms", "--json", "--on-elected", "echo up >>log", "--on-lost",
                "echo down >>log")
            _ = try await waitForEvent("elected", of: run)
            try await box.stop(run, holding: "x")
            let other = try await box.run("acquire", "x", "--wait", "--", "true")
            #expect(other.ending == .exited(0))
            // A keepalive guards no command, so no process has to end before the next holder, and it survives to report the loss.
            kill(run.pid, SIGCONT)
            _ = try await waitForEvent("lost", of: run)
            let again = try await waitForEvent("elected", of: run, count: 2)
            #expect(again["token"]?.uint64Value == 3)
            try await waitUntil("the hooks ran") { box.read("log") == "up\ndown\nup\n" }
            run.child.signal(SIGTERM)
            #expect(try await run.finish().ending == .exited(0))
            #expect(box.read("log") == "up\ndown\nup\ndown\n")
            let all = try events(run).compactMap { $0["event"]?.stringValue }.filter { $0 != "renewed" && $0 != "waiting" }
            #expect(all == ["elected", "lost", "elected", "released"])
        }
    }

    @Test("keepalive --until-eof holds until stdin is closed, whatever is written to it")
    func untilEOF() async throws {
        try await inSandbox { box in
            let input = Pipe()
            var launch = box.launch([Sandbox.binary, "keepalive", "x", "--until-eof", "--json", "--ttl", "1s"])
            launch.input = .descriptor(input.reading)
            let run = try Started(launch, in: box)
            _ = try await waitForEvent("elected", of: run)
            write(input.writing, "text\n", 5)
            #expect(try await box.outlivesItsDeadline("x"))
            #expect(run.child.isRunning)
            input.closeWriting()
            #expect(try await run.finish().ending == .exited(0))
            #expect(try events(run).last?["event"]?.stringValue == "released")
            #expect(try await box.run("status", "x").ending == .exited(1))
        }
    }

    @Test("keepalive --until-eof ends at once if there is nothing to read", arguments: [true, false])
    func noInput(_ isClosed: Bool) async throws {
        try await inSandbox { box in
            var launch = box.launch([Sandbox.binary, "keepalive", "x", "--until-eof"])
            launch.input = isClosed ? .closed : .file("/dev/null")
            let run = try Started(launch, in: box)
            #expect(try await run.finish().ending == .exited(0))
            #expect(try await box.run("status", "x").ending == .exited(1))
        }
    }

    @Test("a first signal ends the hook of the election, a second one those of the release, and the lease is released")
    func signalsDuringHooks() async throws {
        try await inSandbox { box in
            let run = try box.qq(
                "keepalive", "x", "--json", "--on-elected", "echo up >>log; sleep 600", "--on-lost", "echo down >>log; sleep 600",
                "--on-lost",
                "echo more >>log", "--hook-timeout", "600s")
            try await waitUntil("the first hook runs") { box.read("log") == "up\n" }
            run.child.signal(SIGTERM)
            try await waitUntil("the second hook runs") { box.read("log") == "up\ndown\n" }
            #expect(try await box.run("status", "x").ending == .exited(0))
            // Those within a second of the first one are the same request.
            try await waitUntil("a second signal ends the hook") {
                run.child.signal(SIGTERM)
                return !run.child.isRunning
            }
            #expect(try await run.finish().ending == .exited(0))
            #expect(try events(run).last?["event"]?.stringValue == "released")
            #expect(box.read("log") == "up\ndown\n")
            #expect(try await box.run("status", "x").ending == .exited(1))
        }
    }

    @Test(
        "a terminal that is closed, for which the shell and the kernel send SIGHUP, asks a keepalive once, and its hooks run to their end")
    func terminalCloses() async throws {
        try await inSandbox { box in
            let run = try box.qq(
                "keepalive", "x", "--json", "--on-lost", "echo down >>log; until [ -e go ]; do sleep 0.02; done; echo over >>log",
                "--on-lost",
                "echo more >>log", "--hook-timeout", "600s")
            _ = try await waitForEvent("elected", of: run)
            run.child.signal(SIGHUP)
            try await waitUntil("the first hook runs") { box.read("log") == "down\n" }
            run.child.signal(SIGHUP)
            // Longer than signals count as one.
            try await Task.sleep(for: .milliseconds(1200))
            run.child.signal(SIGHUP)
            try box.write("", to: "go")
            #expect(try await run.finish().ending == .exited(0))
            #expect(box.read("log") == "down\nover\nmore\n")
        }
    }

    @Test("a keepalive whose lease is taken loses it, reports it, and campaigns again")
    func takenAway() async throws {
        try await inSandbox { box in
            let run = try box.qq(
                "keepalive", "x", "--ttl", "4s", "--renew-every", "500ms", "--json", "--on-elected", "echo up >>log", "--on-lost",
                "echo down >>log")
            _ = try await waitForEvent("elected", of: run)
            try await waitUntil("the hook ran") { box.read("log") == "up\n" }
            try ForeignWriterTests.write(ForeignWriterTests.goRecord("go-node"), to: box.leaseFile("x"))
            let lost = try await waitForEvent("lost", of: run)
            #expect(lost["reason"]?.stringValue?.contains("go-node") == true)
            let again = try await waitForEvent("elected", of: run, count: 2)
            #expect(again["token"]?.uint64Value == 2)
            try await waitUntil("the hooks ran") { box.read("log") == "up\ndown\nup\n" }
            run.child.signal(SIGTERM)
            #expect(try await run.finish().ending == .exited(0))
            #expect(box.read("log") == "up\ndown\nup\ndown\n")
        }
    }

    @Test("a keepalive that is asked to step down does, and pauses before it campaigns again")
    func stepDown() async throws {
        try await inSandbox { box in
            let run = try box.qq("keepalive", "x", "--ttl", "2s", "--id", "node", "--json")
            _ = try await waitForEvent("elected", of: run)
            let asked = try await box.run("step-down", "x", "--force", "--yes", environment: ["XDG_RUNTIME_DIR": box.path("home")])
            #expect(asked.ending == .exited(0))
            let released = try await waitForEvent("released", of: run)
            #expect(try await box.run("acquire", "x", "--", "true").ending == .exited(0))
            let elected = try await waitForEvent("elected", of: run, count: 2)
            let times = try [released, elected].map { try WallTime.parse(rfc3339: try #require($0["time"]?.stringValue)) }
            #expect(times[1] - times[0] > .seconds(1))
            let all = try events(run).compactMap { $0["event"]?.stringValue }.filter { $0 != "renewed" }
            #expect(all.prefix(3) == ["elected", "step_down_asked", "released"])
            try await run.terminate()
        }
    }

    @Test("keepalive prints one event a line without --json")
    func plain() async throws {
        try await inSandbox { box in
            let run = try box.qq("keepalive", "x", "--id", "me")
            try await waitUntil("the lease is held") { run.output.contains("elected") }
            try await run.terminate()
            let rows = run.output.split(separator: "\n").map { $0.split(separator: "\t").map(String.init) }
            #expect(rows.map { Array($0.dropFirst()) } == [["x", "elected", "1", "-"], ["x", "released", "1", "-"]])
            #expect(rows.allSatisfy { (try? WallTime.parse(rfc3339: $0[0])) != nil })
        }
    }

    @Test("keepalive continues when its output is closed")
    func outputGone() async throws {
        try await inSandbox { box in
            let pipe = Pipe()
            var launch = box.launch([Sandbox.binary, "keepalive", "x", "--json", "--ttl", "10s", "--renew-every", "300ms"])
            launch.output = .descriptor(pipe.writing)
            let run = try Started(launch, in: box)
            pipe.closeWriting()
            var bytes: [UInt8] = []
            try await waitUntil("the lease is held") {
                _ = pipe.drain(into: &bytes)
                return String(decoding: bytes, as: UTF8.self).contains("elected")
            }
            pipe.closeReading()
            try await Task.sleep(for: .milliseconds(10_500))
            #expect(run.child.isRunning)
            #expect(try await box.run("status", "x").ending == .exited(0))
            try await run.terminate()
        }
    }
}
