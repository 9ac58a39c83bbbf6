/// The leases of a Quorum Quest store, and the effect of each command on them: no clock, no network. Times are nanoseconds on the store's clock. Leases
/// expire promptly, as in Redis.
public struct QuorumQuestTable: Sendable {
    public enum Command: Sendable {
        /// TTLs are in seconds, as on the wire.
        case acquire(ttl: Int32)
        case keepAlive(ttl: Int32)
        case release
    }

    public struct Lease: Sendable {
        public var holder: String
        public var end: Int64

        public init(holder: String, end: Int64) {
            self.holder = holder
            self.end = end
        }
    }

    private var leases: [String: Lease] = [:]

    public init() {}

    /// The key as the server forms it. Names with a `:` can therefore collide.
    public static func key(_ service: String, _ domain: String) -> String { "\(service):\(domain)" }

    public mutating func lease(_ key: String, at now: Int64) -> Lease? {
        if let lease = leases[key], lease.end <= now { leases[key] = nil }
        return leases[key]
    }

    /// Writes a lease, whoever holds it.
    public mutating func write(_ key: String, _ lease: Lease?) { leases[key] = lease }

    /// - Returns: whether the command succeeded.
    public mutating func perform(_ command: Command, _ key: String, _ id: String, at now: Int64) -> Bool {
        let holder = lease(key, at: now)?.holder
        switch command {
        case .acquire(let ttl):
            guard holder == nil || holder == id else { return false }
            leases[key] = Lease(holder: id, end: now + Int64(ttl) * 1_000_000_000)
        case .keepAlive(let ttl):
            guard holder == id else { return false }
            leases[key]?.end = now + Int64(ttl) * 1_000_000_000
        case .release:
            guard holder == id else { return false }
            leases[key] = nil
        }
        return true
    }
}
