import Glibc
import QQCore
import Support
import Testing

/// A file's permission bits.
func mode(_ path: String) -> mode_t {
    var information = stat()
    return stat(path, &information) == 0 ? information.st_mode & 0o7777 : 0
}

/// The names in a folder.
func names(in path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var found: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if name != ".", name != ".." { found.append(name) }
    }
    return found.sorted()
}

/// Parses one JSON object.
func object(_ text: some StringProtocol) throws -> JSONObject {
    try #require(try JSONValue.parse(Array(text.utf8)).objectValue)
}

@Suite("A lease acquired without a command")
struct GrantTests {
    @Test("acquire without a command keeps the lease, and saves its grant for this user only")
    func saved() async throws {
        try await inSandbox { box in
            let run = try await box.run("acquire", "x", "--id", "me")
            #expect(run.ending == .exited(0))
            #expect(run.text == "x\tme\t1\t15\n")
            #expect(mode(box.path("run/qq")) == 0o700)
            let files = names(in: box.path("run/qq"))
            #expect(files.count == 1)
            #expect(mode(box.path("run/qq/" + (files.first ?? ""))) == 0o600)
            #expect(try await box.run("acquire", "x", "--", "true").ending == .exited(1))
            #expect(try await box.run("status", "x", "--mine").ending == .exited(0))
        }
    }

    @Test("release of a lease that has run out exits with 1, as does one that another contender has taken since")
    func releaseAfterItsEnd() async throws {
        try await inSandbox { box in
            for isTaken in [false, true] {
                _ = try await box.run("acquire", "x", "--ttl", "1s", "--id", "me")
                try await waitUntil("the lease has run out") { (box.deadline(of: "x") ?? .max) < bootNow() }
                if isTaken { _ = try await box.run("acquire", "x", "--id", "you", environment: ["XDG_RUNTIME_DIR": box.path("home")]) }
                let run = try await box.run("release", "x")
                #expect(run.ending == .exited(1) && run.output.isEmpty, "\(run.errors)")
                #expect(run.errors.hasPrefix("qq: x is no longer ours: it is held by \(isTaken ? "you" : "nobody")"), "\(run.errors)")
            }
        }
    }

    @Test("release gives a lease up once")
    func release() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "x")
            let run = try await box.run("release", "x")
            #expect(run.ending == .exited(0))
            #expect(run.text == "x\treleased\n")
            #expect(names(in: box.path("run/qq")) == [])
            let again = try await box.run("release", "x")
            #expect(again.ending == .exited(1))
            #expect(again.output.isEmpty)
            #expect(try await box.run("acquire", "x", "--", "true").ending == .exited(0))
        }
    }

    @Test("another user releases a lease only with --id, and with the right --token if one is given")
    func releaseByIdentity() async throws {
        try await inSandbox { box in
            let elsewhere = ["XDG_RUNTIME_DIR": box.path("home")]
            _ = try await box.run("acquire", "x", "--id", "me")
            #expect(try await box.run("release", "x", environment: elsewhere).ending == .exited(1))
            #expect(try await box.run("release", "x", "--id", "you", environment: elsewhere).ending == .exited(1))
            #expect(try await box.run("release", "x", "--id", "me", "--token", "2", environment: elsewhere).ending == .exited(1))
            #expect(try await box.run("status", "x").ending == .exited(0))
            #expect(try await box.run("release", "x", "--id", "me", "--token", "1", environment: elsewhere).ending == .exited(0))
            #expect(try await box.run("status", "x").ending == .exited(1))
        }
    }

    @Test("a lease ends after its TTL, and a later release fails and changes nothing")
    func ends() async throws {
        try await inSandbox { box in
            // On a busy machine the lease can end before its grant is printed, and the next try gets another token.
            let grant = try await box.run("acquire", "x", "--ttl", "300ms", "--id", "other")
            let first = try #require(grant.text.split(separator: "\t").dropFirst(2).first.flatMap { Int($0) })
            let next = try await box.run("acquire", "x", "--wait=30s", "--id", "next")
            #expect(next.ending == .exited(0))
            #expect(next.text.hasPrefix("x\tnext\t\(first + 1)\t"))
            #expect(try await box.run("release", "x", "--id", "other", "--token", "\(first)").ending == .exited(1))
            #expect(try await box.run("status", "x", "--id", "next", "--mine").ending == .exited(0))
        }
    }

    @Test("a second acquire with the saved grant's identity gets the same lease, with the same token")
    func sameIdentity() async throws {
        try await inSandbox { box in
            let first = try await box.run("acquire", "x", "--id", "me")
            let second = try await box.run("acquire", "x", "--id", "me")
            #expect(first.text == "x\tme\t1\t15\n")
            #expect(second.text == first.text)
            #expect(try await box.run("acquire", "x", "--id", "you").ending == .exited(1))
        }
    }

    @Test("acquire is refused while another holder has the lease, and --json names that holder")
    func refused() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "x", "--id", "first")
            let run = try await box.run("acquire", "x", "--json")
            #expect(run.ending == .exited(1))
            let answer = try object(run.text)
            #expect(answer["acquired"]?.boolValue == false)
            #expect(answer["leader"]?.stringValue == "first")
            #expect(try await box.run("acquire", "x", "--wait=300ms").ending == .exited(75))
            #expect(try await box.run("acquire", "x", "--skip-ok").ending == .exited(0))
        }
    }

    @Test("a lease is released if its grant cannot be printed")
    func outputFull() async throws {
        try await inSandbox { box in
            var launch = box.launch([Sandbox.binary, "acquire", "x"])
            launch.output = .file("/dev/full")
            let run = try await Started(launch, in: box).finish()
            #expect(run.ending == .exited(69))
            #expect(run.errors.contains("cannot write the answer"))
            #expect(try await box.run("status", "x").ending == .exited(1))
            #expect(names(in: box.path("run/qq")) == [])
        }
    }

    @Test("a lease is released if its grant cannot be saved")
    func cannotSave() async throws {
        try await inSandbox { box in
            chmod(box.path("run"), 0o755)
            mkdir(box.path("run/qq"), 0o777)
            chmod(box.path("run/qq"), 0o777)
            let run = try await box.run("acquire", "x")
            #expect(run.ending == .exited(77))
            #expect(run.errors.contains("XDG_RUNTIME_DIR"))
            #expect(try await box.run("status", "x").ending == .exited(1))
        }
    }

    @Test(
        "sh reads --format shell correctly, whatever characters an identity has",
        arguments: [
            "plain", "it's", "a \"b\" c", "$(touch broken)`touch broken`", "back\\slash", "'", "''\"'\"''", "; exit 9 #", "üñí*?[a]",
        ])
    func shellFormat(_ identity: String) async throws {
        try await inSandbox { box in
            let run = try await box.start(
                [
                    "sh", "-c",
                    "eval \"$(\"$0\" acquire x --ttl 90s --id \"$1\" --format shell)\" && printf '%s|%s|%s|%s|%s|%s|%s' \"$QQ_NAME\" \"$QQ_ID\" $QQ_TOKEN \"$QQ_SERVER\" $QQ_TTL $QQ_EVENT \"$QQ_LEADER\" && exec sh -c '[ \"$QQ_ID\" ]'",
                    Sandbox.binary, identity,
                ]
            ).finish()
            #expect(run.ending == .exited(0))
            #expect(run.text == "x|\(identity)|1|\(box.server)|90|elected|\(identity)")
            #expect(access(box.path("broken"), F_OK) != 0)
        }
    }
}
