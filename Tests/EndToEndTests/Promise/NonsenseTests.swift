import Glibc
import Support
import Testing

@Suite("Numbers and texts that make no sense")
struct NonsenseTests {
    private func start(_ words: [[UInt8]], in box: Sandbox) throws -> Started {
        var launch = box.launch([])
        launch.words = [Array(Sandbox.binary.utf8)] + words
        return try Started(launch, in: box)
    }

    @Test("an identity that is not valid UTF-8 exits with 64 and takes no lease", arguments: [0xff, 0xfe] as [UInt8])
    func identity(byte: UInt8) async throws {
        try await inSandbox { box in
            for words in [["acquire", "x", "--id"], ["keepalive", "x", "--once", "--id"], ["release", "x", "--id"]] {
                let run = try await start(words.map { Array($0.utf8) } + [[byte]], in: box).finish()
                #expect(run.ending == .exited(64), "\(words)")
                #expect(run.errors.contains("\\x\(String(byte, radix: 16))' is not valid UTF-8"), "\(run.errors)")
            }
            #expect(names(in: box.leases).isEmpty)
        }
    }

    @Test("the command's own arguments pass through byte for byte")
    func command() async throws {
        try await inSandbox { box in
            let words = ["acquire", "x", "--", "printf", "%s"].map { Array($0.utf8) } + [[0x61, 0xff]]
            let run = try await start(words, in: box).finish()
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(run.output == [0x61, 0xff])
        }
    }

    @Test("a variable that is not valid UTF-8 exits with 64", arguments: ["QQ_SERVER", "QQ_CONTEXT", "QQ_ID", "HOME"])
    func variable(_ name: String) async throws {
        try await inSandbox { box in
            let script = "\(name)=$(printf 'a\\377'); export \(name); exec \"$0\" status x"
            let run = try await box.start(["sh", "-c", script, Sandbox.binary]).finish()
            #expect(run.ending == .exited(64), "\(run.errors)")
            #expect(run.errors.contains("the variable \(name) is not valid UTF-8"))
        }
    }

    @Test("variables that qq does not use reach the command and its hooks byte for byte")
    func passedOn() async throws {
        try await inSandbox { box in
            let script = "FOO=$(printf 'a\\377'); export FOO; exec \"$0\" acquire x --on-elected 'printf %s \"$FOO\" >hook' -- printenv FOO"
            let run = try await box.start(["sh", "-c", script, Sandbox.binary]).finish()
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(run.output == [0x61, 0xff, 0x0a])
            #expect(readBytes(box.path("hook")) == [0x61, 0xff])
        }
    }

    @Test("a line of a script that is not valid UTF-8 exits with 64")
    func script() async throws {
        try await inSandbox { box in
            try box.write(Array("# A comment\nacquire x --id '".utf8) + [0xff] + Array("'\n".utf8), to: "script")
            let run = try await box.run("-f", box.path("script"))
            #expect(run.ending == .exited(64), "\(run.errors)")
            #expect(run.errors.contains("line 2"))
            #expect(names(in: box.leases).isEmpty)
        }
    }

    @Test(
        "a lease file with extreme numbers is judged by each command, and crashes none",
        arguments: [
            "\"bootDeadline\": 18446744073709551615, \"ttlSeconds\": 15", "\"bootDeadline\": 9223372036854775807, \"ttlSeconds\": 15",
            "\"bootDeadline\": 18446744073709551615", "\"bootDeadline\": 0, \"ttlSeconds\": 15", "\"leaseDuration\": 9223372036854775807",
            "\"leaseDuration\": 86400000000000", "\"ttlSeconds\": 1e-300", "\"ttlSeconds\": 1e-9", "\"ttlSeconds\": 1e9",
            "\"token\": 1152921504606846976", "\"token\": 1152921504606846975", "\"lockFile\": 18446744073709551615, \"locked\": true",
        ])
    func numbers(_ fields: String) async throws {
        try await inSandbox { box in
            let boot = readText("/proc/sys/kernel/random/boot_id").dropLast()
            for time in ["2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"] {
                try ForeignWriterTests.write(
                    "{\"holder\": \"me\", \"renewTime\": \"\(time)\", \"bootId\": \"\(boot)\", \(fields)}", to: box.leaseFile("x"))
                for words in [
                    ["status", "x"], ["status", "x", "--json"], ["status", "--all", "--expires-within", "5s"],
                    ["watch", "x", "--for", "10ms"],
                    ["acquire", "x", "--wait=10ms", "--", "true"], ["acquire", "x", "--id", "me"],
                    ["keepalive", "x", "--once", "--id", "me"],
                    ["step-down", "x", "--force", "--yes"], ["release", "x", "--id", "me"],
                ] {
                    let run = try await box.start([Sandbox.binary] + words).finish()
                    #expect(
                        run.code.map { $0 == 0 || $0 == 1 || (65...77).contains($0) } == true,
                        "\(time) \(words): \(run.ending) \(run.errors)")
                }
            }
        }
    }

    @Test("an election whose fencing tokens are used up is refused with 65 and that reason")
    func lastToken() async throws {
        try await inSandbox { box in
            try box.write("{\"holder\": \"\", \"token\": 1152921504606846976}", to: "leases/x.json")
            for words in [["acquire", "x", "--", "true"], ["acquire", "x"]] {
                let run = try await box.start([Sandbox.binary] + words).finish()
                #expect(run.ending == .exited(65))
                #expect(run.errors.contains("the fencing tokens are used up"), "\(run.errors)")
            }
        }
    }
}
