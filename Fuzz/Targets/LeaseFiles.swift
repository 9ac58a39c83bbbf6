import QQCore

@testable import QQFile

/// Any bytes as a lease file, as a slot of a journal and as contents that a crash mixes: nothing crashes, a parsed record can be shown,
/// written and parsed again, and an interrupted write ends as the old content or as the new.
func fuzzLeaseFile(_ data: [UInt8]) {
    guard let first = data.first else { return }
    let bytes = Array(data.dropFirst())
    switch first % 4 {
    case 0, 1: checkRecord(bytes)
    case 2: checkSlot(bytes)
    default: checkCut(bytes)
    }
}

private func checkRecord(_ bytes: [UInt8]) {
    guard let record = try? LeaseRecord(parsing: bytes) else { return }
    let encoded = record.encoded
    // The first writing may round a value; the second must not.
    guard let second = try? LeaseRecord(parsing: encoded) else { fail("cannot be read again", encoded) }
    if second.encoded != encoded { fail("is written otherwise: \(String(decoding: second.encoded, as: UTF8.self))", encoded) }
    if second != record { fail("reads as \(second), not as \(record)", encoded) }
    judge(record)
}

/// Decides who can have the lease, without a trap, whatever the file contains, and never with a token that was issued before.
private func judge(_ record: LeaseRecord, highestToken: UInt64 = 1) {
    var shown: Set<ElectionState> = []
    var now = BootInstant(nanoseconds: 0)
    for liveToken in [nil, record.token, 7] {
        for highestToken in [0, record.token ?? highestToken] {
            for bootID in ["this", record.bootID ?? "other"] {
                let moment = LeaseFileRules.Moment(
                    boot: BootInstant(nanoseconds: 3_600_000_000_000), wall: .goZero + .seconds(63_900_000_000), bootID: bootID,
                    isShared: false)
                let rules = LeaseFileRules(record: record, liveToken: liveToken, highestToken: highestToken, moment: moment)
                if let state = try? rules.state(name: "fuzz", ownTTL: .seconds(15)) { shown.insert(state) }
                now = moment.boot
                let request = AcquireRequest(name: "fuzz", identity: "me", ttl: .seconds(15), wantsLivenessLock: true)
                if case .newTerm(let token)? = try? rules.decide(request), token <= max(record.token ?? 0, highestToken) {
                    fail("gives out token \(token) again", record.encoded)
                }
            }
        }
    }
    checkShown(Array(shown), at: now)
}

/// Checks the bytes as they are, and with their correct checksum, which no mutation finds.
private func checkSlot(_ bytes: [UInt8]) {
    let head = bytes.prefix { $0 != UInt8(ascii: "\n") }
    let body = bytes.dropFirst(head.count + 1)
    let summed = head + Array(" sum=\(fnv1a64(Array(head + body)))\n".utf8) + body
    for slot in [bytes, Array(summed)] {
        guard let journal = LeaseJournal(slot: slot) else { continue }
        if LeaseJournal(slot: journal.encoded) != journal { fail("is another journal when written", slot) }
        judge(.nobody, highestToken: journal.token)
    }
}

/// Two contents, separated by a zero byte. The first two bytes are the number of bytes after which the write was interrupted.
private func checkCut(_ bytes: [UInt8]) {
    guard bytes.count >= 2 else { return }
    let contents = bytes.dropFirst(2).split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false).map(Array.init)
    let before = contents[0]
    let after = contents.count > 1 ? contents[1] : []
    let journal = LeaseJournal(sequence: 1, token: 1, before: before, after: after)
    let encoded = journal.encoded
    if LeaseJournal(slot: encoded + [7, 7]) != journal { fail("cannot be read back", encoded) }
    let place = Int(bytes[0]) + 256 * Int(bytes[1])
    let torn = encoded.prefix(place % (encoded.count + 1))
    if torn.count < encoded.count, let read = LeaseJournal(slot: torn) { fail("is taken for whole when torn: \(read)", Array(torn)) }

    let written = LeaseJournal.overwrite(from: before, to: after)
    let cut = place % (written.count + 1)
    let mixture = written.prefix(cut) + before.dropFirst(cut)
    let settled = journal.settled(Array(mixture))
    // If no differing byte was written yet, the file is still the old one.
    let expected = Array(mixture) == before ? before : after
    if settled != expected { fail("cut after \(cut) bytes it settles as \(settled)", encoded) }

    // A content that is not from this write stays as it is, or settles as one of the two contents.
    let foreign = contents.last ?? []
    let answer = journal.settled(foreign)
    if answer != foreign, answer != after, answer != before { fail("settles as a content that was never written: \(answer)", foreign) }
}
