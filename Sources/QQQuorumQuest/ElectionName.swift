import QQCore

/// The pair by which Quorum Quest identifies an election, written `SERVICE[/DOMAIN]`.
struct ElectionName: Sendable, Hashable {
    /// The domain of names that have none.
    static let defaultDomain = "production"

    var service: String
    var domain: String

    /// - Throws: `CoordinationError` of kind `.usage`. The server would accept every name. But an empty name identifies nothing, and the
    ///   server joins both parts with a `:`, so a name with a `:` could be another election's.
    init(_ name: String) throws(CoordinationError) {
        func refused(_ reason: String) -> CoordinationError {
            CoordinationError(
                .usage, "'\(Printable.text(name))' cannot be the name of an election", because: reason,
                hint: "write SERVICE or SERVICE/DOMAIN; the domain is \(Self.defaultDomain) if none is given")
        }
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2 else { throw refused("it has more than one /") }
        guard !parts.contains("") else { throw refused(parts.count == 1 ? "it is empty" : "a part of it is empty") }
        guard !name.contains(":") else { throw refused("it has a :, which Quorum Quest puts between service and domain") }
        guard name.utf8.count <= 256, !name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else {
            throw refused("a name has at most 256 bytes, and no control characters")
        }
        service = String(parts[0])
        domain = parts.count == 2 ? String(parts[1]) : Self.defaultDomain
    }
}

// A slot is a service of its own in the domain of the name.
extension QuorumQuestCoordinator {
    public func name(of slot: Slot) -> String {
        var parts = slot.election.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        parts[0] = Slot(slot.number, of: slot.count, election: parts[0]).name
        return parts.joined(separator: "/")
    }

    public func slot(named name: String) -> Slot? {
        let parts = name.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard var slot = parts.first.flatMap({ Slot(name: $0) }) else { return nil }
        slot.election = ([slot.election[...]] + parts.dropFirst()).joined(separator: "/")
        return slot
    }
}
