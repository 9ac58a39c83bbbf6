import Glibc
import Support
import Testing

@Suite("A script that loses its lease")
struct ScriptLossTests {
    /// How the lease is lost.
    enum Loss: String, CaseIterable, Sendable { case steppedDown, takenOver, removed, released, ranOut }

    private static func lose(_ loss: Loss, _ script: Started, in box: Sandbox) async throws {
        switch loss {
        case .steppedDown: #expect(try await box.run("step-down", "web", "--force", "--yes", "--id", "other").code == 0)
        case .takenOver: try ForeignWriterTests.write(ForeignWriterTests.goRecord("intruder"), to: box.leaseFile("web"))
        case .removed: unlink(box.leaseFile("web"))
        case .released: #expect(try await box.run("release", "web", "--id", "me", "--token", "1").code == 0)
        case .ranOut:
            try await box.stop(script, holding: "web")
            #expect(try await !box.outlivesItsDeadline("web"))
            script.child.signal(SIGCONT)
        }
    }

    @Test(
        "a script that loses its lease does not run its next line, even with --keep-going, and exits with 79", arguments: Loss.allCases,
        [false, true])
    func nextLine(loss: Loss, keepsGoing: Bool) async throws {
        try await inSandbox(.heavy) { box in
            mkfifo(box.path("lines"), 0o600)
            let writer = open(box.path("lines"), O_RDWR | O_CLOEXEC)
            defer { close(writer) }
            func say(_ text: String) { _ = Array((text + "\n").utf8).withUnsafeBytes { Glibc.write(writer, $0.baseAddress, $0.count) } }
            var launch = box.launch([Sandbox.binary, "repl"] + (keepsGoing ? ["--keep-going"] : []))
            launch.input = .file(box.path("lines"))
            let script = try Started(launch, in: box)
            say("acquire web --id me --ttl \(loss == .ranOut ? "4s" : "9s")")
            say("acquire job -- sh -c 'touch begun; while [ ! -e go ]; do sleep 0.02; done'")
            say("acquire late -- touch late")
            try await waitUntil("the second line runs: \(script.errors)") { access(box.path("begun"), F_OK) == 0 }
            try await Self.lose(loss, script, in: box)
            try await waitUntil("the script reports the loss: \(script.errors)") { script.errors.contains("qq: web: ") || loss == .ranOut }
            try box.write("", to: "go")
            let end = try await script.finish()
            #expect(end.code == 79, "\(end.errors)")
            #expect(end.errors.contains("after line 2: web was lost"), "\(end.errors)")
            #expect(access(box.path("late"), F_OK) != 0 && access(box.leaseFile("late"), F_OK) != 0)
        }
    }

    @Test("a script that waits for its next line ends when it loses its lease")
    func waiting() async throws {
        try await inSandbox { box in
            mkfifo(box.path("lines"), 0o600)
            let writer = open(box.path("lines"), O_RDWR | O_CLOEXEC)
            defer { close(writer) }
            let script = try box.qq("-f", box.path("lines"))
            _ = Array("acquire web --id me\n".utf8).withUnsafeBytes { Glibc.write(writer, $0.baseAddress, $0.count) }
            try await waitUntil("qq holds the lease: \(script.errors)") { script.output.contains("web\tme") }
            #expect(try await box.run("step-down", "web", "--force", "--yes", "--id", "other").code == 0)
            let end = try await script.finish()
            #expect(end.code == 79 && end.errors.contains("after line 1: web was lost"), "\(end.errors)")
        }
    }
}
