import Glibc
import QQCore
import Support
import Testing

@Suite("Output that is not read")
struct BlockedOutputTests {
    private func start(
        _ words: [String], output: FullPipe? = nil, errors: FullPipe? = nil, input: String? = nil, in box: Sandbox
    ) throws -> Started {
        var launch = box.launch([Sandbox.binary] + words)
        if let output { launch.output = .descriptor(output.end) }
        if let errors { launch.errors = .descriptor(errors.end) }
        if let input { launch.input = .file(input) }
        return try Started(launch, in: box)
    }

    /// Waits until an election has been renewed for twice the length of its lease.
    private func outlives(_ ttl: Duration, _ name: String, _ holder: Started, in box: Sandbox) async throws {
        try await waitUntil("\(name) is held") { !box.holder(name).isEmpty }
        let end = ContinuousClock.now + ttl * 2
        while ContinuousClock.now < end {
            #expect(try await box.run("status", name).code == 0, "\(name) is lost: \(holder.errors)")
            #expect(holder.child.isRunning)
            try await Task.sleep(for: ttl / 4)
        }
    }

    @Test("keepalive keeps renewing, ends on SIGTERM, and reports how much of its output was lost")
    func keepalive() async throws {
        try await inSandbox(.heavy) { box in
            let pipe = try FullPipe()
            let holder = try start(
                ["keepalive", "x", "--id", "me", "--json", "--ttl", "5s", "--renew-every", "200ms"], output: pipe, in: box)
            try await outlives(.seconds(5), "x", holder, in: box)
            holder.child.signal(SIGTERM)
            let end = try await holder.finish()
            #expect(end.code == 0, "\(end.errors)")
            #expect(end.errors.contains("qq: stdout was not read: ") && end.errors.contains("lines were left out"), "\(end.errors)")
            #expect(try await box.run("status", "x").code == 1)
        }
    }

    @Test("a late reader gets every line in order")
    func lateReader() async throws {
        try await inSandbox(.heavy) { box in
            let pipe = try FullPipe()
            let holder = try start(
                ["keepalive", "x", "--id", "me", "--json", "--ttl", "5s", "--renew-every", "100ms"], output: pipe, in: box)
            try await outlives(.seconds(5), "x", holder, in: box)
            try await waitUntil("the waiting lines arrive") { pipe.lines().count > 20 }
            holder.child.signal(SIGTERM)
            try await waitUntil("the last line") { pipe.lines().last?.contains("\"released\"") ?? false }
            let end = try await holder.finish()
            #expect(end.code == 0 && end.errors.isEmpty, "\(end.errors)")
            let events = try pipe.lines().map { try object($0) }
            #expect(events.first?["event"]?.stringValue == "elected" && events.last?["event"]?.stringValue == "released")
            let times = events.compactMap { $0["time"]?.stringValue }
            #expect(times == times.sorted() && times.count == events.count)
            #expect(!events.contains { $0["lines_lost"] != nil })
        }
    }

