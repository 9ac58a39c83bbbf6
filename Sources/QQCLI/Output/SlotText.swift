import QQCore

/// Texts about names with slots.
enum SlotText {
    /// The most holders, and the most slots, that a message lists.
    private static let most = 4

    /// The state of a name none of whose slots was granted: `held: all 3 slots are taken (by a, b and c)`.
    /// - Parameter identity: the contender that asked.
    static func sentence(_ state: ElectionState, for identity: String?) -> String {
        let count = state.slots.count
        if state.slots.allSatisfy({ $0.phase == .unknown }) {
            return "not ours; this system does not say who holds its \(plural(count)), if anyone"
        }
        if state.slots.allSatisfy(\.isLed) {
            let taken = count == 1 ? "its only slot is taken" : "all \(count) slots are taken"
            return "held: " + taken + (holders(state).map { " (by \($0))" } ?? "")
        }
        // No lease is in force in some slots, and even so they were refused.
        let slots = state.slots.enumerated().map { "slot \($0 + 1) is \(Rendering.sentence($1, for: identity))" }
        return "not free: " + shortened(slots, joinedBy: "; ")
    }

    /// The holders of the slots: `a, b and c`. Nil if none is known.
    static func holders(_ state: ElectionState) -> String? {
        let holders = state.slots.filter(\.isLed).compactMap(\.leader)
        if holders.isEmpty { return nil }
        if holders.count > most { return shortened(holders, joinedBy: ", ") }
        return Systems.list(holders)
    }

    /// How many slots of a name have holders: `2 of 3 slots`.
    static func held(_ state: ElectionState) -> String {
        (state.slots.contains { $0.phase == .unknown } ? "at least " : "") + "\(state.holdings.count) of \(state.slots.count) slots"
    }

    /// The most holders that a list of leaders names.
    private static let mostLeaders = 8

    /// The leaders of these states: `a, b and c`.
    static func leaders(_ states: [ElectionState]) -> String {
        let names = states.prefix(mostLeaders).map { $0.leader ?? "a command whose lease was removed" }
        return Systems.list(names + (states.count > mostLeaders ? ["\(states.count - mostLeaders) others"] : []))
    }

    private static func plural(_ count: Int) -> String { count == 1 ? "only slot" : "\(count) slots" }

    private static func shortened(_ texts: [String], joinedBy separator: String) -> String {
        texts.prefix(most).joined(separator: separator) + (texts.count > most ? "\(separator)and \(texts.count - most) more" : "")
    }
}

extension ElectionState {
    /// The leader as a field for programs; of a name with several slots, all leaders, separated by commas. Nil if there is none.
    var leaders: String? { slots.count > 1 ? Self.field(holdings.map(\.leader)) : leader }

    /// The token as a field for programs; of a name with several slots, the tokens of `leaders` in their order. Nil if there is none.
    var tokens: String? { slots.count > 1 ? Self.field(holdings.map { $0.token?.description }) : token?.description }

    private static func field(_ values: [String?]) -> String? {
        values.contains { $0 != nil } ? values.map { $0 ?? "-" }.joined(separator: ",") : nil
    }
}
