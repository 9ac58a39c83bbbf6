import Glibc
import Support
import Testing

@Suite("Environment and streams of a guarded command")
struct CommandStreamTests {
    @Test("a guarded command's environment is qq's, with QQ_* added")
    func environment() async throws {
        try await inSandbox { box in
            let before = try await box.start(["env", "-0"]).finish()
            let run = try await box.run("acquire", "x", "--id", "me'\"\u{e9}", "--ttl", "2500ms", "--", "env", "-0")
            #expect(run.ending == .exited(0))
            func entries(_ run: Run) -> Set<String> { Set(run.text.split(separator: "\0").map(String.init)) }
            let mark = try #require(entries(run).first { $0.hasPrefix("QQ_TERM_ID=") })
            #expect(mark.wholeMatch(of: /QQ_TERM_ID=[0-9a-f]{16}-[0-9a-f]{16}-[0-9a-f]{16}/) != nil)
            #expect(
                entries(run).subtracting(entries(before)).subtracting([mark]) == [
                    "QQ_NAME=x", "QQ_ID=me'\"\u{e9}", "QQ_TOKEN=1", "QQ_TTL=2.5", "QQ_EVENT=elected", "QQ_LEADER=me'\"\u{e9}",
                ])
            #expect(entries(before).isSubset(of: entries(run)))
        }
    }

    @Test("the fencing token grows from term to term")
    func tokens() async throws {
        try await inSandbox { box in
            for token in 1...4 {
                let run = try await box.run("acquire", "x", "--", "sh", "-c", "echo $QQ_TOKEN")
                #expect(run.text == "\(token)\n")
            }
        }
    }

    @Test("large data passes through stdin and stdout unchanged")
    func largeData() async throws {
        try await inSandbox { box in
            let data = (0..<4_000_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) }
            try box.write(data, to: "data")
            var launch = box.launch([Sandbox.binary, "acquire", "x", "--", "cat"])
            launch.input = .file(box.path("data"))
            let run = try await Started(launch, in: box).finish()
            #expect(run.ending == .exited(0))
            #expect(run.output == data)
        }
    }

    @Test("the reader of a command's stdout sees its end when the command closes it, although it still runs")
    func endOfOutput() async throws {
        try await inSandbox { box in
            let pipe = Pipe()
            var launch = box.launch([Sandbox.binary, "acquire", "x", "--", "sh", "-c", "echo out; exec >&-; exec sleep 600"])
            launch.output = .descriptor(pipe.writing)
            let run = try Started(launch, in: box)
            pipe.closeWriting()
            var bytes: [UInt8] = []
            try await waitUntil("the end of the output") { pipe.drain(into: &bytes) }
            #expect(String(decoding: bytes, as: UTF8.self) == "out\n")
            #expect(run.child.isRunning)
            try await run.terminate()
        }
    }

    @Test("qq does not read the command's stdin, and the command sees its end")
    func endOfInput() async throws {
        try await inSandbox { box in
            let pipe = Pipe()
            var launch = box.launch([Sandbox.binary, "acquire", "x", "--", "sh", "-c", "read line; echo got $line; cat; echo end"])
            launch.input = .descriptor(pipe.reading)
            let run = try Started(launch, in: box)
            let text = Array("one\ntwo\n".utf8)
            #expect(write(pipe.writing, text, text.count) == text.count)
            try await waitUntil("the command has read both lines") { run.output == "got one\ntwo\n" }
            pipe.closeWriting()
            #expect(try await run.finish().text == "got one\ntwo\nend\n")
        }
    }

    @Test("a command's arguments reach it byte for byte")
    func arguments() async throws {
        try await inSandbox { box in
            var launch = box.launch([Sandbox.binary, "acquire", "x", "--", "printf", "%s\\0"])
            let words: [[UInt8]] = [
                [0xff, 0xfe, 0x80], [], Array("a b\n\tc".utf8), Array("--wait".utf8), Array("--".utf8), Array("'\"$HOME\\".utf8),
                [0xc3, 0x28],
            ]
            launch.words += words
            let run = try await Started(launch, in: box).finish()
            #expect(run.ending == .exited(0))
            #expect(run.output == words.flatMap { $0 + [0] })
        }
    }

    @Test("ignored signals stay ignored for the command, and no others are ignored or blocked")
    func ignoredSignals() async throws {
        try await inSandbox { box in
            let plain = try await box.start(["sh", "-c", "trap '' HUP QUIT; exec grep SigIgn /proc/self/status"]).finish()
            let run = try await box.start(
                ["sh", "-c", "trap '' HUP QUIT; exec \"$0\" acquire x -- grep SigIgn /proc/self/status", Sandbox.binary]
            ).finish()
            #expect(run.text == plain.text)
            #expect(run.text.contains("SigIgn"))
            let without = try await box.start(["grep", "-E", "SigIgn|SigBlk", "/proc/self/status"]).finish()
            let fresh = try await box.run("acquire", "x", "--", "grep", "-E", "SigIgn|SigBlk", "/proc/self/status")
            #expect(fresh.text == without.text)
        }
    }

    @Test("a command inherits the descriptors that qq inherited, and of qq's own only the lease's lock, with a high number")
    func descriptors() async throws {
        try await inSandbox { box in
            let pipe = Pipe()
            func open(_ words: [String]) async throws -> Set<[String]> {
                var launch = box.launch(words + ["sh", "-c", "echo through >&3; ls -l /proc/$$/fd"])
                launch.descriptors = [3: pipe.writing]
                let lines = try await Started(launch, in: box).finish().lines
                return Set(lines.filter { $0.contains(" -> ") }.map { $0.split(separator: " ").suffix(3).map(String.init) })
                    .filter { !["1", "2"].contains($0[0]) }
            }
            let plain = try await open(["env"])
            let guarded = try await open([Sandbox.binary, "acquire", "x", "--"])
            pipe.closeWriting()
            var bytes: [UInt8] = []
            try await waitUntil("the end of the pipe") { pipe.drain(into: &bytes) }
            #expect(String(decoding: bytes, as: UTF8.self) == "through\nthrough\n")
            #expect(guarded.isSuperset(of: plain))
            let added = guarded.subtracting(plain)
            #expect(added.count == 1)
            #expect(added.allSatisfy { $0[2].hasSuffix("/.x.lock") && (Int($0[0]) ?? 0) >= 100 })
        }
    }

    @Test("with a command qq itself writes nothing to stdout, and with -v reports to stderr")
    func verbose() async throws {
        try await inSandbox { box in
            let run = try await box.run("acquire", "x", "-v", "--", "true")
            #expect(run.output.isEmpty)
            let holder = try await box.hold("x")
            let waiting = try box.qq("-v", "acquire", "x", "--wait=300ms", "--", "true")
            let end = try await waiting.finish()
            #expect(end.output.isEmpty)
            #expect(end.errors.contains("waiting for x, held by"))
            try await holder.terminate()
        }
    }
}
