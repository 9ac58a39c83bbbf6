import QQCore

/// A contender of an election.
public struct Contender: Sendable, Hashable {
    public var key: [UInt8]
    /// The lease that the key is named by.
    public var lease: Int64
    /// The lease that the key ends with; 0 for none. Another one than `lease` if something else than the contender has put the key.
    public var boundTo: Int64
    /// As its value has it; nil if that is empty, as for `etcdctl lock`, or no text, or if values were not read.
    public var identity: String?
    /// The contender with the lowest one leads.
    public var createRevision: Int64
    /// The leader's fencing token: the revision of the last write of its key.
    public var modRevision: Int64

    /// The name to show.
    public var shown: String { identity ?? "lease \(LeaseID.text(lease))" }

    /// Whether the key ends with the lease of the contender.
    public var isBound: Bool { boundTo == lease }

    /// Whether no lease ends the key.
    public var isEndless: Bool { boundTo == 0 }

    /// - Returns: nil if the key is not named by a lease: etcdctl waits for such keys below `NAME/`, and never creates them.
    init?(_ key: EtcdKeyValue, of name: String, _ naming: ContenderNaming) {
        guard let lease = naming.lease(ofKey: key.key, in: name) else { return nil }
        (self.key, self.lease, boundTo) = (key.key, lease, key.lease)
        (createRevision, modRevision) = (key.createRevision, key.modRevision)
        identity = Self.identity(key.value)
    }

    /// The identity that a value has; nil if it has none.
    static func identity(_ value: [UInt8]) -> String? {
        guard !value.isEmpty, value.count <= Identity.maximumLength else { return nil }
        return String(validating: value, as: UTF8.self).map(Printable.text)
    }
}

/// The contenders of an election in their order. Pure.
public struct Contenders: Sendable, Hashable {
    /// The leader first.
    public private(set) var all: [Contender]

    /// - Parameter keys: the keys below `NAME/`, in any order. Those that are not named by a lease are left out: etcdctl waits for them, and never creates them.
    public init(_ keys: [EtcdKeyValue], of name: String, _ naming: ContenderNaming) {
        all = keys.compactMap { Contender($0, of: name, naming) }.sorted { ($0.createRevision, $0.lease) < ($1.createRevision, $1.lease) }
    }

    /// Adds the identities that values have, by key.
    mutating func name(by values: [[UInt8]: [UInt8]]) {
        for index in all.indices { if let value = values[all[index].key] { all[index].identity = Contender.identity(value) } }
    }

    public var leader: Contender? { all.first }

    public enum Place: Sendable, Hashable {
        case leads(Contender)
        /// Behind this contender, which is to be watched.
        case waits(behind: Contender, own: Contender)
        /// Has no key any more.
        case absent
    }

    /// The place of the contender with this lease.
    public func place(of lease: Int64) -> Place {
        guard let index = all.firstIndex(where: { $0.lease == lease }) else { return .absent }
        return index == 0 ? .leads(all[0]) : .waits(behind: all[index - 1], own: all[index])
    }
}

/// TTLs of leases, in whole seconds.
public enum LeaseTime {
    /// The longest that a server grants.
    public static let longestGranted: Int64 = 9_000_000_000
    /// The longest that is believed, about 30 years. An end that is assumed too early is harmless, and later ones do not fit into every time.
    static let longestBelieved: Int64 = 1_000_000_000

    /// The whole seconds to request, rounded up.
    public static func seconds(_ ttl: Duration) -> Int64 {
        let (seconds, rest) = ttl.components
        return min(max(rest > 0 && seconds < longestGranted ? seconds + 1 : seconds, 1), longestGranted)
    }

    /// The TTL that a server has granted.
    public static func granted(_ seconds: Int64) -> Duration { .seconds(min(max(seconds, 0), longestBelieved)) }
}
