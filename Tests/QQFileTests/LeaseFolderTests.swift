import Foundation
import QQCore
import Testing

@testable import QQFile

private let isRoot = geteuid() == 0

/// Sets the user for whom the kernel checks file access, in this thread only.
@_silgen_name("setfsuid") private func setfsuid(_ user: uid_t) -> CInt

@Suite("A lease folder", .timeLimit(.minutes(10)))
struct LeaseFolderTests {
    let folder = TemporaryFolder()
    let clock = TestClock()

    @Test(
        "a broken lease file is an error and is left alone",
        arguments: ["{", "[]", "{\"holder\": 1}", "not json", "{\"token\": 18446744073709551615}"])
    func broken(text: String) async throws {
        try folder.write(text, to: "backup.json")
        let coordinator = try folder.coordinator(clock)
        #expect(await failure { _ = try await coordinator.acquire(ask("a")) }?.kind == .brokenData)
        #expect(await failure { _ = try await coordinator.read("backup") }?.kind == .brokenData)
        #expect(folder.text("backup.json") == text)
    }

    @Test(
        "another program's file in place of a side file is an error and is left alone",
        arguments: ["pid 12\n", "\u{0}\u{0}x", "qq-lease-index"])
    func foreignSideFile(text: String) async throws {
        try folder.write(text, to: ".backup.lock")
        let coordinator = try folder.coordinator(clock)
        #expect(await failure { _ = try await coordinator.acquire(ask("a", livenessLock: true)) }?.kind == .brokenData)
        #expect(folder.text(".backup.lock") == text)
        #expect(try await coordinator.read("backup").phase == .free)
    }

    @Test(
        "a side file with a truncated first entry is used like a new one",
        arguments: ["", "\u{0}\u{0}", "qq-lea", "qq-lease-journal 1 seq"])
    func cutSideFile(text: String) async throws {
        try folder.write(text, to: ".backup.lock")
        #expect(try await folder.coordinator(clock).get(ask("a")).grant.token == FencingToken(1))
    }

    @Test("a lease file that is too large is an error and is left alone") func tooLarge() async throws {
        let text = "{\"x\": \"" + String(repeating: "x", count: 16 * 1024) + "\"}"
        try folder.write(text, to: "backup.json")
        let coordinator = try folder.coordinator(clock)
        #expect(await failure { _ = try await coordinator.acquire(ask("a")) }?.kind == .brokenData)
        #expect(folder.text("backup.json") == text)
    }

    @Test("a lease from the future is an error and is left alone") func fromTheFuture() async throws {
        let text = "{\"holder\": \"go\", \"renewTime\": \"2999-01-01T00:00:00Z\"}"
        try folder.write(text, to: "backup.json")
        let coordinator = try folder.coordinator(clock)
        for error in [
            await failure { _ = try await coordinator.acquire(ask("a")) }, await failure { _ = try await coordinator.read("backup") },
        ] {
            #expect(error?.kind == .brokenData)
            #expect(error?.hint?.contains("clock") == true)
        }
        #expect(folder.text("backup.json") == text)
    }

    @Test(
        "lease and side files that are not regular files are never opened", .timeLimit(.minutes(10)),
        arguments: ["backup.json", ".backup.lock"])
    func notRegular(name: String) async throws {
        let coordinator = try folder.coordinator(clock)
        _ = try await coordinator.get(ask("a"))
        unlink(folder.file(name))
        mkfifo(folder.file(name), 0o644)
        #expect(await failure { _ = try await coordinator.acquire(ask("a")) }?.kind == .brokenData)
        #expect(await failure { _ = try await coordinator.read("backup") }?.kind == .brokenData)
        unlink(folder.file(name))
        mkdir(folder.file(name), 0o755)
        #expect(await failure { _ = try await coordinator.acquire(ask("a")) }?.kind == .brokenData)
        #expect(await failure { _ = try await coordinator.read("backup") }?.kind == .brokenData)
    }

    @Test("symbolic links in place of lease and side files are never followed", arguments: ["backup.json", ".backup.lock"])
    func symbolicLink(name: String) async throws {
        let coordinator = try folder.coordinator(clock)
        _ = try await coordinator.get(ask("a"))
        try FileManager.default.moveItem(atPath: folder.file(name), toPath: folder.file("elsewhere"))
        symlink("elsewhere", folder.file(name))
        let before = folder.text("elsewhere")
        #expect(await failure { _ = try await coordinator.acquire(ask("a")) }?.kind == .denied)
        #expect(await failure { _ = try await coordinator.read("backup") }?.kind == .denied)
        #expect(folder.text("elsewhere") == before)
    }

    @Test("no file is created through a dangling symbolic link") func danglingLink() async throws {
        symlink("elsewhere", folder.file("backup.json"))
        let coordinator = try folder.coordinator(clock)
        #expect(await failure { _ = try await coordinator.acquire(ask("a")) }?.kind == .denied)
        #expect(folder.text("elsewhere") == nil)
    }