    @Test("lines that do not fit into the buffer are counted in the stream itself, at the gap")
    func gap() async throws {
        try await inSandbox(.heavy) { box in
            let pipe = try FullPipe()
            let names = (0..<60).map { "x\($0)" }
            let holder = try start(
                ["keepalive"] + names + ["--id", "me", "--json", "--ttl", "60s", "--renew-every", "25ms"], output: pipe, in: box)
            try await waitUntil("the output is full: \(holder.errors)", within: .seconds(120)) {
                holder.errors.contains("stdout is not read")
            }
            try await waitUntil("the gap is reported", within: .seconds(120)) { pipe.drain().contains("\"lines_lost\"") }
            #expect(holder.errors.contains("qq: stdout was not read: "), "\(holder.errors)")
            for name in [names[0], names[59]] { #expect(try await box.run("status", name).code == 0) }
            let line = try #require(pipe.lines().first { $0.contains("\"lines_lost\"") })
            #expect(try object(line)["lines_lost"]?.int64Value ?? 0 > 0)
            holder.child.signal(SIGKILL)
            _ = try await holder.finish()
        }
    }

    @Test("a stderr that is not read blocks neither the campaign, nor the command, nor a signal")
    func fullErrors() async throws {
        try await inSandbox { box in
            let (first, second) = (try FullPipe(), try FullPipe())
            let holder = try await box.hold("x")
            let waiter = try start(["acquire", "x", "--wait", "-v"], errors: first, in: box)
            let next = try start(
                ["acquire", "x", "--wait", "-v", "--", "sh", "-c", "echo $QQ_TOKEN >token; exit 5"], errors: second, in: box)
            try await waitUntil("both contenders wait") { try waiters("x", in: box) >= 2 }
            waiter.child.signal(SIGTERM)
            #expect(try await waiter.finish().code == 143)
            try await holder.terminate()
            #expect(try await next.finish().code == 5)
            #expect(box.read("token") == "2\n")
        }
    }

    @Test("an acquire that cannot print its grant ends on a signal and releases the lease, at the latest when it expires")
    func grant() async throws {
        try await inSandbox { box in
            let pipe = try FullPipe()
            let told = try start(["acquire", "x", "--ttl", "60s"], output: pipe, in: box)
            try await waitUntil("qq holds the lease") { !box.holder("x").isEmpty }
            told.child.signal(SIGTERM)
            #expect(try await told.finish().code == 143)
            #expect(try await box.run("status", "x").code == 1)
            let late = try start(["acquire", "y", "--ttl", "2s"], output: pipe, in: box)
            let end = try await late.finish()
            #expect(end.code == 69 && end.errors.contains("cannot write the answer"), "\(end.errors)")
            #expect(try await box.run("status", "y").code == 1)
            let read = try start(["acquire", "z", "--ttl", "60s"], output: pipe, in: box)
            try await waitUntil("the grant is printed") { pipe.drain().contains("z\t") }
            #expect(try await read.finish().code == 0)
        }
    }

    @Test("watch ends on SIGTERM while its output blocks", arguments: [["--json"], [], ["--until", "free"]])
    func watch(options: [String]) async throws {
        try await inSandbox { box in
            let pipe = try FullPipe()
            let watch = try start(["watch", "x"] + options, output: pipe, in: box)
            try await waitUntil("the first line waits for a reader: \(watch.errors)") { watch.waitsForPipe }
            watch.child.signal(SIGTERM)
            #expect(try await watch.finish().ending == .exited(0), "\(watch.errors)")
        }
    }

    @Test("a script whose output blocks stops at that line and keeps its leases, and completes once its output is read")
    func script() async throws {
        try await inSandbox(.heavy) { box in
            let pipe = try FullPipe()
            try box.write("acquire web --id me --ttl 5s\nstatus web\nacquire job -- touch done\nstatus web\n", to: "script")
            let script = try start(["repl"], output: pipe, input: box.path("script"), in: box)
            try await outlives(.seconds(5), "web", script, in: box)
            #expect(access(box.path("done"), F_OK) != 0)
            try await waitUntil("the lines arrive") { pipe.lines().count == 3 }
            #expect(try await script.finish().code == 0)
            #expect(pipe.lines().map { $0.prefix(3) } == ["web", "web", "web"])
            let second = try FullPipe()
            let stopped = try start(["repl"], output: second, input: box.path("script"), in: box)
            try await waitUntil("qq holds the lease") { !box.holder("web").isEmpty }
            stopped.child.signal(SIGTERM)
            #expect(try await stopped.finish().code == 143)
            #expect(try await box.run("status", "web").code == 1)
        }
    }

    @Test("a long answer is written completely, however slowly it is read")
    func longAnswer() async throws {
        try await inSandbox { box in
            let pipe = try FullPipe()
            let help = try start(["help", "acquire"], output: pipe, in: box)
            try await waitUntil("qq waits for a reader") { help.waitsForPipe }
            try await waitUntil("qq has ended") {
                _ = pipe.drain()
                return !help.child.isRunning
            }
            #expect(pipe.drain() == (try await box.run("help", "acquire").text))
        }
    }
}
