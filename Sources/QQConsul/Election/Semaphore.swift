import QQCore

/// A semaphore as `consul lock -n` keeps it below a prefix, at one moment (`api/semaphore.go` of its source). Pure.
///
/// - `.lock` has the limit and the sessions of all holders. It is written only by compare-and-set, so that each holder has counted all others.
/// - A contender has the key `SESSION-ID`, locked by its session. A holder none of whose sessions locks a key of the prefix is dead, and no longer counts.
/// - A slot of `qq` has the key `.slot-K-of-N` besides, locked by the holder's session. Consul itself thus gives a number to one holder, and the lock-delay
///   of that session keeps the next one out, which nothing does in `.lock`. A release deletes the key: one that exists and is free has had a holder whose
///   session was ended, and counts as held until it is known to be past its lock-delay.
/// - `consul lock -n` knows no lock-delay. Whoever ends the session of a holder by force first puts a *stand-in* into its place in `.lock`: a contender of
///   another session, under which nothing works, whose value names the slot.
struct Semaphore: Sendable, Hashable {
    /// What is wrong with `.lock`.
    enum Damage: Sendable, Hashable {
        case isLock
        case isOther
        case isUnreadable
    }

    /// The key of a slot.
    struct SlotKey: Sendable, Hashable {
        var slot: Slot
        var entry: KeyEntry
    }

    /// The beginning of all its keys.
    let prefix: String
    /// `.lock`; nil if there is none.
    let lock: KeyEntry?
    let damage: Damage?
    /// The limit in `.lock`; nil without one.
    let limit: Int?
    /// The sessions that `.lock` names, sorted.
    let holders: [String]
    /// The sessions that lock any key of the prefix.
    let alive: Set<String>
    let slots: [SlotKey]
    /// By session.
    let contenders: [String: KeyEntry]
    /// Keys of contenders whose sessions have ended.
    let stale: [KeyEntry]
    /// The slots whose last holders these sessions stand in for.
    let standIns: [String: Slot]

    /// - Parameters:
    ///   - election: the name that the slots share.
    ///   - entries: all keys of the prefix.
    init(_ election: String, _ naming: KeyNaming, entries: [KeyEntry]) {
        let prefix = naming.semaphore(election)
        let lockKey = naming.lockKey(election)
        self.prefix = prefix
        let lock = entries.first { $0.key == lockKey }
        self.lock = lock
        (damage, limit, holders) = Self.decoded(lock)
        alive = Set(entries.compactMap(\.session))
        slots = entries.compactMap { entry in
            naming.slot(ofKey: entry.key).flatMap { $0.election == election ? SlotKey(slot: $0, entry: entry) : nil }
        }
        var contenders: [String: KeyEntry] = [:]
        var stale: [KeyEntry] = []
        for entry in entries where entry.flags == ConsulRules.semaphoreFlags && entry.key.hasPrefix(prefix) {
            let id = String(entry.key.dropFirst(prefix.count))
            guard Self.isSession(id) else { continue }
            if entry.session == id { contenders[id] = entry } else if entry.session == nil { stale.append(entry) }
        }
        (self.contenders, self.stale) = (contenders, stale)
        let numbered = Set(slots.compactMap(\.entry.session))
        standIns = contenders.filter { !numbered.contains($0.key) }.compactMapValues { Self.slot(ofStandIn: $0) }
    }

    private static func decoded(_ lock: KeyEntry?) -> (Damage?, Int?, [String]) {
        guard let lock else { return (nil, nil, []) }
        guard lock.flags == ConsulRules.semaphoreFlags else { return (lock.flags == ConsulRules.lockFlags ? .isLock : .isOther, nil, []) }
        if lock.value.isEmpty { return (nil, nil, []) }
        guard let value = try? JSONValue.parse(lock.value), let limit = value["Limit"]?.int64Value.flatMap({ Int(exactly: $0) }), limit > 0
        else { return (.isUnreadable, nil, []) }
        switch value["Holders"] {
        case nil, .null?: return (nil, limit, [])
        case .object(let holders)?: return (nil, limit, holders.members.map(\.name).sorted())
        default: return (.isUnreadable, nil, [])
        }
    }

