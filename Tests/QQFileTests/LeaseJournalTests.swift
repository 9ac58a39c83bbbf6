import QQCore
import Testing

@testable import QQFile

/// A lease file and its journal as bytes, changed as `LeaseTransaction.write` changes them, so that a change can be cut short at every byte.
private struct Disk {
    var file: [UInt8]
    /// The slots of the journal, each from its own beginning.
    var slots: [[UInt8]] = [[], []]

    var journal: LeaseJournal? { LeaseJournal.newest(of: slots) }

    /// The content that a reader sees.
    var understood: [UInt8] { journal?.settled(file) ?? file }

    func entry(for new: [UInt8], token: UInt64) -> LeaseJournal {
        LeaseJournal(sequence: (journal?.sequence ?? 0) + 1, token: max(token, journal?.token ?? 0), before: file, after: new)
    }

    static func put(_ bytes: some Collection<UInt8>, into target: inout [UInt8], at offset: Int) {
        if bytes.isEmpty { return }
        if target.count < offset + bytes.count { target += [UInt8](repeating: 0, count: offset + bytes.count - target.count) }
        target.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    }

    mutating func change(to new: [UInt8], token: UInt64) {
        let entry = entry(for: new, token: token)
        Self.put(entry.encoded, into: &slots[entry.slot], at: 0)
        file = new
    }

    /// Every state that a crash in the middle of the change can leave, in order: first those of the journal, then those of the file.
    func crashes(changingTo new: [UInt8], token: UInt64) -> (journal: [Disk], file: [Disk]) {
        let entry = entry(for: new, token: token)
        let encoded = entry.encoded
        let inJournal = (0..<encoded.count).map { cut in
            var disk = self
            Self.put(encoded.prefix(cut), into: &disk.slots[entry.slot], at: 0)
            return disk
        }
        var written = self
        Self.put(encoded, into: &written.slots[entry.slot], at: 0)
        let overwrite = LeaseJournal.overwrite(from: file, to: new)
        let inFile = (0...overwrite.count).map { cut in
            var disk = written
            Self.put(overwrite.prefix(cut), into: &disk.file, at: 0)
            return disk
        }
        return (inJournal, inFile)
    }
}

extension LeaseJournal {
    fileprivate var slot: Int { offset / Self.slotSize }
}

@Suite("A lease journal")
struct LeaseJournalTests {
    private static func record(_ holder: String, seconds: Int64, token: UInt64?, locked: Bool = false) -> [UInt8] {
        var record = LeaseRecord(holder: holder, renewTime: WallTime(seconds: 1_795_260_659 + seconds, nanoseconds: 5))
        record.token = token
        record.isLocked = locked
        if locked { record.ttl = .seconds(15) }
        return record.encoded
    }

    private static let short = record("a", seconds: 0, token: nil)
    private static let equal = record("b", seconds: 1, token: nil)
    private static let long = record("somebody/with/a/long/name", seconds: 2, token: 12, locked: true)
    private static let longer = record("somebody/with/a/longer/name", seconds: 2, token: 123, locked: true)
    private static let contents: [[UInt8]] = [[], short, equal, long]

    @Test("a crash at any byte of a change leaves the old content or the new", arguments: contents, contents)
    func crashes(old: [UInt8], new: [UInt8]) async throws {
        // As the first change, and as the fourth, which overwrites the slot of the second.
        for changesBefore in [0, 3] {
            await Task.yield()
            var disk = Disk(file: changesBefore == 0 ? old : Self.equal)
            for count in 0..<changesBefore { disk.change(to: count == changesBefore - 1 ? old : Self.longer, token: UInt64(count + 1)) }
            let crashes = disk.crashes(changingTo: new, token: 9)
            for (cut, crashed) in crashes.journal.enumerated() {
                guard crashed.understood == old else {
                    Issue.record("crash at byte \(cut) of the journal, after \(changesBefore) changes")
                    return
                }
            }
            for (cut, crashed) in crashes.file.enumerated() {
                guard crashed.understood == (cut == 0 ? old : new) || crashed.understood == old && crashed.file == old else {
                    Issue.record(
                        "crash at byte \(cut) of the file, after \(changesBefore) changes: \(String(decoding: crashed.understood, as: UTF8.self))"
                    )
                    return
                }
                _ = try LeaseRecord(parsing: crashed.understood)
            }
        }
    }

