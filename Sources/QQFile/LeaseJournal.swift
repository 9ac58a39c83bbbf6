import QQCore

/// The journal of a lease file, in `.NAME.lock`: the largest fencing token given out, and the last change to the lease file, before and after.
///
/// The lease file itself is rewritten in place, as by the Go package, because after a rename other processes would hold the lock of a deleted file. A crash
/// in the middle leaves the first bytes of the new content before the last bytes of the old one. The journal is written first and has both contents, so
/// such a mixture is recognised and completed. Two slots with checksums are written in turn: a crash in the middle of one leaves the other.
struct LeaseJournal: Sendable, Hashable {
    var sequence: UInt64
    var token: UInt64
    var before: [UInt8]
    var after: [UInt8]

    static let slotSize = 64 * 1024
    static let slotCount = 2
    /// Almost every entry fits into this size.
    static let usualSize = 2048
    /// The length of the file with usual entries. Between the slots it is a hole: it occupies a block for each slot, and not its length.
    static let longestFile = UInt(slotSize * (slotCount - 1) + usualSize)
    /// The largest lease file; a slot holds two.
    static let largestLeaseFile = 16 * 1024
    private static let magic = "qq-lease-journal 1"

    /// The offset of this entry's slot.
    var offset: Int { Int(sequence % UInt64(Self.slotCount)) * Self.slotSize }

    private var head: String { "\(Self.magic) sequence=\(sequence) token=\(token) before=\(before.count) after=\(after.count)" }

    /// One line of text that describes the rest, then both contents.
    var encoded: [UInt8] {
        let body = before + after
        let sum = fnv1a64(Array(head.utf8) + body)
        return Array((head + " sum=\(sum)\n").utf8) + body
    }

    /// The entry in a slot; nil if the slot was never written, or not completely.
    init?(slot: some Collection<UInt8>) {
        guard let newline = slot.prefix(256).firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        // Two entries are read for each renewal, so the line is taken as the bytes that it is.
        var line = HeadLine(Array(slot[..<newline]))
        guard line.skip(Self.magic), let sequence = line.number(after: " sequence="), let token = line.number(after: " token="),
            let beforeCount = line.number(after: " before="), let afterCount = line.number(after: " after=")
        else { return nil }
        let head = line.taken
        guard let sum = line.number(after: " sum="), line.isAtEnd else { return nil }
        // Both numbers are incremented later.
        guard sequence < .max, token <= LeaseRecord.largestToken else { return nil }
        guard beforeCount <= UInt64(Self.largestLeaseFile), afterCount <= UInt64(Self.largestLeaseFile) else { return nil }
        let body = slot[slot.index(after: newline)...]
        guard body.count >= Int(beforeCount) + Int(afterCount) else { return nil }
        self.sequence = sequence
        self.token = token
        before = Array(body.prefix(Int(beforeCount)))
        after = Array(body.dropFirst(Int(beforeCount)).prefix(Int(afterCount)))
        guard fnv1a64(head + before + after) == sum else { return nil }
    }

    init(sequence: UInt64, token: UInt64, before: [UInt8], after: [UInt8]) {
        self.sequence = sequence
        self.token = token
        self.before = before
        self.after = after
    }

    /// Whether a slot holds bytes from its start that no `qq` has written: neither an entry nor an incompletely written one.
    static func isForeign(slot: some Collection<UInt8>) -> Bool {
        zip(slot, magic.utf8).contains { $0 != $1 && $0 != 0 }
    }

    /// The newest complete entry.
    static func newest(of slots: [some Collection<UInt8>]) -> LeaseJournal? {
        newest(slots.compactMap { LeaseJournal(slot: $0) })
    }

    static func newest(_ entries: [LeaseJournal]) -> LeaseJournal? { entries.max { $0.sequence < $1.sequence } }

    /// The bytes that are written over the old content in one call: the new content, and spaces up to the old length, which the following truncation removes.
    static func overwrite(from before: [UInt8], to after: [UInt8]) -> [UInt8] {
        after + [UInt8](repeating: UInt8(ascii: " "), count: max(0, before.count - after.count))
    }

    /// The meaning of the lease file's bytes: the bytes themselves, or the new content if our own change was interrupted.
    func settled(_ content: [UInt8]) -> [UInt8] {
        if content == before || content == after { return content }
        let written = Self.overwrite(from: before, to: after)
        if content == written { return after }
        // The first `cut` bytes are new and the rest is old; any `cut` for which this holds is enough.
        let cut = zip(content, written).prefix { $0 == $1 }.count
        guard cut > 0 else { return content }
        if cut == content.count, cut >= before.count { return after }
        let isMixture = content.count == before.count && cut < before.count && content[cut...].elementsEqual(before[cut...])
        return isMixture ? after : content
    }
}

/// The first line of an entry, read from its start.
private struct HeadLine {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The bytes up to the position.
    var taken: [UInt8] { Array(bytes[..<position]) }
    var isAtEnd: Bool { position == bytes.count }

    mutating func skip(_ text: String) -> Bool {
        guard bytes[position...].starts(with: text.utf8) else { return false }
        position += text.utf8.count
        return true
    }

    /// The digits after `text`; nil if there are none, or if they are no number of 64 bits.
    mutating func number(after text: String) -> UInt64? {
        guard skip(text) else { return nil }
        let start = position
        var number: UInt64 = 0
        while position < bytes.count, case let digit = bytes[position], UInt8(ascii: "0")...UInt8(ascii: "9") ~= digit {
            let (tens, isTooLarge) = number.multipliedReportingOverflow(by: 10)
            let (sum, isBeyond) = tens.addingReportingOverflow(UInt64(digit - UInt8(ascii: "0")))
            guard !isTooLarge, !isBeyond else { return nil }
            number = sum
            position += 1
        }
        return position > start ? number : nil
    }
}
