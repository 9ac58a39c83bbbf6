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

    /// Where strangers lock, and how much of the file: 0 for all that follows.
    private static let places: [(Int64, Int64)] = [
        (0, 0), (TermLivenessLock.firstByte, 1), (TermLivenessLock.firstByte, 0), (TermLivenessLock.firstByte + 1, 2),
        (TermLivenessLock.firstByte + 2, 1),
        (TermLivenessLock.firstByte + 7, 1), (TermLivenessLock.firstByte + 1, TermLivenessLock.firstHolderByte),
        (TermLivenessLock.firstByte - 5, 6),
    ]

    @Test("that is no term's stands in the way and is named", arguments: [CInt(F_RDLCK), CInt(F_WRLCK)], places)
    func stranger(type: CInt, place: (first: Int64, length: Int64)) async throws {
        // A reading lock is in the way of a term's own alone.
        if type == CInt(F_RDLCK), place.length == 1 || place.length == 6 { return }
        let folder = TemporaryFolder()
        let coordinator = try folder.coordinator()
        let grant = try await coordinator.get(ask("a")).grant
        _ = try await coordinator.release(grant)
        let side = open(folder.file(".backup.lock"), type == CInt(F_RDLCK) ? O_RDONLY : O_RDWR)
        defer { close(side) }
        #expect(qq_ofd_lock(side, type, place.first, place.length) == 0)
        let error = await failure { _ = try await coordinator.acquire(ask("b", livenessLock: true)) }
        #expect(error?.kind == .unavailable)
        #expect(error?.reason.hasPrefix("process \(getpid()) (") == true, "\(error?.reason ?? "")")
        #expect(error?.reason.hasSuffix(" has locked its file without holding a term") == true)
        #expect(try await coordinator.read("backup").phase == .free)
    }

    @Test("that is no term's does not hide that of work", arguments: places.filter { $0 != (TermLivenessLock.firstByte + 2, 1) })
    func besideWork(place: (first: Int64, length: Int64)) async throws {
        let folder = TemporaryFolder()
        let coordinator = try folder.coordinator()
        _ = try await coordinator.release(try await coordinator.get(ask("z")).grant)
        _ = try await coordinator.release(try await coordinator.get(ask("z")).grant)
        // Its token is 3.
        let held = try await coordinator.get(ask("a", livenessLock: true))
        let side = open(folder.file(".backup.lock"), O_RDWR)
        defer { close(side) }
        // Locks that would lie on that of work as well end before it.
        let work = TermLivenessLock.firstByte + 3
        let end = place.length == 0 ? Int64.max : place.first + place.length
        let isOver = place.first <= work && work < end
        #expect(qq_ofd_lock(side, CInt(F_WRLCK), place.first, isOver ? work - place.first : place.length) == 0)
        // And one behind it.
        #expect(qq_ofd_lock(side, CInt(F_WRLCK), work + 1, 0) == 0)
        #expect(try await coordinator.blocker(of: ask("b", livenessLock: true)).leader == "a")
        guard case .renewed = try await coordinator.renew(held.grant) else {
            Issue.record("a stranger's lock has ended a term")
            return
        }
        // A foreign writer takes the record away, and with it the token that is looked for first.
        for text in ["{\"holder\": \"go\", \"renewTime\": \"2026-01-01T00:00:00Z\"}", ""] {
            try folder.write(text, to: "backup.json")
            _ = try await coordinator.blocker(of: ask("b", livenessLock: true))
        }
        held.livenessLock?.close()
        try await eventually("the work's end") { try await coordinator.read("backup").phase != .held }
        #expect(await failure { _ = try await coordinator.acquire(ask("b", livenessLock: true)) }?.kind == .unavailable)
        #expect(await failure { _ = try await coordinator.acquire(ask("b")) }?.kind == .unavailable, "without a lock of our own, too")
    }

    @Test func ofStrangersInGreatNumberGrantNothing() async throws {
        let folder = TemporaryFolder()
        let coordinator = try folder.coordinator()
        _ = try await coordinator.release(try await coordinator.get(ask("a")).grant)
        let side = open(folder.file(".backup.lock"), O_RDWR)
        defer { close(side) }
        for number in 1...200 { #expect(qq_ofd_lock(side, CInt(F_WRLCK), TermLivenessLock.firstByte + 10 * Int64(number), 1) == 0) }
        #expect(await failure { _ = try await coordinator.acquire(ask("b", livenessLock: true)) }?.kind == .unavailable)
    }

    @Test func isSearchedForAtMostOnceInASecond() {
        var searches = LockHolder.Searches()
        let place = LockHolder.Searches.Place(device: 1, inode: 2, kind: .whole)
        let other = LockHolder.Searches.Place(device: 1, inode: 2, kind: .byte(2))
        let start = BootInstant(nanoseconds: 1_000_000_000_000)
        #expect(searches.ask(place, at: start) == (nil, true))
        #expect(searches.ask(place, at: start) == (nil, false), "another thread is at it")
        searches.note(12, place, at: start + .milliseconds(100))
        #expect(searches.ask(place, at: start + .milliseconds(1099)) == (12, false))
        #expect(searches.ask(other, at: start + .milliseconds(1099)) == (nil, true))
        #expect(searches.ask(place, at: start + .milliseconds(1100)) == (12, true))
        #expect(searches.ask(place, at: start + .milliseconds(1101)) == (12, false))
    }
}
