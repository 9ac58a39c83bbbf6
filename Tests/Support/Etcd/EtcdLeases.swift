import Foundation

/// etcd's leases. Times are nanoseconds of the store's clock.
struct EtcdLeases: Sendable {
    struct Lease: Sendable {
        /// Seconds.
        var ttl: Int64
        var expires: Int64
        var keys: Set<Data> = []
    }

    /// One and a half election time-outs, rounded up to whole seconds.
    static let minimum: Int64 = 2
    static let maximum: Int64 = 9_000_000_000
    /// Interval of the leader's look for expired leases.
    static let interval: Int64 = 500_000_000
    static let electionTimeout: Int64 = 1_000_000_000

    /// In the order in which leases were granted.
    private(set) var ids: [Int64] = []
    private var leases: [Int64: Lease] = [:]
    private var chosen: Int64 = 0x7e57_0000_0000_0000

    subscript(id: Int64) -> Lease? { leases[id] }

    /// Chooses an id, as a server does if the client gives none.
    mutating func choose() -> Int64 {
        repeat { chosen += 1 } while leases[chosen] != nil
        return chosen
    }

    /// Continues the chosen ids after one.
    mutating func skip(toID id: Int64) { chosen = id }

    /// - Returns: the granted TTL in seconds.
    mutating func grant(_ id: Int64, ttl: Int64, at now: Int64) throws(EtcdServerError) -> Int64 {
        if ttl > Self.maximum { throw .leaseTooLong }
        if leases[id] != nil { throw .leaseExists }
        let ttl = max(ttl, Self.minimum)
        leases[id] = Lease(ttl: ttl, expires: now + Self.nanoseconds(ttl))
        ids.append(id)
        return ttl
    }

    /// - Returns: the TTL in seconds; nil for an unknown or expired lease.
    mutating func renew(_ id: Int64, at now: Int64) -> Int64? {
        guard let lease = leases[id], lease.expires > now else { return nil }
        leases[id]?.expires = now + Self.nanoseconds(lease.ttl)
        return lease.ttl
    }

    mutating func remove(_ id: Int64) {
        leases[id] = nil
        ids.removeAll { $0 == id }
    }

    /// A key belongs to the lease of its latest put alone.
    mutating func move(_ key: Data, from old: Int64, to new: Int64) {
        leases[old]?.keys.remove(key)
        leases[new]?.keys.insert(key)
    }

    func expired(at now: Int64) -> [Int64] { ids.filter { (leases[$0]?.expires ?? .max) <= now } }

    /// A new leader gives every lease its whole TTL again and one election time-out.
    mutating func extend(at now: Int64) {
        for id in ids {
            let ttl = leases[id]?.ttl ?? 0
            leases[id]?.expires = now + Self.electionTimeout + Self.nanoseconds(ttl)
        }
    }

    /// Whole seconds that a lease has left.
    func remaining(_ lease: Lease, at now: Int64) -> Int64 { (lease.expires - now) / 1_000_000_000 }

    /// At most a hundred years, so that sums do not overflow: the longest TTL is more nanoseconds than `Int64` has room for.
    private static func nanoseconds(_ seconds: Int64) -> Int64 { min(seconds, 3_153_600_000) * 1_000_000_000 }
}
