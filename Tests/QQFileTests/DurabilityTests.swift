import Foundation
import QQCore
import Testing

@testable import QQFile

/// A machine whose folders are on a file system of one type. Counts the files that are waited for until they are on the disk.
private final class DiskMachine: Machine, @unchecked Sendable {
    let type: Int64
    let synchronised = Noted(0)

    init(type: Int64) { self.type = type }

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

    override func synchronise() throws(SystemCallError) {
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
}