    @Test("a second crash while a half-changed file is overwritten leaves no mixture") func secondCrash() {
        let disk = Disk(file: Self.long)
        for (cut, crashed) in disk.crashes(changingTo: Self.short, token: 1).file.enumerated() where cut % 7 == 0 {
            for again in crashed.crashes(changingTo: Self.longer, token: 2).file {
                let understood = again.understood
                guard understood == Self.longer || understood == crashed.understood || understood == crashed.file else {
                    Issue.record("a mixture of a mixture: \(String(decoding: understood, as: UTF8.self))")
                    return
                }
            }
        }
    }

    @Test("the fencing token survives a crash at any byte", arguments: contents)
    func token(new: [UInt8]) {
        var disk = Disk(file: Self.short)
        disk.change(to: Self.long, token: 41)
        disk.change(to: Self.equal, token: 42)
        let crashes = disk.crashes(changingTo: new, token: 43)
        // The last bytes of an entry might already be in place.
        #expect(crashes.journal.allSatisfy { $0.journal?.token == 42 || $0.journal?.token == 43 })
        #expect(crashes.file.allSatisfy { $0.journal?.token == 43 })
    }

    @Test(
        "content that another program wrote after the journal entry counts",
        arguments: [[], short, equal, longer, Array("{}".utf8), Array("rubbish".utf8), Array("{".utf8) + long])
    func foreign(content: [UInt8]) {
        var disk = Disk(file: Self.short)
        disk.change(to: Self.long, token: 7)
        disk.file = content
        #expect(disk.understood == content)
        #expect(disk.journal?.token == 7)
    }

    @Test("a journal with a corrupt slot is read from the other one") func corruptSlot() {
        var disk = Disk(file: Self.short)
        disk.change(to: Self.long, token: 7)
        disk.change(to: Self.equal, token: 8)
        let newest = disk.journal
        #expect(newest?.token == 8)
        for byte in stride(from: 0, to: (newest?.encoded.count ?? 0), by: 3) {
            var corrupt = disk
            corrupt.slots[newest?.slot ?? 0][byte] ^= 0x04
            #expect(corrupt.journal?.token == 7)
            #expect(corrupt.understood == Self.equal)
        }
    }

    @Test("a journal with two corrupt slots is ignored") func corruptSlots() {
        var disk = Disk(file: Self.short)
        disk.change(to: Self.long, token: 7)
        disk.change(to: Self.equal, token: 8)
        disk.slots = disk.slots.map { $0.map { $0 ^ 1 } }
        #expect(disk.journal == nil)
        #expect(disk.understood == Self.equal)
    }

    @Test(
        "text that is not a journal entry is not read as one",
        arguments: [
            "", "\n", "qq-lease-journal 1\n", "qq-lease-journal 2 sequence=1 token=1 before=0 after=0 sum=1\n",
            "qq-lease-journal 1 sequence=1 token=1 before=99999999999 after=99999999999 sum=1\n",
            "qq-lease-journal 1 sequence=18446744073709551616 token=1 before=0 after=0 sum=1\n",
            "qq-lease-journal 1 sequence=1 token=1 before=16384 after=16384 sum=1\n", String(repeating: "x", count: 70_000),
        ])
    func garbage(text: String) {
        #expect(LeaseJournal(slot: Array(text.utf8)) == nil)
    }

    @Test("a journal entry for the largest files fits its slot") func largestFiles() {
        let large = [UInt8](repeating: UInt8(ascii: "x"), count: LeaseJournal.largestLeaseFile)
        let entry = LeaseJournal(sequence: .max - 1, token: LeaseRecord.largestToken, before: large, after: large)
        #expect(entry.encoded.count <= LeaseJournal.slotSize)
        #expect(LeaseJournal(slot: entry.encoded) == entry)
    }
}
