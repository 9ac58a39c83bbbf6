import Glibc
import Support
import Testing

@Suite("Lease files that cannot be used")
struct FolderFailureTests {
    /// Each command for `x`: none of them should change anything.
    private static let commands: [[String]] = [
        ["acquire", "x"], ["acquire", "x", "--", "touch", "ran"],
        ["status", "x"], ["release", "x", "--id", "me"], ["step-down", "x", "--force", "--yes"],
        ["keepalive", "x", "--once", "--id", "me"], ["watch", "x", "--for", "2s"],
    ]

    /// - Parameter canPass: whether a contender that waits rides the failure out.
    private func expectAll(_ code: Int32, in box: Sandbox, saying text: String? = nil, canPass: Bool = false) async throws {
        let waiter = try await box.run("acquire", "x", "--wait=300ms", "--", "touch", "ran")
        #expect(waiter.ending == .exited(canPass ? 75 : code) && waiter.errors.contains(text ?? "qq: "), "\(waiter.errors)")
        let keeper = try box.qq("keepalive", "x")
        if canPass {
            try await waitUntil("keepalive waits: \(keeper.errors)") { keeper.errors.contains("; waiting until it works") }
            #expect(keeper.errors.contains(text ?? "qq: "))
            keeper.child.signal(SIGTERM)
        }
        #expect(try await keeper.finish().ending == .exited(canPass ? 0 : code), "\(keeper.errors)")
        for words in Self.commands {
            let run = try await box.start([Sandbox.binary] + words).finish()
            #expect(run.ending == .exited(code), "\(words): \(run.errors)")
            #expect(run.output.isEmpty, "\(words)")
            #expect(run.errors.hasPrefix("qq: ") && run.errors.contains(text ?? "qq: "), "\(words): \(run.errors)")
        }
        #expect(access(box.path("ran"), F_OK) != 0)
    }

    @Test(
        "broken JSON exits with 65, and the file is left as it is",
        arguments: ["{", "[]", "null", "{\"holder\": 3}", "{\"holder\":\"a\",\"renewTime\":\"yesterday\"}", "\u{0}\u{0}\u{0}", "{}{}"])
    func broken(_ text: String) async throws {
        try await inSandbox { box in
            try box.write(text, to: "leases/x.json")
            // JSON that is no lease belongs to another program, and stays.
            try await expectAll(65, in: box, saying: "x.json", canPass: !["[]", "null"].contains(text))
            #expect(readText(box.leaseFile("x")) == text)
        }
    }

    @Test("a file that is far too large exits with 65")
    func large() async throws {
        try await inSandbox { box in
            try box.write([UInt8](repeating: UInt8(ascii: " "), count: 1_000_000), to: "leases/x.json")
            try await expectAll(65, in: box)
        }
    }

    @Test("a FIFO and a folder exit with 65, without hanging")
    func notRegular() async throws {
        try await inSandbox { box in
            mkfifo(box.leaseFile("x"), 0o644)
            try await expectAll(65, in: box, saying: "not a regular file", canPass: true)
            unlink(box.leaseFile("x"))
            mkdir(box.leaseFile("x"), 0o755)
            try await expectAll(65, in: box)
        }
    }

    @Test("a symbolic link exits with 77, and its target is left as it is")
    func link() async throws {
        try await inSandbox { box in
            try box.write("precious", to: "victim")
            symlink(box.path("victim"), box.leaseFile("x"))
            try await expectAll(77, in: box, saying: "symbolic link")
            unlink(box.leaseFile("x"))
            symlink(box.path("victim"), box.leases + "/.x.lock")
            let run = try await box.run("acquire", "x", "--", "true")
            #expect(run.ending == .exited(77))
            #expect(box.read("victim") == "precious")
        }
    }

    @Test("a missing folder, or a file in its place, exits with 78, and no folder is created")
    func missing() async throws {
        try await inSandbox { box in
            rmdir(box.leases)
            try await expectAll(78, in: box, saying: "mkdir -p", canPass: true)
            #expect(access(box.leases, F_OK) != 0)
            try box.write("", to: "leases")
            try await expectAll(78, in: box)
        }
    }

    @Test("a folder where every user can replace files exits with 77")
    func openToAll() async throws {
        try await inSandbox { box in
            chmod(box.leases, 0o777)
            try await expectAll(77, in: box, saying: "chmod +t")
            chmod(box.leases, 0o1777)
            #expect(try await box.run("acquire", "x", "--", "true").ending == .exited(0))
        }
    }

    @Test("another user's file in a sticky folder exits with 77", .enabled(if: isRoot, "only root can create files for others"))
    func foreignOwner() async throws {
        try await inSandbox { box in
            chmod(box.leases, 0o1777)
            try box.write("", to: "leases/x.json")
            chown(box.leaseFile("x"), 12345, 12345)
            try await expectAll(77, in: box, saying: "belongs to user 12345")
        }
    }

