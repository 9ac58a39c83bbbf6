import Glibc
import Support
import Testing

@Suite("Under the journal") struct JournalTests {
    /// Starts `qq` with the files of its standard streams, one of which the journal reads.
    private func start(
        _ words: [String], in box: Sandbox, journal: String, output: String = "out", errors: String = "err"
    ) throws -> Started {
        for name in [output, errors] { try box.write("", to: name) }
        var information = stat()
        guard stat(box.path(journal), &information) == 0 else { throw CannotStart("no file \(journal)") }
        var launch = box.launch(
            [Sandbox.binary] + words, environment: ["JOURNAL_STREAM": "\(information.st_dev):\(information.st_ino)"])
        launch.output = .file(box.path(output))
        launch.errors = .file(box.path(errors))
        return try Started(launch, in: box)
    }

    @Test("messages have a priority, and neither a time nor colours") func messages() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x", "--id", "first")
            let run = try start(["acquire", "x", "-v", "--color=always", "--wait=5s", "--", "true"], in: box, journal: "err")
            #expect(try await run.finish().code == 75)
            let lines = box.read("err").split(separator: "\n").map(String.init)
            #expect(lines.contains { $0.hasPrefix("<7>qq: waiting for x, held by first") }, "\(lines)")
            #expect(lines.last?.hasPrefix("<3>qq: gave up waiting for x: it is held by first") == true, "\(lines)")
            #expect(!box.read("err").contains("\u{1b}"))
            try await holder.terminate()
        }
    }

    @Test("the hint of an error has its priority, too") func hint() async throws {
        try await inSandbox { box in
            let run = try start(["acquire", "x", "--nonsense"], in: box, journal: "err")
            #expect(try await run.finish().code == 64)
            let lines = box.read("err").split(separator: "\n")
            #expect(lines.count == 2 && lines.allSatisfy { $0.hasPrefix("<3>qq: ") }, "\(lines)")
        }
    }

    @Test("a refusal is a notice") func refusal() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x", "--id", "first")
            let run = try start(["acquire", "x", "--", "true"], in: box, journal: "err")
            #expect(try await run.finish().code == 1)
            #expect(box.read("err").hasPrefix("<5>qq: x is held by first"), "\(box.read("err"))")
            try await holder.terminate()
        }
    }

    @Test("events of keepalive are sentences without a time") func keepalive() async throws {
        try await inSandbox { box in
            let run = try start(["keepalive", "x"], in: box, journal: "both", output: "both", errors: "both")
            try await waitUntil("it leads: \(box.read("both"))") { box.read("both").contains("elected") }
            try await run.terminate()
            #expect(box.read("both") == "<5>x: elected, token 1\n<5>x: released, token 1\n")
        }
    }

    @Test("watch shows changes as sentences without a time") func watch() async throws {
        try await inSandbox { box in
            let run = try start(["watch", "x"], in: box, journal: "out")
            try await waitUntil("it watches: \(box.read("err"))") { box.read("out").contains("\n") }
            let holder = try await box.hold("x", "--id", "first")
            try await waitUntil("it shows the leader: \(box.read("out"))") { box.read("out").contains("elected") }
            try await holder.terminate()
            run.child.signal(SIGTERM)
            _ = try await run.finish()
            #expect(box.read("out").hasPrefix("<5>x: free\n<5>x: elected, first, token 1\n"), "\(box.read("out"))")
        }
    }

    @Test("JSON on stdout stays JSON") func json() async throws {
        try await inSandbox { box in
            let run = try start(["keepalive", "x", "--json"], in: box, journal: "out")
            try await waitUntil("it leads: \(box.read("err"))") { box.read("out").contains("elected") }
            try await run.terminate()
            for line in box.read("out").split(separator: "\n") { _ = try object(line) }
        }
    }

    @Test("a stream that is redirected away from the journal is written as elsewhere") func redirected() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x", "--id", "first")
            let run = try start(["acquire", "x", "-v", "--wait=5s", "--", "true"], in: box, journal: "out")
            #expect(try await run.finish().code == 75)
            let lines = box.read("err").split(separator: "\n")
            #expect(lines.allSatisfy { $0.hasPrefix("qq: ") }, "\(lines)")
            #expect(lines.contains { $0.hasPrefix("qq: 20") && $0.contains("Z waiting for x") }, "\(lines)")
            try await holder.terminate()
        }
    }
}
