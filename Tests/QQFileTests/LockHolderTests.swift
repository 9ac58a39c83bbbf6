import CKernel
import Glibc
import QQCore
import Testing

@testable import QQFile

@Suite("Holders of kernel locks")
struct LockHolderTests {
    private static let file = {
        var file = stat()
        file.st_ino = 42
        return file
    }()

    @Test(
        "the process with a lock on the whole file is found in the kernel's lists",
        arguments: [
            ("1: FLOCK  ADVISORY  READ 12 fe:00:42 0 EOF", 12), ("lock:\t1: FLOCK  ADVISORY  WRITE 12 fe:00:42 0 EOF", 12),
            ("1: FLOCK  ADVISORY  READ 12 fe:00:142 0 EOF", nil), ("1: POSIX  ADVISORY  READ 12 fe:00:42 0 EOF", nil),
            ("1: -> FLOCK  ADVISORY  WRITE 12 fe:00:42 0 EOF", nil), ("", nil), ("1: FLOCK", nil),
        ] as [(String, pid_t?)])
    func flock(line: String, pid: pid_t?) {
        #expect(LockHolder.pid(inLock: line[...], .whole, on: Self.file) == pid)
    }

    @Test(
        "the process with a lock on a byte is distinguished from those with other locks",
        arguments: [
            ("1: OFDLCK ADVISORY  READ -1 fe:00:42 0 EOF", -1), ("1: POSIX  ADVISORY  WRITE 7 fe:00:42 100 100", 7),
            ("1: POSIX  ADVISORY  WRITE 7 fe:00:42 0 99", nil), ("1: POSIX  ADVISORY  WRITE 7 fe:00:42 101 EOF", nil),
            ("1: FLOCK  ADVISORY  WRITE 7 fe:00:42 0 EOF", nil),
        ] as [(String, pid_t?)])
    func bytes(line: String, pid: pid_t?) {
        #expect(LockHolder.pid(inLock: line[...], .byte(100), on: Self.file) == pid)
    }

    @Test("a user's name is found in the machine's user list") func userName() {
        let list = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n::12:\nbroken\n"
        #expect(LockHolder.userName("65534", in: list) == "nobody")
        #expect(LockHolder.userName("6553", in: list) == nil)
        #expect(LockHolder.userName("12", in: list) == nil)
    }

    /// Offsets and lengths of locks that belong to no term. Length 0 means up to the end of the file.
    private static let places: [(Int64, Int64)] = [
        (0, 0), (TermLivenessLock.firstByte, 1), (TermLivenessLock.firstByte, 0), (TermLivenessLock.firstByte + 1, 2),
        (TermLivenessLock.firstByte + 2, 1),
        (TermLivenessLock.firstByte + 7, 1), (TermLivenessLock.firstByte + 1, TermLivenessLock.firstHolderByte),
        (TermLivenessLock.firstByte - 5, 6),
    ]

    @Test(
        "a lock that belongs to no term makes an acquire fail, and its process is named", arguments: [CInt(F_RDLCK), CInt(F_WRLCK)], places)
    func stranger(type: CInt, place: (first: Int64, length: Int64)) async throws {
        // A read lock conflicts only with a term's own lock.
        if type == CInt(F_RDLCK), place.length == 1 || place.length == 6 { return }
        let folder = TemporaryFolder()
        let coordinator = try folder.coordinator()
        let grant = try await coordinator.get(ask("a")).grant
        _ = try await coordinator.release(grant)
        let side = open(folder.file(".backup.lock"), type == CInt(F_RDLCK) ? O_RDONLY : O_RDWR)
        defer { close(side) }
        #expect(qq_ofd_lock(side, type, place.first, place.length) == 0)
        // The search for the process is short: a busy machine can need several.
        var error: CoordinationError?
        for _ in 0..<30 where error?.reason.hasPrefix("process") != true {
            if error != nil { try await Task.sleep(for: .seconds(1)) }
            error = await failure { _ = try await coordinator.acquire(ask("b", livenessLock: true)) }
        }
        #expect(error?.kind == .unavailable)
        #expect(error?.reason.hasPrefix("process \(getpid()) (") == true, "\(error?.reason ?? "")")
        #expect(error?.reason.hasSuffix(" has locked its file without holding a term") == true)
        #expect(try await coordinator.read("backup").phase == .free)
    }

