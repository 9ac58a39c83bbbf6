import Foundation
import QQCore
import Testing

@testable import QQFile

/// A machine whose folders are on a file system of one type. Counts the files that are waited for until they are on the disk, and lets calls fail.
private final class DiskMachine: Machine, @unchecked Sendable {
    let type: Int64
    let synchronised = Noted(0)
    /// The number of calls that change a file, and which of them fail.
    let calls = Noted((count: 0, failing: 0..<0))

    init(type: Int64) { self.type = type }

    func call(_ name: String) throws(SystemCallError) {
        let (number, failing) = calls.value
        calls.change { $0.count += 1 }
        if failing.contains(number) { throw SystemCallError(name, code: EIO) }
    }

    override func openFolder(_ path: String) -> Descriptor? {
        let opened = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        return opened < 0 ? nil : DiskDescriptor(opened, self)
    }
}

private final class DiskDescriptor: Descriptor, @unchecked Sendable {
    let machine: DiskMachine

    init(_ number: CInt, _ machine: DiskMachine) {
        self.machine = machine
        super.init(number)
    }

    override func open(_ file: String, _ flags: CInt, _ mode: mode_t) -> Descriptor? {
        let opened = openat(number, file, flags, mode)
        return opened < 0 ? nil : DiskDescriptor(opened, machine)
    }

    override var fileSystemType: Int64? { machine.type }

    override func write(_ bytes: [UInt8], at offset: Int) throws(SystemCallError) {
        try machine.call("pwrite")
        try super.write(bytes, at: offset)
    }

    override func truncate(to length: Int) throws(SystemCallError) {
        try machine.call("ftruncate")
        try super.truncate(to: length)
    }

    override func synchronise() throws(SystemCallError) {
        try machine.call("fsync")
        machine.synchronised.change { $0 += 1 }
        try super.synchronise()
    }
}

@Suite("The durability of leases")
struct DurabilityTests {
    @Test(
        "a new term is on the disk before it is granted, and a renewal only if other machines have to see it",
        arguments: [
            // ext4 and NFS.
            (0xEF53, 0), (0x6969, 1),
        ] as [(Int64, Int)])
    func waitedFor(type: Int64, perRenewal: Int) async throws {
        let folder = TemporaryFolder()
        let machine = DiskMachine(type: type)
        let coordinator = FileCoordinator(
            server: try ServerURL.file(path: folder.path), folder: LeaseFolder(path: folder.path, isDefault: false, machine: machine),
            clock: TestClock(), ownTTL: .seconds(15), requestTimeout: .seconds(60)
        ) { _ in }
        let grant = try await coordinator.get(ask("a")).grant
        // The journal and the lease file.
        #expect(machine.synchronised.value == 2)
        for _ in 0..<3 { _ = try await coordinator.renew(grant) }
        #expect(machine.synchronised.value == 2 + 3 * perRenewal)
    }

    @Test("whichever calls fail, the lease file can be read, and shows the old term or the new one", arguments: [nil, 1, 200])
    func failures(lengthBefore: Int?) async throws {
        for first in 0..<8 {
            for count in 1...4 {
                let folder = TemporaryFolder()
                let machine = DiskMachine(type: 0xEF53)
                func coordinator() throws -> FileCoordinator {
                    FileCoordinator(
                        server: try ServerURL.file(path: folder.path),
                        folder: LeaseFolder(path: folder.path, isDefault: false, machine: machine), clock: TestClock(),
                        ownTTL: .seconds(15), requestTimeout: .seconds(60)
                    ) { _ in }
                }
                var before: FencingToken?
                if let lengthBefore {
                    let grant = try await coordinator().get(ask(String(repeating: "a", count: lengthBefore))).grant
                    _ = try await coordinator().release(grant)
                    before = grant.token
                }
                machine.calls.change { $0 = (0, first..<first + count) }
                let granted = try? await coordinator().get(ask("another", ttl: .seconds(1))).grant
                machine.calls.change { $0.failing = 0..<0 }
                let state = try await coordinator().read("backup")
                #expect(state.leader == nil || state.leader == "another", "\(first), \(count): \(state)")
                if let granted { #expect(state.leader == "another" && state.token == granted.token) }
                // The next term has a token of its own, once the one that might have been granted is over.
                if state.phase == .free {
                    let next = try await coordinator().get(ask("next")).grant
                    #expect((next.token?.value ?? 0) > max(before?.value ?? 0, granted?.token?.value ?? 0))
                }
            }
        }
    }
}