    @Test("a missing lease folder is an error and is not created") func missing() async throws {
        let missing = FileCoordinator(
            server: try ServerURL.parse("file://" + folder.file("missing"), as: [.file]), isDefault: false, clock: clock,
            ownTTL: .seconds(15),
            requestTimeout: .seconds(60))
        for error in [await failure { _ = try await missing.acquire(ask("a")) }, await failure { _ = try await missing.list() }] {
            #expect(error?.kind == .configuration)
        }
        #expect(await missing.clusterStatus().endpoints.first?.isReachable == false)
        #expect(access(folder.file("missing"), F_OK) != 0)
    }

    @Test("the default lease folder is created by the first acquire and not by reading") func missingDefault() async throws {
        let path = folder.file("state/qq")
        let coordinator = FileCoordinator(
            server: try ServerURL.parse("file://" + path, as: [.file]), isDefault: true, clock: clock, ownTTL: .seconds(15),
            requestTimeout: .seconds(60))
        #expect(try await coordinator.read("backup").phase == .free)
        #expect(try await coordinator.list().isEmpty)
        _ = await coordinator.clusterStatus()
        #expect(access(folder.file("state"), F_OK) != 0)
        _ = try await coordinator.get(ask("a"))
        #expect(try await coordinator.read("backup").leader == "a")
    }

    @Test("a file in place of the lease folder is an error") func notAFolder() async throws {
        try folder.write("", to: "file")
        let coordinator = FileCoordinator(
            server: try ServerURL.parse("file://" + folder.file("file"), as: [.file]), isDefault: false, clock: clock, ownTTL: .seconds(15),
            requestTimeout: .seconds(60))
        #expect(await failure { _ = try await coordinator.acquire(ask("a")) }?.kind == .configuration)
    }

    @Test("a lease folder in which everyone can replace files is refused") func replaceable() async throws {
        chmod(folder.path, 0o777)
        let coordinator = try folder.coordinator(clock)
        #expect(await failure { _ = try await coordinator.acquire(ask("a")) }?.kind == .denied)
        #expect(await failure { _ = try await coordinator.read("backup") }?.kind == .denied)
        chmod(folder.path, 0o1777)
        _ = try await coordinator.get(ask("a"))
    }

    @Test(
        "another user's file is not trusted in a lease folder that everyone can write to", .enabled(if: isRoot),
        arguments: ["backup.json", ".backup.lock"])
    func strangersFile(name: String) async throws {
        let coordinator = try folder.coordinator(clock)
        _ = try await coordinator.get(ask("a"))
        chmod(folder.path, 0o1777)
        chown(folder.file(name), 12345, 12345)
        #expect(await failure { _ = try await coordinator.acquire(ask("a")) }?.kind == .denied)
        #expect(await failure { _ = try await coordinator.read("backup") }?.kind == .denied)
        // The folder's owner is trusted, since it can do anything here anyway.
        chown(folder.path, 12345, 12345)
        #expect(try await coordinator.read("backup").leader == "a")
    }

    @Test("a hard link is not trusted in a lease folder that everyone can write to") func hardLink() async throws {
        let coordinator = try folder.coordinator(clock)
        _ = try await coordinator.get(ask("a"))
        chmod(folder.path, 0o1777)
        link(folder.file("backup.json"), folder.file("other"))
        #expect(await failure { _ = try await coordinator.acquire(ask("a")) }?.kind == .denied)
    }

    @Test("another user's lease file cannot be opened for a change", .enabled(if: isRoot))
    func denied() throws {
        chmod(folder.path, 0o755)
        let leases = LeaseFolder(path: folder.path, isDefault: false)
        _ = setfsuid(65534)
        defer { _ = setfsuid(0) }
        let directory = try leases.open(creating: false)
        let error = #expect(throws: CoordinationError.self) { try leases.openFile("backup.json", in: directory, .change) }
        #expect(error?.kind == .denied)
        #expect(error?.reason == "Permission denied")
        #expect(error?.hint?.contains("who may write there") == true)
    }

    @Test("a lease folder that cannot be read is denied", .enabled(if: isRoot))
    func unreadable() {
        chmod(folder.path, 0o700)
        let leases = LeaseFolder(path: folder.path, isDefault: false)
        _ = setfsuid(65534)
        defer { _ = setfsuid(0) }
        let error = #expect(throws: CoordinationError.self) { try leases.open(creating: false) }
        #expect(error?.kind == .denied)
        #expect(error?.hint?.contains("others cannot read its elections") == true)
    }

    @Test("leases in a read-only folder can be read but not changed", .enabled(if: isRoot))
    func readOnly() async throws {
        let writable = try folder.coordinator(clock)
        let grant = try await writable.get(ask("a")).grant
        let mounted = TemporaryFolder()
        try #require(mount(folder.path, mounted.path, nil, UInt(MS_BIND), nil) == 0)
        defer { umount2(mounted.path, CInt(MNT_DETACH)) }
        try #require(mount(nil, mounted.path, nil, UInt(MS_BIND) | UInt(MS_REMOUNT) | UInt(MS_RDONLY), nil) == 0)
        let coordinator = try mounted.coordinator(clock)
        #expect(try await coordinator.read("backup").leader == "a")
        #expect(try await coordinator.list().count == 1)
        #expect(await failure { _ = try await coordinator.acquire(ask("a")) }?.kind == .denied)
        #expect(await failure { _ = try await coordinator.renew(grant) }?.kind == .denied)
        #expect(await failure { _ = try await coordinator.release(grant) }?.kind == .denied)
    }

