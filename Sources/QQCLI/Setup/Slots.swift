import QQCore
import QQGuard

// `--slots N`: N elections behind one name. A lease session campaigns for the name, and its grant names the slot.
extension Setup {
    /// The number of slots; nil without `--slots`.
    var slots: Int? { invocation[Flags.slots] }

    /// What lease sessions campaign with.
    func contender() -> any Campaigning {
        slots.map { SlotContender(coordinator, count: $0, clock: loop, executor: loop) } ?? coordinator
    }

    /// The slot that a grant of a name is of; nil if it is of the election with this name.
    func slot(of grant: Grant, as name: String) -> Slot? {
        guard grant.name != name, let slot = coordinator.slot(named: grant.name), slot.election == name else { return nil }
        return slot
    }

    /// A name in messages: `web`, or `web (slot 2 of 3)`.
    func title(_ name: String, _ grant: Grant?) -> String { name + (grant.flatMap { slot(of: $0, as: name) }?.inBrackets ?? "") }

    /// The variables of the command and of hooks under a grant.
    func variables(_ grant: Grant, as name: String, event: HookEvent) -> [(name: String, value: String)] {
        let slot = self.slot(of: grant, as: name)
        var variables = leaseVariables(grant, at: server, event: event)
        guard let slot else {
            // That of an outer command with slots is not about this election.
            return filledVariable(Self.slotVariable) == nil ? variables : variables + [(Self.slotVariable, "")]
        }
        if let index = variables.firstIndex(where: { $0.name == Self.nameVariable }) { variables[index].value = name }
        return variables + [(Self.slotVariable, String(slot.number))]
    }

    static let nameVariable = "QQ_NAME"
    static let slotVariable = "QQ_SLOT"
    static let identityVariable = "QQ_ID"

    // MARK: Saved grants

    /// The saved grant of a slot of a name: the one that the variables QQ_NAME, QQ_SLOT and QQ_ID mean, or none if that is not saved; without these variables
    /// the only one that an `acquire` has left held, else the only one. Without `--slots`, slots of any number count.
    /// - Parameter isToContinue: whether the grant is to be continued: it then must not be held by a running `qq`, and the first of several is taken.
    /// - Throws: `CoordinationError` of kind `.usage` if several are meant.
    func savedSlot(of name: String, isToContinue: Bool = false) throws(CoordinationError) -> Grant? {
        let store = GrantStore()
        var saved: [(slot: Slot, grant: Grant, isFree: Bool)] = []
        for other in store.names(at: server) {
            guard let slot = coordinator.slot(named: other), slot.election == name, slot.count == slots ?? slot.count,
                let grant = try store.load(name: other, server: server)
            else { continue }
            saved.append((slot, grant, !store.isKept(grant, server: server)))
        }
        if isToContinue { saved = saved.filter(\.isFree) }
        saved.sort { $0.slot.number < $1.slot.number }
        if filledVariable(Self.nameVariable) == name, let number = filledVariable(Self.slotVariable).flatMap({ Int($0) }) {
            // That one or none: the others are of scripts that might work under them, and so is a later grant of this slot, which has another identity.
            let identity = filledVariable(Self.identityVariable)
            return saved.first { $0.slot.number == number && (identity ?? $0.grant.identity) == $0.grant.identity }?.grant
        }
        let left = saved.filter { $0.isFree && loop.now() < $0.grant.deadline }
        let candidates = left.isEmpty ? saved : left
        if candidates.count < 2 || isToContinue { return candidates.first?.grant }
        let which = candidates.map { Printable.text($0.grant.name) }
        throw CoordinationError(
            .usage, "cannot tell which slot of \(Printable.text(name)) is meant",
            because: "grants of several are saved: \(which.joined(separator: ", "))", at: server.description,
            hint: "name one of them in place of \(Printable.text(name)), or set QQ_NAME and QQ_SLOT as 'acquire --format shell' does")
    }

    /// With `--slots`, `--id` and possibly `--token`: the slot that this identity holds; nil if it holds none.
    /// - Throws: `CoordinationError` of kind `.usage` if it holds several.
    func heldSlot(of name: String, _ slots: Int, by identity: String) async throws(CoordinationError) -> Grant? {
        try coordinator.capabilities.require(.readLeader, for: "find the slot that \(Printable.text(identity)) holds", at: server)
        var found: [Grant] = []
        for slot in Slot.all(slots, of: name) {
            let election = coordinator.name(of: slot)
            let state = try await retrying { () throws(CoordinationError) in try await coordinator.read(election) }
            guard state.isLed, state.leader == identity, let grant = try await grant(of: election, by: identity),
                state.token == grant.token
            else { continue }
            found.append(grant)
        }
        guard found.count > 1 else { return found.first }
        throw CoordinationError(
            .usage, "cannot tell which slot of \(Printable.text(name)) is meant",
            because: "\(Printable.text(identity)) holds several: \(found.map { Printable.text($0.name) }.joined(separator: ", "))",
            at: server.description, hint: "name one of them in place of \(Printable.text(name)), or give its --token")
    }
}

extension Slot {
    /// ` (slot 2 of 3)`, to follow the name.
    var inBrackets: String { " (slot \(number) of \(count))" }
}
