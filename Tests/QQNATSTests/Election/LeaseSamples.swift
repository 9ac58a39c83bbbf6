import QQCore

@testable import QQNATS

/// Sample leases. Seconds of age and of clocks count from `start`.
enum LeaseSamples {
    static let start = WallTime(seconds: 1_795_221_400)
    static let bootStart = BootInstant(nanoseconds: 1_000_000_000_000)
    static let termID = "0123456789abcdefghijKL"

    static func moment(_ seconds: Double, wallAhead: Double = 0) -> LeaseEntryRules.Moment {
        LeaseEntryRules.Moment(boot: bootStart + .seconds(seconds), wall: start + .seconds(seconds + wallAhead))
    }

    static func entry(
        _ value: String, revision: UInt64 = 10, key: String = "leader", operation: KeyValueEntry.Operation = .put, id: String? = nil
    ) -> KeyValueEntry {
        KeyValueEntry(
            bucket: "KV_CLUSTER_demo", key: key, value: Array(value.utf8), revision: revision, written: start, operation: operation,
            headers: NATSHeaders(id.map { [.init("Nats-Msg-Id", $0)] } ?? []), pending: nil)
    }

    static func v2(_ node: String = "node-a", epoch: Int64 = 3) -> String {
        #"{"node_id":"\#(node)","epoch":\#(epoch),"acquired_at":1795221400000}"#
    }

    /// A lease acquired at `start` that expires `expires` seconds later by the holder's clock.
    static func v1(_ node: String = "node-a", epoch: Int64 = 3, expires: Double = 3) -> String {
        String(
            decoding: LeaseValue(nodeID: node, epoch: epoch, acquiredAt: start, expiresAt: start + .seconds(expires)).encoded(as: .v1),
            as: UTF8.self)
    }

    /// The rules for an entry that was written and first read at `start`, with leases of three seconds.
    static func rules(
        _ format: LeaseFormat, _ entry: KeyValueEntry?, lastSequence: UInt64 = 10, clock: Bool = true, keepsForEver: Bool = false
    ) -> LeaseEntryRules {
        LeaseEntryRules(
            lease: LeaseEntry(entry, format: format), maxAge: keepsForEver ? nil : format.maxAge(ttl: .seconds(3)),
            lastSequence: lastSequence,
            serverClock: clock ? ServerClock(time: start, readAt: bootStart) : nil, firstSeen: bootStart, ownTTL: .seconds(7))
    }
}
