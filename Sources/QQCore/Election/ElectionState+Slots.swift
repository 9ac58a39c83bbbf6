// A name that several holders share: its state is made of the states of its slots.
extension ElectionState {
    /// The state of a name with slots.
    ///
    /// It is held if any slot is held; else unknown if any slot is; else expired if any slot is; else free. The only slot of a name lends it all that is
    /// known. With several slots, leaders, tokens and terms are only in `slots`; the rest of the lease is that of the slot whose lease ends first.
    /// - Parameter slots: the states of all slots in their order, also of the free ones.
    public init(name: String, slots: [ElectionState]) {
        if slots.count == 1, let only = slots.first {
            self = only
            self.name = name
            self.slots = slots
            return
        }
        let phases = Set(slots.map(\.phase))
        self.init(name: name, phase: [.held, .unknown, .expired].first { phases.contains($0) } ?? .free)
        self.slots = slots
        let first = slots.filter { $0.isLed && $0.remaining != nil }.min { ($0.remaining ?? .zero) < ($1.remaining ?? .zero) }
        remaining = first?.remaining
        ttl = first?.ttl
        isOwn = slots.contains { $0.isOwn == true } ? true : slots.allSatisfy { $0.isOwn == nil } ? nil : false
        // A waiter can be in the queue of each slot.
        waiters = slots.compactMap(\.waiters).max()
        stepDownAskedBy = slots.lazy.compactMap(\.stepDownAskedBy).first
        problem = slots.lazy.compactMap(\.problem).first
    }

    /// The elections behind this name that have a leader: the held slots, or this election itself if it has no slots.
    public var holdings: [ElectionState] { slots.isEmpty ? (isLed ? [self] : []) : slots.filter(\.isLed) }

    /// The slots that have a holder, with their numbers, from 1 on.
    public var heldSlots: [(number: Int, state: ElectionState)] {
        slots.enumerated().filter(\.element.isLed).map { ($0.offset + 1, $0.element) }
    }

    /// Numbers of other slots that contenders of this name have given, so that more than one number of holders can be at work. Empty if all agree.
    public var otherSlotCounts: [Int] {
        get { details["other_slots"]?.arrayValue?.compactMap { $0.int64Value.map { Int(clamping: $0) } } ?? [] }
        set { details["other_slots"] = newValue.isEmpty ? nil : .array(newValue.map { .integer(Int64($0)) }) }
    }

    /// Whether `isSame` is true of this and the other state; if they have slots, of each slot.
    func matches(_ other: ElectionState, _ isSame: (ElectionState, ElectionState) -> Bool) -> Bool {
        guard slots.count == other.slots.count else { return false }
        return slots.isEmpty ? isSame(self, other) : zip(slots, other.slots).allSatisfy(isSame)
    }
}

extension ElectionNaming {
    /// The states of a list with one state for each name that has slots, sorted by name. Slots that the list does not have are free. A name with two numbers of
    /// slots has a state for each number.
    public func grouped(_ states: [ElectionState]) -> [ElectionState] {
        var found: [ElectionState] = []
        var groups: [SlotGroup: [Int: ElectionState]] = [:]
        var room = Slot.mostListed
        for state in states {
            guard let slot = slot(named: state.name) else {
                found.append(state)
                continue
            }
            let group = SlotGroup(name: slot.election, count: slot.count)
            if groups[group] == nil {
                guard slot.count <= room else {
                    found.append(state)
                    continue
                }
                room -= slot.count
            }
            groups[group, default: [:]][slot.number] = state
        }
        if groups.isEmpty { return found }
        let counts = Dictionary(grouping: groups.keys, by: \.name).mapValues { $0.map(\.count).sorted() }
        for (group, slots) in groups {
            var state = ElectionState(
                name: group.name,
                slots: Slot.all(group.count, of: group.name).map { slots[$0.number] ?? ElectionState(name: name(of: $0), phase: .free) })
            state.otherSlotCounts = counts[group.name, default: []].filter { $0 != group.count }
            found.append(state)
        }
        return found.sorted { ($0.name, $0.slots.count) < ($1.name, $1.slots.count) }
    }
}

/// A name and its number of slots.
private struct SlotGroup: Hashable {
    let name: String
    let count: Int
}
