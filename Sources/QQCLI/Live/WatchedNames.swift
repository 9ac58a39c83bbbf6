import QQCore

/// The names that `watch` follows, and their last states. A name that several holders share is followed slot by slot, and shown as one. Pure.
struct WatchedNames: Sendable {
    private struct Watched: Sendable {
        /// The names of the elections: the name itself, or those of its slots.
        var elections: [String]
        var hasSlots: Bool
        /// The last states of the elections; nil before the first read.
        var states: [ElectionState?]
        var readAt: [BootInstant]

        init(elections: [String], hasSlots: Bool) {
            (self.elections, self.hasSlots) = (elections, hasSlots)
            states = elections.map { _ in nil }
            readAt = elections.map { _ in .distantFuture }
        }
    }

    /// What a state that was read means for a name.
    struct Seen: Sendable {
        /// The state of the name.
        let state: ElectionState
        /// The slot that was read, from 1 on; nil for a name without slots, and for the first state of a name.
        let slot: Int?
        /// The last state of that slot, or of the name; nil for the first one.
        let before: ElectionState?
    }

    let names: [String]
    private var watched: [String: Watched]

    init(_ names: [String]) {
        self.names = names
        watched = Dictionary(names.map { ($0, Watched(elections: [$0], hasSlots: false)) }) { first, _ in first }
    }

    /// Follows the slots of a name from now on.
    /// - Parameters:
    ///   - slots: the names of the slots.
    ///   - areNew: whether the slots are known to have had no holders until now, because the state of the name has been shown already.
    mutating func follow(_ slots: [String], of name: String, areNew: Bool = false) {
        var new = Watched(elections: slots, hasSlots: true)
        if areNew { new.states = slots.map { ElectionState(name: $0, phase: .free) } }
        watched[name] = new
    }

    /// The elections to follow, each once.
    var elections: [String] {
        var known: Set<String> = []
        return names.flatMap { watched[$0]?.elections ?? [] }.filter { known.insert($0).inserted }
    }

    /// Whether each name has been read.
    var areRead: Bool { watched.values.allSatisfy { $0.states.allSatisfy { $0 != nil } } }

    /// The names without slots that had no leader when they were read.
    var unled: [String] { names.filter { name in watched[name].map { !$0.hasSlots && $0.states.first??.isLed == false } ?? false } }

    /// The state of a name; nil until it is known.
    func state(of name: String, at now: BootInstant) -> ElectionState? {
        guard let watched = watched[name] else { return nil }
        let states = zip(watched.states, watched.readAt).compactMap { state, readAt -> ElectionState? in
            guard var state else { return nil }
            // Each slot was read at another time.
            if watched.hasSlots { state.remaining = state.remaining.map { max($0 - now.duration(since: readAt), .zero) } }
            return state
        }
        guard states.count == watched.elections.count else { return nil }
        return watched.hasSlots ? ElectionState(name: name, slots: states) : states.first
    }

    /// Takes in the state of an election that was read now.
    /// - Returns: its meaning for each name that the election belongs to. A name with slots has none before all its slots have been read.
    mutating func take(_ state: ElectionState, at now: BootInstant) -> [Seen] {
        names.compactMap { name in
            guard let index = watched[name]?.elections.firstIndex(of: state.name) else { return nil }
            let wasKnown = watched[name]?.states.allSatisfy { $0 != nil } ?? false
            let before = watched[name]?.states[index]
            watched[name]?.states[index] = state
            watched[name]?.readAt[index] = now
            guard let whole = self.state(of: name, at: now) else { return nil }
            guard wasKnown else { return Seen(state: whole, slot: nil, before: nil) }
            return Seen(state: whole, slot: whole.slots.isEmpty ? nil : index + 1, before: before)
        }
    }
}
