import Glibc
import Support
import Testing

@Suite("Lease files that cannot be used")
struct FolderFailureTests {
    /// Each command for `x`: none of them should change anything.
    private static let commands: [[String]] = [
        ["acquire", "x"], ["acquire", "x", "--", "touch", "ran"], ["acquire", "x", "--wait=1s", "--", "touch", "ran"],
        ["status", "x"], ["release", "x", "--id", "me"], ["step-down", "x", "--force", "--yes"], ["keepalive", "x"],
        ["keepalive", "x", "--once", "--id", "me"], ["watch", "x", "--for", "2s"],
    ]

    private func expectAll(_ code: Int32, in box: Sandbox, saying text: String = "") async throws {
        for words in Self.commands {
            let run = try await box.start([Sandbox.binary] + words).finish()
            #expect(run.ending == .exited(code), "\(words): \(run.errors)")
            #expect(run.output.isEmpty, "\(words)")
            #expect(run.errors.hasPrefix("qq: ") && (text.isEmpty || run.errors.contains(text)), "\(words): \(run.errors)")
        }
        #expect(access(box.path("ran"), F_OK) != 0)
    }

    @Test(
        "broken JSON exits with 65, and the file is left as it is",
        arguments: ["{", "[]", "null", "{\"holder\": 3}", "{\"holder\":\"a\",\"renewTime\":\"yesterday\"}", "\u{0}\u{0}\u{0}", "{}{}"])
    func broken(_ text: String) async throws {
        try await inSandbox { box in
            try box.write(text, to: "leases/x.json")
            try await expectAll(65, in: box, saying: "x.json")
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
            try await expectAll(65, in: box, saying: "not a regular file")
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
            try await expectAll(78, in: box, saying: "mkdir -p")
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

    @Test("a folder that this user cannot write to exits with 77 for commands that write", .enabled(if: !isRoot, "root can write anywhere"))
    func unwritable() async throws {
        try await inSandbox { box in
            chmod(box.leases, 0o555)
            let taking = try await box.run("acquire", "x", "--", "true")
            let reading = try await box.run("status", "x")
            #expect(taking.ending == .exited(77))
            #expect(reading.ending == .exited(1))
            chmod(box.leases, 0o755)
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
        unlink(box.leases + "/filler")
        #expect(try await box.run("acquire", "x", "--", "true").ending == .exited(0))
    }
}
