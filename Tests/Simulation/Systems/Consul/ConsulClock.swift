import QQCore

/// The clock of the cluster's leader, which counts the time of sessions. It goes on evenly when another server leads.
final class ConsulClock: LeaseClock, @unchecked Sendable {
    // Used on the world's thread only.
    private var leader: Host
    /// By how much it is ahead of the leader's boot clock.
    private var ahead: Int64 = 0

    init(_ leader: Host) { self.leader = leader }

    func now() -> BootInstant { BootInstant(nanoseconds: UInt64(max(0, Int64(leader.boot.nanoseconds) + ahead))) }

    func sleep(until deadline: BootInstant) async throws { throw CancellationError() }

    func follow(_ host: Host) {
        ahead += Int64(leader.boot.nanoseconds) - Int64(host.boot.nanoseconds)
        leader = host
    }

    /// What the leader's boot clock shows at a moment of this clock.
    func boot(at instant: BootInstant) -> BootInstant {
        BootInstant(nanoseconds: UInt64(max(0, Int64(clamping: instant.nanoseconds) - ahead)))
    }
}
