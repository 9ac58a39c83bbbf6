import Glibc
import QQCore
import Support
import Testing

/// `watch --record` and `watch --replay`.
@Suite("Recording and replaying")
struct ReplayTests {
    /// Records some events of web and db.
    private func record(in box: Sandbox) async throws -> Run {
        let watch = try box.qq("watch", "web", "db", "--json", "--record", box.path("file"))
        try await waitUntil("watch has started") { watch.output.split(separator: "\n").count == 2 }
        _ = try await box.run("acquire", "web", "--id", "n1", "--ttl", "60s")
        try await waitUntil("the election of n1") { watch.output.contains("n1") }
        _ = try await box.run("keepalive", "web", "--once")
        try await waitUntil("the renewal") { readText(box.path("file")).contains(#""event":"renewed""#) }
        _ = try await box.run("release", "web")
        try await waitUntil("the release") { watch.output.contains("released") }
        _ = try await box.run("acquire", "db", "--id", "n2", "--ttl", "60s")
        try await waitUntil("the election of n2") { watch.output.contains("n2") }
        watch.child.signal(SIGTERM)
        return try await watch.finish()
    }

    @Test("a replay shows the recorded events without asking a server")
    func again() async throws {
        try await inSandbox { box in
            let seen = try await record(in: box)
            #expect(seen.ending == .exited(0))
            // The replay needs no server.
            let nowhere = ["QQ_SERVER": "file:///nonexistent"]
            let replay = try await box.run("watch", "--replay", box.path("file"), "--speed", "1000", "--json", environment: nowhere)
            #expect(replay.ending == .exited(0) && replay.errors.isEmpty)
            func events(_ run: Run) throws -> [[String]] {
                try run.lines.map { line in
                    let event = try object(line)
                    return ["time", "event", "name", "leader"].map { event[$0]?.stringValue ?? "-" }
                }
            }
            #expect(try events(replay) == events(seen))
            let plain = try await box.run("watch", "db", "--replay", box.path("file"), "--speed", "1000", environment: nowhere)
            #expect(
                plain.lines.map { $0.split(separator: "\t").dropFirst().joined(separator: " ") } == ["db state - -", "db elected n2 1"])
        }
    }

    @Test("a replay runs at the recorded speed or at another")
    func speed() async throws {
        try await inSandbox { box in
            func line(_ seconds: Int, _ event: String) -> String {
                #"{"time":"2026-11-22T00:00:0\#(seconds)Z","event":"\#(event)","name":"x","server":"file:///x","state":"free","leader":null}"#
            }
            try box.write(line(0, "state") + "\n" + line(1, "released") + "\n", to: "file")
            func time(_ options: String...) async throws -> Duration {
                let began = ContinuousClock.now
                let run = try box.start([Sandbox.binary, "watch", "--replay", box.path("file")] + options)
                #expect(try await run.finish().ending == .exited(0))
                return ContinuousClock.now - began
            }
            #expect(try await time() >= .seconds(1))
            #expect(try await time("--speed", "0.5") >= .seconds(2))
            // A clock that was set back causes no wait.
            try box.write(line(9, "state") + "\n" + line(1, "released") + "\n", to: "file")
            let began = ContinuousClock.now
            let run = try await box.run("watch", "--replay", box.path("file"))
            #expect(ContinuousClock.now - began < .seconds(5) + busyTime(since: began))
            #expect(run.lines.count == 2)
        }
    }

    @Test("the live view shows a replay to its end")
    func live() async throws {
        try await inSandbox { box in
            _ = try await record(in: box)
            let view = try await Tmux([Sandbox.binary, "watch", "--replay", box.path("file"), "--speed", "100"], in: box)
            try await view.expect("the end of the recording")
            let screen = try await view.screen()
            #expect(screen.contains("replayed"))
            #expect(screen.contains("db  elected  n2  token 1") && screen.contains("web  released"))
            try await view.press("q")
            let ending = try await view.end()
            #expect(ending == .exited(0))
        }
    }

    @Test("recordings that cannot be written or replayed are reported, each with its exit code")
    func refused() async throws {
        try await inSandbox { box in
            _ = try await record(in: box)
            let before = readText(box.path("file"))
            let again = try await box.run("watch", "web", "--record", box.path("file"), "--for", "1s")
            #expect(again.ending == .exited(64) && again.errors.contains("name another file"))
            #expect(readText(box.path("file")) == before)
            let full = try await box.run("watch", "web", "--record", "/dev/full", "--for", "10s")
            #expect(full.ending == .exited(69) && full.errors.contains("No space left on device (/dev/full)"))
            let nowhere = try await box.run("watch", "web", "--record", box.path("no/file"))
            #expect(nowhere.ending == .exited(69) && nowhere.errors.contains(box.path("no/file")))
            let unknown = try await box.run("watch", "other", "--replay", box.path("file"))
            #expect(unknown.ending == .exited(64) && unknown.errors.contains("recorded: web, db"))
            try box.write(before + "garbage\n", to: "bad")
            let bad = try await box.run("watch", "--replay", box.path("bad"))
            #expect(bad.ending == .exited(65) && bad.errors.contains("line \(before.split(separator: "\n").count + 1): not JSON"))
            #expect(bad.output.isEmpty)
        }
    }

    @Test("a replay ends on SIGTERM, as any watch does")
    func stopped() async throws {
        try await inSandbox { box in
            _ = try await record(in: box)
            let replay = try box.qq("watch", "--replay", box.path("file"), "--speed", "0.001")
            try await waitUntil("the replay has started") { !replay.output.isEmpty }
            replay.child.signal(SIGTERM)
            #expect(try await replay.finish().ending == .exited(0))
        }
    }
}
