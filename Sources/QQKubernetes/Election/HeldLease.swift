import QQCore

/// A lease of this process, and the renewals of it whose outcome is unknown. Pure.
///
/// One request at a time is under way. A renewal without an answer can still be carried out later, but only while the object has the version that it names:
/// any later write of ours with that version makes it fail, and if it is carried out first, the later write fails and the read that follows shows it.
struct HeldLease: Sendable {
    let mark: TermMark
    /// The object as it was after this process's last write, or as it was read since.
    private(set) var object: LeaseObject
    /// The moment before the request whose record a client-go contender sees since then, at the latest; nil if unknown. Contenders count from there: they do not
    /// see a second renewal within one second.
    private(set) var shownSince: BootInstant?
    /// Renewals over the present version that might still be carried out.
    private(set) var unanswered: [Renewal] = []

    struct Renewal: Sendable, Hashable {
        var record: LeaseRecord
        var sentAt: BootInstant
        /// Whether client-go contenders see a difference to the record before.
        var isSeen: Bool
    }

    init(mark: TermMark, object: LeaseObject, shownSince: BootInstant?) {
        self.mark = mark
        self.object = object
        self.shownSince = shownSince
    }

    /// The end of the lease unless it is renewed; nil if unknown.
    var deadline: BootInstant? { shownSince.map { $0 + mark.ttl } }

    /// The next renewal, sent at `now`.
    ///
    /// Contenders do not see a renewal in the same second as the last one. Work is ended when two thirds of the lease are over, which is when the renewal after
    /// that is due. The record therefore asks for one second more with each renewal in one second: that is a difference, too. It happens with TTLs of up to three
    /// seconds, and when a wall clock is set back.
    func renewal(at now: BootInstant, wall: WallTime) -> (object: LeaseObject, Renewal) {
        var record = object.record
        let isLate = shownSince.map { now.duration(since: $0) > mark.ttl / 8 } ?? true
        let isSameSecond = record.renewedAt.map { wall.seconds <= $0.seconds } ?? false
        if isSameSecond, !isLate { record.renewUnseen(at: wall) } else { record.renew(for: mark.seconds, at: wall) }
        let renewal = Renewal(record: record, sentAt: now, isSeen: !record.looksSame(as: object.record))
        var renewed = object
        renewed.write(record)
        return (renewed, renewal)
    }

    mutating func confirm(_ renewal: Renewal, as object: LeaseObject) {
        if renewal.isSeen { shownSince = renewal.sentAt }
        self.object = object
        unanswered = []
    }

    mutating func leaveOpen(_ renewal: Renewal) {
        unanswered = unanswered.suffix(Self.mostUnanswered - 1) + [renewal]
    }

    /// More renewals than fit into a lease. A forgotten one that is carried out makes the lease count as lost.
    private static let mostUnanswered = 64

    enum Finding: Sendable, Hashable {
        /// The lease is this process's; whether a renewal without an answer turned out to be carried out.
        case ours(wasRenewed: Bool)
        case lost
    }

    /// Takes in the object as it was just read; nil if there is none.
    ///
    /// It is ours only with the very record that this process wrote: a label or a request to step down leaves that as it is. Anything else is another process
    /// with the same identity, a change by hand that makes contenders count otherwise, or a store that was set back. An object that was deleted is lost while
    /// its finalizers still keep it: the next contender can lead at the moment at which they are removed.
    mutating func found(_ new: LeaseObject?) -> Finding {
        guard let new, new.uid == object.uid, new.mark?.id == mark.id, !new.isDeleting else { return .lost }
        if let before = object.version, let after = new.version, after < before { return .lost }
        if new.record == object.record {
            if new.resourceVersion != object.resourceVersion { unanswered = [] }
            object = new
            return .ours(wasRenewed: false)
        }
        guard let renewal = unanswered.first(where: { $0.record == new.record }) else { return .lost }
        confirm(renewal, as: new)
        return .ours(wasRenewed: true)
    }
}
