import Glibc
import QQCore
import Support
import Testing

/// The state of a folder: every name in it, with all that would show a change.
struct Snapshot: Equatable {
    var entries: [String: [String]] = [:]

    init(_ path: String) { add(path, "") }

    private mutating func add(_ path: String, _ name: String) {
        var information = stat()
        guard lstat(path, &information) == 0 else { return }
        let isFolder = information.st_mode & S_IFMT == S_IFDIR
        entries[name] = [
            "\(information.st_mode) \(information.st_size) \(information.st_ino)",
            "\(information.st_mtim.tv_sec).\(information.st_mtim.tv_nsec)",
            "\(information.st_ctim.tv_sec).\(information.st_ctim.tv_nsec)", isFolder ? "" : readText(path),
        ]
        if isFolder { for entry in names(in: path) { add(path + "/" + entry, name + "/" + entry) } }
    }
}

@Suite("Reading changes nothing")
struct ReadingChangesNothingTests {
    private static let reads: [[String]] = [
        ["status", "x"], ["status", "x", "ended", "free", "never", "--json"], ["status", "--all"], ["status", "--all", "--mine"],
        ["watch", "x", "never", "--for", "100ms"], ["watch", "x", "--until", "led"], ["cluster-status"], ["cluster-status", "--json"],
        ["__complete", "elections"], ["__complete", "grants"], ["release", "never"], ["step-down", "x"], ["step-down", "x", "--force"],
        ["keepalive", "never", "--once"], ["acquire", "x", "--help"], ["-h"], ["help"], ["version"], ["man"], ["completions", "bash"],
        ["acquire", "--nonsense"], ["acquire", "x", "--require-token", "--ttl", "nonsense"],
    ]

    @Test("reading changes nothing in a folder in use")
    func inUse() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "x", "--id", "me", "--ttl", "1000s")
            _ = try await box.run("acquire", "ended", "--ttl", "100ms")
            _ = try await box.run("acquire", "free", "--", "true")
            try await Task.sleep(for: .milliseconds(150))
            let before = (Snapshot(box.leases), Snapshot(box.path("run")), Snapshot(box.path("state")), Snapshot(box.path("home")))
            // As another user; otherwise step-down would release this user's lease.
            let elsewhere = ["XDG_RUNTIME_DIR": box.path("home")]
            for words in Self.reads {
                _ = try await box.start([Sandbox.binary] + words, environment: elsewhere).finish()
                #expect(Snapshot(box.leases) == before.0, "\(words)")
            }
            #expect(Snapshot(box.path("run")) == before.1)
            #expect(Snapshot(box.path("state")) == before.2)
            #expect(Snapshot(box.path("home")) == before.3)
        }
    }

    @Test("reading changes nothing in Consul: no key, and no session")
    func consul() async throws {
        try await onConsul { consul in
            _ = try await consul.run("acquire", "x", "--id", "me", "--ttl", "1000s")
            _ = try await consul.run("acquire", "free", "--", "true")
            try consul.lead("theirs")
            consul.store.destroySession(try consul.lead("ended"))
            let before = (consul.changes, consul.store.sessions, consul.store.keys)
            let files = (Snapshot(consul.box.path("run")), Snapshot(consul.box.path("state")))
            try #require(before.1.count == 2)
            // As another user; otherwise step-down would release this user's lease.
            for words in Self.reads + [["step-down", "theirs"], ["step-down", "theirs", "--force"], ["release", "theirs"]] {
                let run = try await consul.run(words, environment: ["XDG_RUNTIME_DIR": consul.box.path("home")])
                #expect(run.code.map { $0 != 69 } == true, "\(words): \(run.errors)")
                #expect(consul.changes == before.0, "\(words): \(consul.store.requests.suffix(10))")
            }
            #expect(consul.store.sessions == before.1 && consul.store.keys == before.2)
            #expect(Snapshot(consul.box.path("run")) == files.0 && Snapshot(consul.box.path("state")) == files.1)
        }
    }

    @Test("reading does not create the default folder")
    func unused() async throws {
        try await inSandbox { box in
            for words in Self.reads where words != ["watch", "x", "--until", "led"] {
                let run = try await box.qqAsUser(words, environment: ["QQ_SERVER": ""]).finish()
                #expect(run.code.map { $0 < 65 } == true, "\(words): \(run.errors)")
                #expect(names(in: box.path("state")) == [], "\(words)")
                #expect(names(in: box.path("home")) == [], "\(words)")
                #expect(names(in: box.path("run")) == [], "\(words)")
            }
        }
    }

    @Test("reading as root does not create the machine's folder", .enabled(if: isRoot && access("/var/lib/qq", F_OK) != 0))
    func unusedByRoot() async throws {
        try await inSandbox { box in
            for words in Self.reads where words != ["watch", "x", "--until", "led"] {
                _ = try await box.start([Sandbox.binary] + words, environment: ["QQ_SERVER": ""]).finish()
                #expect(access("/var/lib/qq", F_OK) != 0, "\(words)")
            }
        }
    }

    @Test("a read-only folder can be read, and reading changes nothing in it")
    func readOnly() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "x", "--id", "me", "--ttl", "1000s")
            chmod(box.leases, 0o555)
            chmod(box.leaseFile("x"), 0o444)
            let before = Snapshot(box.leases)
            #expect(try await box.run("status", "x").ending == .exited(0))
            #expect(try await box.run("status", "--all").ending == .exited(0))
            #expect(Snapshot(box.leases) == before)
            chmod(box.leases, 0o755)
        }
    }
}