    @Test("a full disk grants nothing and keeps all records, and leases are granted again once there is room", .enabled(if: isRoot))
    func fullDisk() async throws {
        let small = TemporaryFolder()
        try #require(mount("none", small.path, "tmpfs", 0, "size=64k") == 0)
        defer { umount2(small.path, CInt(MNT_DETACH)) }
        let coordinator = try small.coordinator(clock)
        let old = try await coordinator.get(ask("a", "old")).grant
        _ = try await coordinator.release(old)
        let text = small.text("old.json")
        let filler = open(small.file("filler"), O_WRONLY | O_CREAT, 0o644)
        let page = [UInt8](repeating: 1, count: 4096)
        while write(filler, page, page.count) > 0 {}
        close(filler)
        let error = await failure { _ = try await coordinator.acquire(ask("a", "new", livenessLock: true)) }
        #expect(error?.kind == .unavailable)
        #expect(error?.reason == "No space left on device")
        #expect(try await coordinator.read("new").phase == .free)
        #expect(small.text("old.json") == text)
        unlink(small.file("filler"))
        let held = try await coordinator.get(ask("a", "new", livenessLock: true))
        #expect(held.grant.token == FencingToken(1))
        held.livenessLock?.close()
        #expect(try await coordinator.get(ask("a", "old")).grant.token == FencingToken(2))
    }

    @Test("a held lease can be renewed and released on a full disk", .enabled(if: isRoot))
    func renewedOnAFullDisk() async throws {
        let small = TemporaryFolder()
        try #require(mount("none", small.path, "tmpfs", 0, "size=64k") == 0)
        defer { umount2(small.path, CInt(MNT_DETACH)) }
        let coordinator = try small.coordinator(clock)
        let grant = try await coordinator.get(ask("a")).grant
        let filler = open(small.file("filler"), O_WRONLY | O_CREAT, 0o644)
        let page = [UInt8](repeating: 1, count: 4096)
        while write(filler, page, page.count) > 0 {}
        close(filler)
        for _ in 0..<3 {
            guard case .renewed = try await coordinator.renew(grant) else {
                Issue.record("lost")
                return
            }
        }
        #expect(try await coordinator.release(grant) == .released)
    }

    @Test(
        "a failed system call leads to the matching kind of error",
        arguments: [
            (ENOENT, .configuration), (ENOTDIR, .configuration), (ENAMETOOLONG, .configuration), (ELOOP, .denied), (EACCES, .denied),
            (EPERM, .denied),
            (EROFS, .denied), (EISDIR, .brokenData), (ENOSPC, .unavailable), (EDQUOT, .unavailable), (EIO, .unavailable),
            (EMFILE, .unavailable),
        ] as [(CInt, CoordinationError.Kind)])
    func problems(code: CInt, kind: CoordinationError.Kind) {
        let leases = LeaseFolder(path: "/leases", isDefault: false)
        let error = leases.problem(SystemCallError("open", code: code), with: "/leases/backup.json")
        #expect(error.kind == kind)
        #expect(error.location == "/leases/backup.json")
        #expect(!error.isUncertain)
    }

    @Test(
        "a wait ends at a failed system call that waiting cannot mend, and rides out the others",
        arguments: [
            (ENOENT, true), (EROFS, true), (ENOSPC, true), (EIO, true), (EFBIG, false), (EISDIR, false), (EACCES, false), (ENOTDIR, false),
        ] as [(CInt, Bool)])
    func ridesOut(code: CInt, _ isRiddenOut: Bool) {
        let error = LeaseFolder(path: "/leases", isDefault: false).problem(SystemCallError("open", code: code), with: "/leases/backup.json")
        #expect(error.isRiddenOut == isRiddenOut)
    }

    @Test("a change that was cut short is read as the new content") func cutShort() async throws {
        let coordinator = try folder.coordinator(clock)
        let grant = try await coordinator.get(ask("somebody/with/a/long/name")).grant
        let before = Array((folder.text("backup.json") ?? "").utf8)
        _ = try await coordinator.release(grant)
        let after = Array((folder.text("backup.json") ?? "").utf8)
        // The file as a crash in the middle of the release would leave it.
        let overwrite = LeaseJournal.overwrite(from: before, to: after)
        let common = zip(before, after).prefix { $0 == $1 }.count
        for cut in stride(from: common + 1, to: overwrite.count, by: 5) {
            try folder.write(String(decoding: Array(overwrite.prefix(cut)) + before.dropFirst(cut), as: UTF8.self), to: "backup.json")
            #expect(try await coordinator.read("backup").phase == .free)
        }
        #expect(try await coordinator.get(ask("b")).grant.token == FencingToken(2))
        #expect(try await coordinator.read("backup").leader == "b")
    }
}