    // MARK: Stand-ins

    private static let standsIn = ("(ending ", ")")
    private static let beside = "beside "

    /// The value of the key of a stand-in.
    /// - Parameter isNumbered: whether its holder had the key of the slot, and was not only shown there.
    static func standIn(_ slot: Slot, isNumbered: Bool) -> String { standsIn.0 + (isNumbered ? "" : beside) + slot.name + standsIn.1 }

    private static func slot(ofStandIn entry: KeyEntry) -> Slot? {
        guard let text = entry.text, text.hasPrefix(standsIn.0), text.hasSuffix(standsIn.1) else { return nil }
        let name = text.dropFirst(standsIn.0.count).dropLast(standsIn.1.count)
        return Slot(name: name.hasPrefix(beside) ? name.dropFirst(beside.count) : name)
    }

    /// Whether the slot's key, which is free and counts itself, makes the stand-in count no more. Where the holder had no number, that key counts for
    /// another one.
    private func isReplaced(_ session: String) -> Bool {
        guard let slot = standIns[session], contenders[session]?.text == Self.standIn(slot, isNumbered: true), let entry = entry(of: slot)
        else { return false }
        return entry.session == nil
    }

    /// Whether a part of a key is the ID of a session.
    private static func isSession(_ text: String) -> Bool {
        text.utf8.count == 36 && text.utf8.allSatisfy { $0 == UInt8(ascii: "-") || Character(UnicodeScalar($0)).isHexDigit }
    }

    // MARK: Holders

    /// The holders that live.
    var living: [String] { holders.filter(alive.contains) }

    /// The key of a slot; nil if there is none.
    func entry(of slot: Slot) -> KeyEntry? { slots.first { $0.slot == slot }?.entry }

    /// The sessions that count as holders: those of `.lock`, and those that lock a slot although `.lock` does not name them any more.
    private func counted(without own: String?) -> Set<String> {
        var found = Set(living)
        found.formUnion(slots.compactMap(\.entry.session))
        if let own { found.remove(own) }
        return found.filter { !isReplaced($0) }
    }

    /// Living holders without a slot, which `consul lock -n` has made. Each is shown at one of the numbers that are left, from the last one down: at those
    /// within a lock-delay only if there are no others.
    func foreign(at slot: Slot) -> String? {
        let own = Set(slots.filter { $0.slot.count == slot.count }.compactMap(\.entry.session))
        let foreign = living.filter { !own.contains($0) && !isReplaced($0) }
        let numbers = (1...slot.count).reversed()
        let free = numbers.filter { number in entry(of: Slot(number, of: slot.count, election: slot.election)) == nil }
        let unclean = numbers.filter { number in
            entry(of: Slot(number, of: slot.count, election: slot.election)).map { $0.session == nil } ?? false
        }
        guard let place = (free + unclean).firstIndex(of: slot.number), place < foreign.count else { return nil }
        return foreign[place]
    }

    // MARK: Room

    enum Room: Sendable, Hashable {
        case free
        /// There is room if enough of these keys are past their lock-delay.
        case behind([KeyEntry])
        /// Others hold all slots.
        case full
    }

    /// Whether there is room for a holder of `slot`, whose key has been looked at already.
    /// - Parameters:
    ///   - own: its session, which does not count.
    ///   - delayed: how many of the keys of `.behind` are known to be within their lock-delay; nil if that is not known yet.
    func room(for slot: Slot, without own: String?) -> Room {
        let others = counted(without: own).count
        if others >= slot.count { return .full }
        let unclean = slots.filter { $0.slot != slot && $0.entry.session == nil }.map(\.entry)
        return others + unclean.count < slot.count ? .free : .behind(unclean)
    }

    /// How many of the keys of `.behind` can be within their lock-delay if a holder of `slot` is to have room.
    func mostDelayed(for slot: Slot, without own: String?) -> Int { max(slot.count - 1 - counted(without: own).count, 0) }

