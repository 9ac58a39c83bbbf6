import QQCore

/// One lease as this process has seen it: the newest object, and since when its record is as it is. Pure.
///
/// Nothing that was seen is ever evidence on its own: a write names the version that it replaces, and the server refuses it if that is no longer the newest.
/// A record that is written over was therefore really unchanged since it was first seen, however old the copy is.
struct LeaseHistory: Sendable {
    /// The newest object; nil if there is no such lease.
    private(set) var object: LeaseObject?
    /// When the newest record was first seen, counted from the receipt of the answer: it was written before.
    private(set) var seenAt: BootInstant
    /// When the newest object was received.
    private(set) var notedAt: BootInstant
    /// Whether this process saw the record change. Only then does its own clock show that the holder lives.
    private(set) var hasChanged = false
    /// The end of a term that vanished without a release: its holder might still work.
    private(set) var vanishedUntil: BootInstant?

    init(_ object: LeaseObject?, at now: BootInstant) {
        self.object = object
        (seenAt, notedAt) = (now, now)
    }

    /// Takes in an object that was received at `now`; nil if there is no such lease.
    /// - Parameter own: the terms of this process, which it need not wait for.
    mutating func note(_ new: LeaseObject?, own: Set<String>, at now: BootInstant) {
        notedAt = now
        if isSame(new) {
            object = new
            return
        }
        // Deleted, deleted and made again, set back with the server's whole store, or cleared by something else than its holder: nobody released the lease, and
        // its holder learns of it only with its next request.
        if let object, !continues(object, in: new) || isCleared(object, in: new), let ttl = unreleased(object, own: own) {
            // It can have been renewed until now without having been seen.
            vanishedUntil = max(vanishedUntil ?? now, now + ttl)
        }
        (object, seenAt, hasChanged) = (new, now, true)
    }

    /// Whether an object is older than the newest one, as an event that was under way can be.
    func isOutdated(_ new: LeaseObject) -> Bool {
        guard let object, object.uid == new.uid, let known = object.version, let version = new.version else { return false }
        return version < known
    }

    private func isSame(_ new: LeaseObject?) -> Bool {
        guard let new, let object else { return new == nil && object == nil }
        return object.record == new.record && object.isDeleting == new.isDeleting && object.clearedMark == new.clearedMark
            && continues(object, in: new)
    }

    private func isCleared(_ object: LeaseObject, in new: LeaseObject?) -> Bool { object.mark.map { new?.isCleared($0) ?? false } ?? false }

    private func continues(_ object: LeaseObject, in new: LeaseObject?) -> Bool {
        guard let new, object.uid == new.uid else { return false }
        guard let before = object.version, let after = new.version else { return true }
        return before <= after
    }

    /// The duration of a lease that its holder has not given up; nil for a free one, and for a term of this process.
    private func unreleased(_ object: LeaseObject, own: Set<String>) -> Duration? {
        if let mark = object.mark ?? object.clearedMark {
            return own.contains(mark.id) ? nil : max(mark.ttl, object.record.ttl ?? .zero)
        }
        return object.record.holder == nil ? nil : object.record.ttl
    }

    // MARK: Verdict

    enum Verdict: Sendable, Hashable {
        /// There is no such lease.
        case absent
        /// The lease can be taken by a write over this object.
        case takeable(LeaseObject)
        /// The lease cannot be taken before `until`, even if nothing changes; nil if its end is unknown.
        case refused(Refusal, until: BootInstant?)
    }

    enum Refusal: Sendable, Hashable {
        /// The lease is in force, as far as can be seen.
        case held
        /// The lease has ended by the holder's clock, but not long enough ago to rely on that.
        case unobserved
        /// The last term vanished without a release, and its holder might not have noticed yet.
        case vanished
        /// The object was deleted and waits for its finalizers: whoever takes it can lose it at any moment, and another can lead at the next.
        case deleting
    }

