import Glibc
import QQCore
import Testing

@testable import QQFile

private let isRoot = geteuid() == 0

@Suite("Permissions of lease files", .timeLimit(.minutes(10)))
struct PermissionsTests {
    let folder = TemporaryFolder()

    private func mode(_ name: String) -> mode_t {
        var information = stat()
        return lstat(folder.file(name), &information) == 0 ? information.st_mode & 0o7777 : 0
    }

    private func change() async throws {
        let coordinator = try folder.coordinator()
        _ = try await coordinator.release(try await coordinator.get(ask("a")).grant)
    }

    private var modes: [mode_t] { ["backup.json", ".backup.lock"].map { mode($0) } }

    @Test("lease files are private to their owner unless the folder is shared", arguments: [0o700, 0o755, 0o750] as [mode_t])
    func alone(folderMode: mode_t) async throws {
        chmod(folder.path, folderMode)
        try await change()
        #expect(modes == [0o600, 0o600])
        #expect(mode(".") == folderMode, "a folder that was given explicitly keeps its permissions")
    }

    @Test("lease files of an earlier version become private at the next change")
    func migrated() async throws {
        try await change()
        for name in ["backup.json", ".backup.lock"] { chmod(folder.file(name), 0o644) }
        _ = try await folder.coordinator().read("backup")
        #expect(modes == [0o644, 0o644], "reading changes nothing")
        try await change()
        #expect(modes == [0o600, 0o600])
    }

    @Test("lease files that others can write to on purpose keep their permissions")
    func onPurpose() async throws {
        try await change()
        for name in ["backup.json", ".backup.lock"] { chmod(folder.file(name), 0o666) }
        try await change()
        #expect(modes == [0o666, 0o666])
    }

    @Test("lease files in a group's folder can be written by the group", arguments: [0o2775, 0o2770, 0o770] as [mode_t])
    func group(folderMode: mode_t) async throws {
        chmod(folder.path, folderMode)
        try await change()
        #expect(modes == [0o660, 0o660])
        // As the Go package and earlier versions make them.
        for name in ["backup.json", ".backup.lock"] { chmod(folder.file(name), 0o644) }
        try await change()
        #expect(modes == [0o664, 0o664])
    }

    @Test(
        "lease files get the folder's group, whatever the process's group is", .enabled(if: isRoot), arguments: [0o2770, 0o770] as [mode_t])
    func groupOfTheFolder(folderMode: mode_t) async throws {
        chown(folder.path, 0, 12345)
        chmod(folder.path, folderMode)
        try await change()
        var information = stat()
        lstat(folder.file("backup.json"), &information)
        #expect(information.st_gid == 12345)
        #expect(modes == [0o660, 0o660])
    }

    @Test("lease files that root creates belong to the folder's owner", .enabled(if: isRoot))
    func madeByRoot() async throws {
        chown(folder.path, 12345, 12345)
        try await change()
        for name in ["backup.json", ".backup.lock"] {
            var information = stat()
            lstat(folder.file(name), &information)
            #expect(information.st_uid == 12345)
        }
        #expect(modes == [0o600, 0o600])
    }

    @Test(
        "root neither uses nor changes a file with several names in another user's folder", .enabled(if: isRoot),
        arguments: [0o755, 0o2770])
    func hardLink(folderMode: mode_t) async throws {
        try await change()
        let elsewhere = TemporaryFolder()
        for name in ["backup.json", ".backup.lock"] {
            // A file of root's under the name of a lease or side file.
            let bytes = folder.text(name) ?? ""
            unlink(folder.file(name))
            try elsewhere.write(bytes, to: name)
            #expect(link(elsewhere.file(name), folder.file(name)) == 0)
        }
        chown(folder.path, 12345, 12345)
        chmod(folder.path, folderMode)
        for error in [
            await failure { try await change() }, await failure { _ = try await folder.coordinator().read("backup") },
        ] {
            #expect(error?.kind == .denied)
            #expect(error?.reason.contains("has 2 names") == true)
        }
        // The same with only one of the two files.
        unlink(folder.file("backup.json"))
        #expect(await failure { try await change() }?.kind == .denied)
        for name in ["backup.json", ".backup.lock"] {
            var information = stat()
            lstat(elsewhere.file(name), &information)
            #expect(information.st_uid == 0 && information.st_gid == 0 && information.st_mode & 0o777 == 0o644)
        }
    }

    @Test("a file with several names keeps its permissions in the user's own folder", arguments: [0o700, 0o770] as [mode_t])
    func ownHardLink(folderMode: mode_t) throws {
        try folder.write("", to: "backup.json")
        link(folder.file("backup.json"), folder.file("copy"))
        chmod(folder.path, folderMode)
        Permissions.settle(Descriptor(open(folder.file("backup.json"), O_RDWR)), in: Descriptor(open(folder.path, O_RDONLY)))
        #expect(mode("backup.json") == 0o644)
    }

    // MARK: The default folder

    private func changeInDefault() async throws {
        let coordinator = try folder.coordinator(isDefault: true)
        _ = try await coordinator.release(try await coordinator.get(ask("a")).grant)
    }

    @Test("the next change makes the default folder and all its files private")
    func defaultFolder() async throws {
        try await change()
        try folder.write("{\"holder\": \"go\"}", to: "other.json")
        for name in ["backup.json", ".backup.lock", "other.json"] { chmod(folder.file(name), 0o644) }
        _ = try await folder.coordinator(isDefault: true).list()
        #expect(mode(".") == 0o755)
        try await changeInDefault()
        #expect(mode(".") == 0o700)
        #expect(modes + [mode("other.json")] == [0o600, 0o600, 0o600])
    }

    @Test("a default folder that a group shares on purpose stays open")
    func sharedDefault() async throws {
        chmod(folder.path, 0o2775)
        try await changeInDefault()
        #expect(mode(".") == 0o2775)
    }

    @Test("a default folder with other users' files stays open", .enabled(if: isRoot))
    func othersInDefault() async throws {
        try folder.write("", to: "theirs.json")
        chown(folder.file("theirs.json"), 12345, 12345)
        try await changeInDefault()
        #expect(mode(".") == 0o755)
        #expect(mode("theirs.json") == 0o644)
    }

    @Test("a new default folder is private to its user")
    func made() async throws {
        rmdir(folder.path)
        try await changeInDefault()
        #expect(mode(".") == 0o700)
    }
}