    @Test("a folder that this user cannot write to exits with 77 for commands that write")
    func unwritable() async throws {
        try await inSandbox { box in
            chmod(box.leases, 0o555)
            let taking = try await box.runAsUser("acquire", "x", "--", "true")
            let reading = try await box.runAsUser("status", "x")
            #expect(taking.ending == .exited(77))
            #expect(reading.ending == .exited(1))
            chmod(box.leases, 0o755)
        }
    }

    @Test("unknown options of a server URL exit with 78, on every system")
    func options() async throws {
        try await inSandbox { box in
            for url in [
                box.server, "qq://127.0.0.1:1", "raftlock://127.0.0.1:1", "nats://127.0.0.1:1", "etcd://127.0.0.1:1/p",
                "consul://127.0.0.1:1/p",
                "k8s:///team",
            ] {
                let run = try await box.run("-s", url + "?colour=red", "status", "x")
                #expect(run.ending == .exited(78) && run.errors.contains("is not an option of"), "\(url): \(run.errors)")
            }
            // A question mark can be part of a folder's name.
            mkdir(box.path("a?b"), 0o755)
            #expect(try await box.run("-s", "file://" + box.path("a%3Fb"), "acquire", "x").ending == .exited(0))
            #expect(access(box.path("a?b/x.json"), F_OK) == 0)
        }
    }

    @Test("a limit on the size of files that is too small for a lease is reported, and nothing is granted")
    func fileSizeLimit() async throws {
        try await inSandbox { box in
            let run = try await box.start(
                ["bash", "-c", "ulimit -f 32; \"$0\" acquire x --retries 0 -- touch ran", Sandbox.binary]
            ).finish()
            #expect(run.ending == .exited(69) && run.errors.contains("ulimit -f"), "\(run.errors)")
            #expect(access(box.path("ran"), F_OK) != 0)
            let status = try await box.start(["bash", "-c", "ulimit -f 32; \"$0\" cluster-status --json", Sandbox.binary]).finish()
            #expect(status.ending == .exited(1) && status.text.contains("\"room\":false"), "\(status.text)")
            // The command itself is ended by the signal, as without qq.
            let command = try await box.start(
                ["bash", "-c", "ulimit -c 0; ulimit -f 128; \"$0\" acquire y -- sh -c 'head -c 1000000 /dev/zero >large'", Sandbox.binary]
            ).finish()
            #expect(command.ending == .exited(128 + SIGXFSZ), "\(command.errors)")
            #expect(try await box.run("acquire", "x", "--", "true").ending == .exited(0))
        }
    }

    @Test("invalid names exit with 64", arguments: ["", ".hidden", "a/b", "../x", "a b", "ü", String(repeating: "a", count: 129)])
    func badName(_ name: String) async throws {
        try await inSandbox { box in
            for words in [["acquire", name, "--", "true"], ["acquire", name], ["status", name], ["keepalive", name], ["watch", name]] {
                let run = try await box.start([Sandbox.binary] + words).finish()
                #expect(run.ending == .exited(64), "\(words)")
            }
            #expect(names(in: box.leases) == [])
        }
    }

    @Test(
        "on a full disk no lease is granted, the old content stays, and no half-written file is left",
        .enabled(if: isRoot, "only root can mount a small file system"))
    func fullDisk() async throws {
        try await inSandbox { box in
            let mount = try await box.start(["mount", "-t", "tmpfs", "-o", "size=256k,mode=755", "tmpfs", box.leases]).finish()
            // In a container even root might not be allowed to; the test is then skipped.
            guard mount.ending == .exited(0) else {
                print("skipped: cannot mount a small file system here: \(mount.errors)")
                return
            }
            var failure: (any Error)?
            do { try await fillAndTry(box) } catch { failure = error }
            _ = try await box.start(["umount", "-l", box.leases]).finish()
            if let failure { throw failure }
        }
    }

    private func fillAndTry(_ box: Sandbox) async throws {
        #expect(try await box.run("acquire", "old", "--id", "me").ending == .exited(0))
        let before = readText(box.leaseFile("old"))
        _ = try await box.start(["sh", "-c", "cat /dev/zero >\(box.leases)/filler"]).finish()
        let run = try await box.run("acquire", "x", "--retries", "0", "--", "touch", box.path("ran"))
        #expect(run.ending == .exited(69))
        #expect(run.errors.contains("make room"))
        #expect(access(box.path("ran"), F_OK) != 0)
        #expect(try await box.run("status", "x").ending == .exited(1))
        #expect(try await box.run("status", "old").ending == .exited(0))
        #expect(readText(box.leaseFile("old")) == before)
        let full = try await box.run("cluster-status", "--json")
        #expect(full.ending == .exited(1) && full.text.contains("\"room\":false"), "\(full.text)")
        unlink(box.leases + "/filler")
        #expect(try await box.run("acquire", "x", "--", "true").ending == .exited(0))
    }
}
