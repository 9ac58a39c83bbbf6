/// One of the elections behind a name that several holders share.
///
/// A name with N slots is N elections. Each has a holder, a lease and a token of its own; at most N holders are at work. By default their names
/// are NAME-slot-1-of-N to NAME-slot-N-of-N.
public struct Slot: Sendable, Hashable {
    /// The most slots that a name can have.
    public static let most = 100
    /// The most slots that the names of one list have together; a name beyond that is shown slot by slot.
    static let mostListed = 100_000

    /// The name that all slots share.
    public var election: String
    /// The number of this slot, from 1 to `count`.
    public var number: Int
    /// The number of slots.
    public var count: Int

    public init(_ number: Int, of count: Int, election: String) {
        self.election = election
        self.number = number
        self.count = count
    }

    /// Reads a name of the form NAME-slot-K-of-N; nil if the text has another form.
    public init?(name: some StringProtocol) {
        // Most names are not of a slot, and splitting them would take many times as long.
        guard let last = name.unicodeScalars.last, ("0"..."9").contains(last) else { return nil }
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count > 4, parts[parts.count - 4] == "slot", parts[parts.count - 2] == "of" else { return nil }
        let election = parts.dropLast(4).joined(separator: "-")
        guard let number = Int(parts[parts.count - 3]), let count = Int(parts[parts.count - 1]), !election.isEmpty else { return nil }
        guard (1...Self.most).contains(count), (1...count).contains(number) else { return nil }
        self.init(number, of: count, election: election)
        // One slot has one name: leading zeros and signs make it another election's.
        guard self.name == name else { return nil }
    }

    /// NAME-slot-K-of-N.
    public var name: String { "\(election)-slot-\(number)-of-\(count)" }

    /// All slots of a name, in order.
    public static func all(_ count: Int, of election: String) -> [Slot] {
        (1...max(count, 1)).map { Slot($0, of: count, election: election) }
    }
}