    /// Whether the lease can be taken.
    /// - Parameters:
    ///   - own: the terms of this process under which nothing works.
    ///   - server: the server's time now, if it is known.
    func verdict(at now: BootInstant, wall: WallTime, server: WallTime? = nil, own: OwnTerms = OwnTerms()) -> Verdict {
        if let vanishedUntil, now < vanishedUntil { return .refused(.vanished, until: vanishedUntil) }
        guard let object else { return .absent }
        if object.isDeleting { return .refused(.deleting, until: nil) }
        if own.isLeftover(object) { return .takeable(object) }
        if let cleared = object.clearedMark {
            let end = seenAt + cleared.ttl
            if now >= end || own.ids.contains(cleared.id) || isLongOver(cleared.ttl, wall: wall, server: server) {
                return .takeable(object)
            }
            return .refused(.vanished, until: end)
        }
        // As client-go decides: without a holder or a duration there is nothing to wait for.
        guard object.record.holder != nil, let ttl = object.ttl else { return .takeable(object) }
        let end = seenAt + ttl
        if now >= end || isLongOver(ttl, wall: wall, server: server) { return .takeable(object) }
        return .refused(hasEnded(wall: wall) ? .unobserved : .held, until: end)
    }

    private func hasEnded(wall: WallTime) -> Bool {
        guard !hasChanged, let object, let ttl = object.ttl, let renewedAt = object.record.renewedAt else { return false }
        return wall >= renewedAt + ttl
    }

    /// Whether the lease ended more than one whole lease ago, by the holder's clock, and by the server's if it can be told. The margin is for clocks that differ,
    /// and counts only while this process has not seen the holder renew.
    private func isLongOver(_ ttl: Duration, wall: WallTime, server: WallTime?) -> Bool {
        guard !hasChanged, let object, let renewedAt = object.record.renewedAt, wall > renewedAt + ttl * 2 else { return false }
        // A holder whose clock is slow would pass for dead. The server's own times are whole seconds, cut off.
        guard let server, let writtenAt = object.writtenAt else { return true }
        return server - writtenAt >= ttl + .seconds(1)
    }

    // MARK: State for readers

    /// The state of the election. A lease that this process has seen renewed is judged by its own clock, any other by the times that the holder wrote.
    func state(_ name: String, at now: BootInstant, wall: WallTime) -> ElectionState {
        guard let object else {
            guard let vanishedUntil, now < vanishedUntil else { return ElectionState(name: name, phase: .free) }
            return ElectionState(name: name, phase: .expired)
        }
        var state = object.state(wall: wall)
        if let ttl = object.ttl, state.phase != .free, object.record.holder != nil {
            let left = (seenAt + ttl).duration(since: now)
            if hasChanged {
                state.phase = left > .zero ? .held : .expired
                state.remaining = left > .zero ? left : nil
                state.details["clock"] = "own"
            } else if left <= .zero {
                state.phase = .expired
                state.remaining = nil
            }
        }
        return state
    }
}

extension LeaseObject {
    /// The state of the election as one read shows it. Its lease's end is judged by the holder's clock against ours.
    func state(wall: WallTime) -> ElectionState {
        let record = record
        var state = ElectionState(name: name, phase: .free)
        let cleared = clearedMark
        if let cleared {
            state.phase = .expired
            state.leader = cleared.identity
            state.termID = cleared.id
            state.token = cleared.token
        } else if let holder = record.holder {
            state.leader = holder
            state.ttl = ttl
            state.acquiredAt = record.acquiredAt
            state.renewedAt = record.renewedAt
            // A person who writes another holder with kubectl leaves the rest of the record.
            state.termID = mark?.id ?? "\(record.transitions) \(record.acquireTime ?? "") \(holder)"
            state.token = mark?.token
            state.note = note
            state.stepDownAskedBy = stepDownAskedBy
            state.phase = ttl == nil ? .expired : .held
            if let ttl, let renewedAt = record.renewedAt {
                // A renewal ahead of our clock leaves at most the whole lease.
                let left = min(renewedAt + ttl - wall, ttl)
                state.phase = left > .zero ? .held : .expired
                state.remaining = left > .zero ? left : nil
            }
            state.details["clock"] = "holder"
            if let renewedAt = record.renewedAt { state.details["renewal_age"] = .double(max(wall - renewedAt, .zero).seconds) }
        }
        state.details["transitions"] = .integer(Int64(record.transitions))
        state.revision = version
        if isDeleting { state.details["deleting"] = true }
        if cleared != nil { state.details["cleared"] = true }
        return state
    }
}
