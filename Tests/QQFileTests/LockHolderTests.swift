import CKernel
import Glibc
import QQCore
import Testing

@testable import QQFile

@Suite("Who has a lock")
struct LockHolderTests {
    private static let file = {
        var file = stat()
        file.st_ino = 42
        return file
    }()

    @Test(
        "is read from the kernel's lists",
        arguments: [
            ("1: FLOCK  ADVISORY  READ 12 fe:00:42 0 EOF", 12), ("lock:\t1: FLOCK  ADVISORY  WRITE 12 fe:00:42 0 EOF", 12),
            ("1: FLOCK  ADVISORY  READ 12 fe:00:142 0 EOF", nil), ("1: POSIX  ADVISORY  READ 12 fe:00:42 0 EOF", nil),
            ("1: -> FLOCK  ADVISORY  WRITE 12 fe:00:42 0 EOF", nil), ("", nil), ("1: FLOCK", nil),
        ] as [(String, pid_t?)])
    func flock(line: String, pid: pid_t?) {
        #expect(LockHolder.pid(inLock: line[...], .whole, on: Self.file) == pid)
    }

    @Test(
        "is told from locks on other bytes",
        arguments: [
            ("1: OFDLCK ADVISORY  READ -1 fe:00:42 0 EOF", -1), ("1: POSIX  ADVISORY  WRITE 7 fe:00:42 100 100", 7),
            ("1: POSIX  ADVISORY  WRITE 7 fe:00:42 0 99", nil), ("1: POSIX  ADVISORY  WRITE 7 fe:00:42 101 EOF", nil),
            ("1: FLOCK  ADVISORY  WRITE 7 fe:00:42 0 EOF", nil),
        ] as [(String, pid_t?)])
    func bytes(line: String, pid: pid_t?) {
        #expect(LockHolder.pid(inLock: line[...], .byte(100), on: Self.file) == pid)
    }

    @Test func hasAUserWhoseNameStandsInTheMachinesList() {
        let list = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n::12:\nbroken\n"
        #expect(LockHolder.userName("65534", in: list) == "nobody")
        #expect(LockHolder.userName("6553", in: list) == nil)
        #expect(LockHolder.userName("12", in: list) == nil)
    }

    @Test("that is no term's stands in the way and is named", arguments: [CInt(F_RDLCK), CInt(F_WRLCK)])
    func stranger(type: CInt) async throws {
        let folder = TemporaryFolder()
        let coordinator = try folder.coordinator()
        let grant = try await coordinator.get(ask("a")).grant
        _ = try await coordinator.release(grant)
        let side = open(folder.file(".backup.lock"), type == CInt(F_RDLCK) ? O_RDONLY : O_RDWR)
        defer { close(side) }
        #expect(qq_ofd_lock(side, type, 0, 0) == 0)
        let error = await failure { _ = try await coordinator.acquire(ask("b", witness: true)) }
        #expect(error?.kind == .unavailable)
        #expect(error?.reason.hasPrefix("process \(getpid()) (") == true, "\(error?.reason ?? "")")
        #expect(error?.reason.hasSuffix(" has locked its file without holding a term") == true)
        #expect(try await coordinator.read("backup").phase == .free)
    }
}
