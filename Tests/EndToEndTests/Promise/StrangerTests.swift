import Glibc
import QQCore
import Support
import Testing

/// Runs a command as a user and group that only these tests' processes have.
private let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]

@Suite("Users who hold no term", .enabled(if: isRoot, "only root can be other users"))
struct StrangerTests {
    /// The machine's name for the other user.
    private var strangersName: String {
        for line in readText("/etc/passwd").split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count > 2, fields[2] == "65534" { return String(fields[0]) }
        }
        return "65534"
    }

    /// Lets the other user lock a file as long as the returned process lives: flock(1) with a child.
    private func lock(_ file: String, in box: Sandbox) async throws -> Started {
        let locker = try box.start(nobody + ["flock", "-s", file, "sh", "-c", "echo locked; exec sleep 600"])
        try await waitUntil("the file is locked: \(locker.errors)") { locker.output == "locked\n" }
        return locker
    }

    private func stop(_ locker: Started) async throws {
        kill(-locker.pid, SIGKILL)
        _ = try await locker.finish()
    }

    /// Makes the folder writable for all users.
    private func share(_ box: Sandbox) {
        chmod(box.folder, 0o755)
        chmod(box.leases, 0o1777)
    }

    @Test("another user cannot open the lease files of a folder that is not shared", arguments: [0o755, 0o700] as [mode_t])
    func closed(folder: mode_t) async throws {
        try await inSandbox { box in
            chmod(box.folder, 0o755)
            chmod(box.leases, folder)
            let holder = try await box.hold("x")
            for name in ["x.json", ".x.lock"] {
                #expect(mode(box.leases + "/" + name) == 0o600)
                let run = try await box.start(nobody + ["flock", "-s", box.leases + "/" + name, "true"]).finish()
                #expect(run.errors.contains("Permission denied"))
            }
            let run = try await box.start(nobody + [Sandbox.binary, "status", "x"]).finish()
            #expect(run.ending == .exited(77))
            #expect(run.errors.contains("others cannot read its elections"), "\(run.errors)")
            try await holder.terminate()
        }
    }

    /// Whether a file system can be mounted in a mount namespace, which not every container allows.
    @Sendable private static func canMount() async throws -> Bool {
        let test = try Child(
            Launch(
                ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/var/lib"], environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"],
                folder: "/"))
        return try await test.wait() == .exited(0)
    }

    @Test(
        "another user cannot open root's default lease files, even those that an earlier version left readable",
        .enabled("no file system can be mounted on /var/lib here", canMount))
    func roots() async throws {
        try await inSandbox { box in
            let script = """
                mount -t tmpfs tmpfs /var/lib || exit 99
                mkdir -m 755 /var/lib/qq
                echo '{"holder": "", "renewTime": "2026-01-01T00:00:00Z"}' >/var/lib/qq/old.json
                chmod 644 /var/lib/qq/old.json
                "$0" status old
                stat -c %a /var/lib/qq /var/lib/qq/old.json
                "$0" acquire x -- true && stat -c %a /var/lib/qq /var/lib/qq/*.json /var/lib/qq/.x.lock
                rm -r /var/lib/qq
                "$0" acquire x -- true && stat -c %a /var/lib/qq /var/lib/qq/x.json
                """
            let run = try await box.start(["unshare", "-m", "sh", "-c", script, Sandbox.binary], environment: ["QQ_SERVER": ""]).finish()
            #expect(run.lines.dropFirst().map { String($0) } == ["755", "644", "700", "600", "600", "600", "700", "600"], "\(run.errors)")
        }
    }

    @Test("another user's lock that blocks an acquire is reported with process and user, and exits with 69, even with --skip-ok")
    func acquire() async throws {
        try await inSandbox { box in
            share(box)
            #expect(try await box.run("acquire", "x", "--", "true").ending == .exited(0))
            let locker = try await lock(box.leaseFile("x"), in: box)
            for options in [[], ["--skip-ok"], ["-E", "9"]] {
                let run = try await box.start(
                    [Sandbox.binary, "acquire", "x", "--retries", "0", "--timeout", "2s"] + options + ["--", "touch", box.path("ran")]
                ).finish()
                #expect(run.ending == .exited(69), "\(options): \(run.errors)")
                #expect(
                    run.errors.contains("process \(locker.pid) (flock) of user \(strangersName) keeps its file locked"), "\(run.errors)")
                #expect(!run.errors.contains("held by nobody"))
            }
            for words in [
                ["release", "x", "--id", "me"], ["step-down", "x", "--force", "--yes"], ["keepalive", "x", "--once", "--id", "me"],
            ] {
                let run = try await box.start([Sandbox.binary] + words + ["--retries", "0", "--timeout", "5s"]).finish()
                // Nobody leads, which can be read despite the shared lock, so there is nothing to change.
                #expect(run.ending == .exited(1), "\(words): \(run.errors)")
            }
            #expect(try await box.run("status", "x").ending == .exited(1))
            #expect(access(box.path("ran"), F_OK) != 0)
            // A waiter gets the lease when the file is unlocked.
            let waiter = try box.qq("acquire", "x", "--wait", "--retries", "100", "--timeout", "300ms", "--", "true")
            try await waitUntil("the waiter reports the locking process") { waiter.errors.contains("process \(locker.pid)") }
            try await stop(locker)
            #expect(try await waiter.finish().ending == .exited(0))
        }
    }

    /// The first byte of the range for guarded processes' locks.
    private static let firstByte = 1 << 40

    @Test(
        "a process that locks parts of the side file is reported",
        arguments: [
            (CInt(F_RDLCK), 0, 0), (CInt(F_WRLCK), 0, 0), (CInt(F_WRLCK), firstByte, 1), (CInt(F_WRLCK), firstByte + 2, 1),
            (CInt(F_WRLCK), firstByte + 7, 1), (CInt(F_WRLCK), firstByte + 1, 2), (CInt(F_WRLCK), firstByte - 5, 6),
        ])
    func sideFile(type: CInt, first: Int, length: Int) async throws {
        try await inSandbox { box in
            #expect(try await box.run("acquire", "x", "--", "true").ending == .exited(0))
            let side = open(box.leases + "/.x.lock", O_RDWR | O_CLOEXEC)
            defer { close(side) }
            var lock = Glibc.flock()
            lock.l_type = Int16(type)
            lock.l_start = first
            lock.l_len = length
            // A lock of this process, by fcntl(2); closing any other descriptor of the file would release it too.
            #expect(fcntl(side, F_SETLK, &lock) == 0)
            for options in [[], ["--skip-ok"]] {
                let run = try await box.start(
                    [Sandbox.binary, "acquire", "x", "--retries", "0"] + options + ["--", "touch", box.path("ran")]
                ).finish()
                #expect(run.ending == .exited(69), "\(options): \(run.errors)")
                #expect(run.errors.contains("process \(getpid()) ("), "\(run.errors)")
                #expect(run.errors.contains("without holding a term"))
                #expect(!run.errors.contains("held by nobody"))
            }
            #expect(access(box.path("ran"), F_OK) != 0)
            #expect(try await box.run("status", "x").ending == .exited(1))
        }
    }

    @Test("a lock shorter than the lease cannot end a running command")
    func shortLock() async throws {
        try await inSandbox(.heavy) { box in
            share(box)
            let holder = try box.start(
                [Sandbox.binary, "acquire", "x", "--ttl", "6s", "--", Sandbox.stamp, box.path("stamps"), "--for", "10000"])
            _ = try await box.waitForTerms(1)
            let locker = try await lock(box.leaseFile("x"), in: box)
            // A renewal was due and failed.
            try await waitUntil("the holder reports the locking process") {
                holder.errors.contains("process \(locker.pid) (flock) of user \(strangersName)")
            }
            try await stop(locker)
            #expect(try await holder.finish().ending == .exited(0))
            #expect(box.stamps().violations.isEmpty)
        }
    }

    @Test("a process whose lock cost a command its lease is named")
    func longLock() async throws {
        try await inSandbox(.heavy) { box in
            share(box)
            let holder = try box.start([Sandbox.binary, "acquire", "x", "--ttl", "2s", "--", Sandbox.stamp, box.path("stamps"), "--daemon"])
            _ = try await box.waitForTerms(1)
            let locker = try await lock(box.leaseFile("x"), in: box)
            let end = try await holder.finish()
            #expect(end.ending == .exited(79))
            let last = end.errors.split(separator: "\n").last { $0.contains("lost x while the command ran") } ?? ""
            #expect(last.contains("process \(locker.pid) (flock) of user \(strangersName) keeps its file locked"), "\(end.errors)")
            try await stop(locker)
            #expect(box.living.isEmpty)
        }
    }

    // MARK: Members of a group

    @Test("members of a group that share a folder share its elections", arguments: ["002", "022", "077"])
    func group(umask: String) async throws {
        try await inSandbox { box in
            chmod(box.folder, 0o755)
            chown(box.leases, 0, 12345)
            chmod(box.leases, 0o2770)
            func member(_ user: Int, _ words: String) -> [String] {
                [
                    "setpriv", "--reuid", String(user), "--regid", String(user), "--groups", "12345", "sh", "-c",
                    "umask \(umask); exec \"$0\" \(words)", Sandbox.binary,
                ]
            }
            #expect(try await box.start(member(65533, "acquire x -- true")).finish().ending == .exited(0))
            let second = try await box.start(member(65534, "acquire x -- sh -c 'echo $QQ_TOKEN'")).finish()
            #expect(second.ending == .exited(0), "\(second.errors)")
            #expect(second.text == "2\n")
            #expect(try await box.run("acquire", "y", "--", "true").ending == .exited(0), "root takes part")
            #expect(try await box.start(member(65534, "acquire y -- true")).finish().ending == .exited(0))
            for name in ["x.json", ".x.lock", "y.json", ".y.lock"] { #expect(mode(box.leases + "/" + name) == 0o660) }
            // A user outside the group cannot take part, and cannot read.
            let outsider = try await box.start(nobody + [Sandbox.binary, "status", "x"]).finish()
            #expect(outsider.ending == .exited(77))
            #expect(outsider.errors.contains("a member of the group that shares it"), "\(outsider.errors)")
            #expect(try await box.start(nobody + [Sandbox.binary, "acquire", "x", "--", "true"]).finish().ending == .exited(77))
        }
    }

    @Test("a user's default elections are private")
    func ownDefault() async throws {
        try await inSandbox { box in
            chmod(box.folder, 0o755)
            mkdir(box.path("theirs"), 0o755)
            chown(box.path("theirs"), 65534, 65534)
            let run = try await box.start(
                nobody + [Sandbox.binary, "acquire", "x", "--", "true"],
                environment: ["QQ_SERVER": "", "XDG_STATE_HOME": box.path("theirs"), "XDG_RUNTIME_DIR": ""]
            ).finish()
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(mode(box.path("theirs/qq/leases")) == 0o700)
            #expect(mode(box.path("theirs/qq/leases/x.json")) == 0o600)
        }
    }
}
