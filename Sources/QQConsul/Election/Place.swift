import QQCore

/// All that the state of an election depends on, at one moment.
struct Place: Sendable, Hashable {
    /// The key of the election; nil if there is none.
    var entry: KeyEntry?
    /// The request to its holder to step down.
    var request: KeyEntry?
    /// The semaphore that a slot belongs to; nil for an election that is none.
    var semaphore: Semaphore?

    init(_ entry: KeyEntry?) { self.entry = entry }

    /// - Parameter entries: all keys that decide, and perhaps others.
    init(_ name: String, _ naming: KeyNaming, entries: [KeyEntry]) {
        let key = naming.key(name)
        entry = entries.first { $0.key == key }
        request = entries.first { $0.key == KeyNaming.request(of: key) }
        semaphore = naming.slot(name).map { Semaphore($0.election, naming, entries: entries) }
    }

    /// Whether the session holds the election. One that `.lock` no longer names does not hold its slot, even if it locks the key.
    func isHeld(by session: String) -> Bool {
        entry?.session == session && semaphore?.holders.contains(session) ?? true
    }
}

extension ConsulCoordinator {
    /// Reads what decides about an election, after the leader has asked its peers whether it still leads.
    func look(_ name: String, within limit: Duration) async throws(ConsulFailure) -> Place {
        guard let slot = naming.slot(name) else { return Place(try await calls.entry(naming.key(name), within: limit)) }
        return Place(name, naming, entries: try await calls.entries(below: naming.semaphore(slot.election), within: limit))
    }

    /// The flags of an election's key.
    /// - Parameter entry: the key as it is.
    func flags(_ name: String, over entry: KeyEntry?) -> UInt64 {
        if naming.slot(name) != nil { return ConsulRules.semaphoreFlags }
        return naming.isLock ? ConsulRules.lockFlags : entry?.flags ?? 0
    }
}
