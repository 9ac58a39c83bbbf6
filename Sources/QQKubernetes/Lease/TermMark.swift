import QQCore

/// The annotations by which the terms of `qq` are told from those of others, written together with the term's first record.
///
/// Other programs keep annotations when they take a lease over, release it or clear it. The mark therefore names the term that it belongs to in full, and
/// counts for that term alone.
struct TermMark: Sendable, Hashable {
    /// New for every attempt to acquire or resume the lease.
    var id: String
    /// The term's fencing token.
    var token: FencingToken?
    /// The holder of the term.
    var identity: String
    /// The record's acquireTime.
    var acquireTime: String
    /// The record's leaseTransitions: anyone who takes the lease over raises it, and anyone who clears it keeps it.
    var transitions: Int32
    /// The TTL in seconds: the holder works for at most this long after its last renewal.
    var seconds: Int32
    /// Whether a process renews the lease and notices requests to step down.
    var isAttended: Bool

    static let key = "qq/term"
    /// The token once more, by itself, for other programs.
    static let tokenKey = "qq/token"
    static let stepDownKey = "qq/step-down"
    /// The holder's note, preceded by the ID of its term.
    static let noteKey = "qq/note"
    static let keys = [key, tokenKey, stepDownKey, noteKey]

    /// - Parameter random: draws a number of 64 bits.
    static func newID(_ random: () -> UInt64 = { .random(in: .min ... .max) }) -> String {
        let digits = (0..<2).map { _ in
            let text = String(random(), radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }
        return digits.joined()
    }

    init(
        id: String = newID(), token: FencingToken?, identity: String, acquireTime: String, transitions: Int32, seconds: Int32,
        isAttended: Bool
    ) {
        self.id = id
        self.token = token
        self.identity = identity
        self.acquireTime = acquireTime
        self.transitions = transitions
        self.seconds = seconds
        self.isAttended = isAttended
    }

    /// Parses an annotation; nil if it is not one of `qq`.
    init?(_ text: String) {
        // The identity is last, because it can contain anything.
        let words = text[...].utf8.split(separator: UInt8(ascii: " "), maxSplits: 6, omittingEmptySubsequences: false)
            .map { String(Substring($0)) }
        guard words.count == 7, words[0].utf8.count == 32, let transitions = Int32(words[3]), transitions >= 0,
            let seconds = Int32(words[4]), seconds > 0, words[5] == "attended" || words[5] == "unattended", !words[6].isEmpty
        else { return nil }
        if words[1] != "-" {
            guard let number = UInt64(words[1]), number > 0 else { return nil }
            token = FencingToken(number)
        }
        (id, acquireTime, identity) = (words[0], words[2], words[6])
        (self.transitions, self.seconds) = (transitions, seconds)
        isAttended = words[5] == "attended"
    }

    var text: String {
        "\(id) \(token.map { "\($0)" } ?? "-") \(acquireTime) \(transitions) \(seconds) \(isAttended ? "attended" : "unattended") \(identity)"
    }

    var ttl: Duration { .seconds(Int64(seconds)) }

    /// Whether the record is of this term.
    func isOf(_ record: LeaseRecord) -> Bool {
        record.holder == identity && record.acquireTime == acquireTime && record.transitions == transitions
    }
}

extension LeaseObject {
    private var anyMark: TermMark? { annotation(TermMark.key).flatMap { TermMark($0) } }

    /// The mark of the present holder's term; nil if that is not `qq`.
    var mark: TermMark? { anyMark.flatMap { $0.isOf(record) ? $0 : nil } }

    /// How long to wait for the holder after its last renewal; nil if it need not be waited for. A `qq` works for as long as its mark says, even if something else
    /// has shortened the record. The record of a `qq` can ask for more, so that client-go sees its renewals.
    var ttl: Duration? {
        guard let mark else { return record.ttl }
        return max(mark.ttl, record.ttl ?? .zero)
    }

    /// The term of a `qq` whose holder was cleared by something else: a `qq` removes its mark with its lease. That `qq` might not have noticed yet.
    ///
    /// A client-go leader that releases without looking, after a `qq` took its lease over, writes a duration of one second, both times alike, and the transitions
    /// of its own, earlier term. Client-go leaders that took the lease over after the `qq` have raised the transitions. Consensus nodes leave them, and have an
    /// acquireTime of their own.
    var clearedMark: TermMark? {
        guard record.holder == nil, let mark = anyMark else { return nil }
        guard let acquireTime = record.acquireTime, acquireTime != mark.acquireTime, record.transitions >= mark.transitions else {
            return mark
        }
        let looksWiped = record.duration == 1 && record.renewTime == acquireTime
        return record.transitions == mark.transitions && looksWiped ? mark : nil
    }

    /// Whether nobody holds the lease, but the mark of this term is still there: that `qq` has not released it.
    func isCleared(_ mark: TermMark) -> Bool { record.holder == nil && anyMark?.id == mark.id }

    /// - Parameter note: the note of the term; nil for none.
    mutating func mark(_ mark: TermMark, note: String? = nil) {
        annotate(TermMark.key, mark.text)
        annotate(TermMark.tokenKey, mark.token.map { "\($0)" })
        annotate(TermMark.stepDownKey, nil)
        annotate(TermMark.noteKey, note.map { "\(mark.id) \($0)" })
    }

    /// The note of the present holder. One that an earlier term has left behind is not.
    var note: String? {
        guard let mark, let text = annotation(TermMark.noteKey) else { return nil }
        let start = Array("\(mark.id) ".utf8)
        return text.utf8.starts(with: start) ? Note.read(String(decoding: text.utf8.dropFirst(start.count), as: UTF8.self)) : nil
    }

    /// The identity that has asked the present holder to step down.
    var stepDownAskedBy: String? {
        guard let text = annotation(TermMark.stepDownKey), let mark else { return nil }
        let words = text[...].utf8.split(separator: UInt8(ascii: " "), maxSplits: 1)
        guard words.count == 2, words[0].elementsEqual(mark.id.utf8) else { return nil }
        return String(Substring(words[1]))
    }

    /// Asks the holder of `mark` to step down.
    mutating func askToStepDown(_ mark: TermMark, by identity: String) { annotate(TermMark.stepDownKey, "\(mark.id) \(identity)") }
}