@Suite("cluster-status")
struct ClusterStatusTests {
    @Test("cluster-status shows the state of the folder, in text and JSON")
    func well() async throws {
        try await inSandbox { box in
            _ = try await box.run("acquire", "x")
            try box.write("nonsense", to: "leases/broken.json")
            let plain = try await box.run("cluster-status")
            #expect(plain.ending == .exited(0))
            #expect(plain.text.hasPrefix("\(box.server)\treachable\t"))
            let answer = try object(try await box.run("cluster-status", "--json").text)
            let endpoint = try #require(answer["endpoints"]?.arrayValue?.first?.objectValue)
            #expect(endpoint["reachable"]?.boolValue == true)
            #expect(endpoint["can_grant"]?.boolValue == true)
            #expect(endpoint["locks"]?.boolValue == true)
            #expect(endpoint["elections"]?.uint64Value == 2)
            #expect(endpoint["held"]?.uint64Value == 1)
            #expect(endpoint["broken"]?.uint64Value == 1)
        }
    }

    @Test("cluster-status exits with 69 if there is no such folder")
    func missing() async throws {
        try await inSandbox { box in
            let run = try await box.run("-s", "file://\(box.path("nowhere"))", "cluster-status", "--json")
            #expect(run.ending == .exited(69))
            let endpoint = try #require(try object(run.text)["endpoints"]?.arrayValue?.first?.objectValue)
            #expect(endpoint["reachable"]?.boolValue == false)
            #expect(endpoint["problem"]?.stringValue?.isEmpty == false)
        }
    }

    @Test("cluster-status exits with 1 if no lease could be granted")
    func readOnly() async throws {
        try await inSandbox { box in
            chmod(box.leases, 0o555)
            let run = try await box.runAsUser("cluster-status")
            #expect(run.ending == .exited(1))
            // The default folder does not exist, and cannot be made.
            chmod(box.path("state"), 0o555)
            let missing = try await box.runAsUser("cluster-status", "--json", environment: ["QQ_SERVER": ""])
            #expect(missing.ending == .exited(1) && missing.text.contains("\"writable\":false"), "\(missing.text)")
            chmod(box.path("state"), 0o755)
            #expect(try await box.runAsUser("cluster-status", environment: ["QQ_SERVER": ""]).ending == .exited(0))
            chmod(box.leases, 0o755)
        }
    }
}