    @Test(
        "a lock that belongs to no term does not hide the lock of guarded processes",
        arguments: places.filter { $0 != (TermLivenessLock.firstByte + 2, 1) })
    func besideWork(place: (first: Int64, length: Int64)) async throws {
        let folder = TemporaryFolder()
        let coordinator = try folder.coordinator()
        _ = try await coordinator.release(try await coordinator.get(ask("z")).grant)
        _ = try await coordinator.release(try await coordinator.get(ask("z")).grant)
        // The token of this term is 3.
        let held = try await coordinator.get(ask("a", livenessLock: true))
        let side = open(folder.file(".backup.lock"), O_RDWR)
        defer { close(side) }
        // Locks that would also cover the lock of the guarded processes end before it.
        let work = TermLivenessLock.firstByte + 3
        let end = place.length == 0 ? Int64.max : place.first + place.length
        let isOver = place.first <= work && work < end
        #expect(qq_ofd_lock(side, CInt(F_WRLCK), place.first, isOver ? work - place.first : place.length) == 0)
        // Another lock follows it.
        #expect(qq_ofd_lock(side, CInt(F_WRLCK), work + 1, 0) == 0)
        #expect(try await coordinator.blocker(of: ask("b", livenessLock: true)).leader == "a")
        guard case .renewed = try await coordinator.renew(held.grant) else {
            Issue.record("another process's lock has ended a term")
            return
        }
        // Another program overwrites the record, and with it the token that is looked for first.
        for text in ["{\"holder\": \"go\", \"renewTime\": \"2026-01-01T00:00:00Z\"}", ""] {
            try folder.write(text, to: "backup.json")
            _ = try await coordinator.blocker(of: ask("b", livenessLock: true))
        }
        held.livenessLock?.close()
        try await eventually("the end of the guarded processes") { try await coordinator.read("backup").phase != .held }
        #expect(await failure { _ = try await coordinator.acquire(ask("b", livenessLock: true)) }?.kind == .unavailable)
        #expect(
            await failure { _ = try await coordinator.acquire(ask("b")) }?.kind == .unavailable,
            "a request without a liveness lock fails, too")
    }

    @Test("a lease is not granted while many foreign locks exist") func manyLocks() async throws {
        let folder = TemporaryFolder()
        let coordinator = try folder.coordinator()
        _ = try await coordinator.release(try await coordinator.get(ask("a")).grant)
        let side = open(folder.file(".backup.lock"), O_RDWR)
        defer { close(side) }
        for number in 1...200 { #expect(qq_ofd_lock(side, CInt(F_WRLCK), TermLivenessLock.firstByte + 10 * Int64(number), 1) == 0) }
        #expect(await failure { _ = try await coordinator.acquire(ask("b", livenessLock: true)) }?.kind == .unavailable)
    }

    @Test("the holder of a lock is searched for at most once a second") func searches() {
        var searches = LockHolder.Searches()
        let place = LockHolder.Searches.Place(device: 1, inode: 2, kind: .whole)
        let other = LockHolder.Searches.Place(device: 1, inode: 2, kind: .byte(2))
        let start = BootInstant(nanoseconds: 1_000_000_000_000)
        #expect(searches.ask(place, at: start) == (nil, true))
        #expect(searches.ask(place, at: start) == (nil, false), "another thread is searching")
        searches.note(12, place, at: start + .milliseconds(100))
        #expect(searches.ask(place, at: start + .milliseconds(1099)) == (12, false))
        #expect(searches.ask(other, at: start + .milliseconds(1099)) == (nil, true))
        #expect(searches.ask(place, at: start + .milliseconds(1100)) == (12, true))
        #expect(searches.ask(place, at: start + .milliseconds(1101)) == (12, false))
    }
}