    /// The session that keeps others out of `slot`; nil if a request is worthwhile.
    func blocker(of slot: Slot) -> String? {
        if let holder = entry(of: slot)?.session { return holder }
        guard room(for: slot, without: nil) == .full else { return nil }
        return foreign(at: slot) ?? counted(without: nil).min()
    }

    /// Why `slot` cannot be held here; nil if it can.
    func problem(for slot: Slot) -> String? {
        let key = Printable.text(prefix + ".lock")
        switch damage {
        case .isLock?: return "the key \(key) is that of a lock, as consul lock makes them without -n"
        case .isOther?: return "the key \(key) exists, and is not a semaphore: it has other flags than those of consul lock -n"
        case .isUnreadable?: return "the key \(key) is that of a semaphore, and its value is not understood"
        case nil: break
        }
        // Nobody is bound to the limit of holders that are all dead.
        guard let limit, limit != slot.count, !living.isEmpty || !contenders.isEmpty else { return nil }
        return "the semaphore \(Printable.text(String(prefix.dropLast()))) has \(limit) slots, and not \(slot.count)"
    }

    // MARK: Operations

    /// The most keys of dead contenders that one transaction deletes.
    private static let mostStale = 8

    private var lockKey: String { prefix + ".lock" }

    private func text(_ limit: Int, _ holders: [String]) -> [UInt8] {
        JSONWriter.bytes(["Limit": .integer(Int64(limit)), "Holders": .object(JSONObject(holders.map { .init(name: $0, value: true) }))])
    }

    private var cleaning: [ConsulCalls.Operation] { stale.prefix(Self.mostStale).map { .deleteVersion(key: $0.key, $0.modifyIndex) } }

    /// Makes a session the holder of `slot`, unless `.lock` was written since.
    /// - Parameter past: the slots besides this one whose keys were found to be past their lock-delay.
    func entering(_ session: String, identity: String, slot: Slot, past: Set<Slot>) -> [ConsulCalls.Operation] {
        let others = living.filter { id in
            guard let replaced = standIns[id] else { return true }
            return !isReplaced(id) || (replaced != slot && !past.contains(replaced))
        }
        let holders = Set(others).union([session]).sorted()
        return [
            .lock(key: prefix + session, value: Array(identity.utf8), flags: ConsulRules.semaphoreFlags, session: session),
            .compareAndSet(
                key: lockKey, value: text(slot.count, holders), flags: ConsulRules.semaphoreFlags, lock?.modifyIndex ?? 0),
        ] + cleaning
    }

    /// Puts a stand-in into the place of a holder, unless `.lock` was written since; nil if the session is no living holder.
    func replacing(_ session: String, by standIn: String, of slot: Slot) -> [ConsulCalls.Operation]? {
        guard let lock, damage == nil, let limit, living.contains(session) else { return nil }
        let holders = Set(living).subtracting([session]).union([standIn]).sorted()
        let value = Self.standIn(slot, isNumbered: entry(of: slot)?.session == session)
        return [
            .lock(
                key: prefix + standIn, value: Array(value.utf8), flags: ConsulRules.semaphoreFlags, session: standIn),
            .compareAndSet(key: lockKey, value: text(limit, holders), flags: ConsulRules.semaphoreFlags, lock.modifyIndex),
        ]
    }

    /// Makes a session no holder any more, unless `.lock` was written since. The last one deletes `.lock`, as `consul lock -n` does.
    func leaving(_ session: String) -> [ConsulCalls.Operation] {
        let contender: [ConsulCalls.Operation] = contenders[session] == nil ? [] : [.delete(key: prefix + session)]
        guard let lock, damage == nil, let limit, holders.contains(session) else { return contender + cleaning }
        let rest = holders.filter { $0 != session }
        let isLast = !rest.contains(where: alive.contains)
        return contender + [
            isLast
                ? .deleteVersion(key: lockKey, lock.modifyIndex)
                : .compareAndSet(key: lockKey, value: text(limit, rest), flags: ConsulRules.semaphoreFlags, lock.modifyIndex)
        ] + cleaning
    }
}
