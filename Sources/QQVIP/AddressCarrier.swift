import Glibc
import QQCore
import Synchronization

/// Carries one virtual address while this process leads an election, by doing what `AddressTerm` decides in this network namespace.
///
/// Calls are short and do not wait, so an event handler of a session can make them.
public final class AddressCarrier: Sendable {
    public let address: VirtualAddress
    private let clock: any LeaseClock
    private let route: RouteSocket
    /// nil if the neighbours cannot be notified.
    private let packets: PacketSocket?
    private let claim: AddressClaim?
    private let state: Mutex<State>
    private let moments: AsyncStream<BootInstant>
    private let wake: AsyncStream<BootInstant>.Continuation

    private struct State {
        var term = AddressTerm()
        var isDropped = false
        var isClosed = false
        /// Whether a failed announcement was reported. It is reported once, because each one would fail in the same way.
        var toldOfAnnouncing = false
    }

    /// - Throws: `.usage` if leases are too short for the kernel, which counts in whole seconds, to keep an address from renewal to
    ///   renewal.
    public static func check(ttl: Duration, renewEvery: Duration) throws(CoordinationError) {
        guard !AddressTerm.canKeep(ttl: ttl, renewEvery: renewEvery) else { return }
        throw CoordinationError(
            .usage, "cannot carry an address under a TTL of \(DurationText.format(ttl)) renewed every \(DurationText.format(renewEvery))",
            because: "the kernel needs more time than that to remove the address before the lease ends", at: "--vip",
            hint: "choose a --ttl of at least \(DurationText.format(AddressTerm.shortestTTL)), and leave --renew-every out")
    }

    /// Checks that the address can be carried, and removes it from its interface if an earlier holder left it there.
    /// - Parameter note: called with messages for the user.
    /// - Throws: `.configuration` if there is no such interface, or the address is already elsewhere on this machine; `.denied` without
    ///   CAP_NET_ADMIN; `.unavailable` if another `qq` on this machine carries it.
    public init(_ address: VirtualAddress, clock: any LeaseClock, note: (String) -> Void) throws(CoordinationError) {
        self.address = address
        self.clock = clock
        state = Mutex(State())
        (moments, wake) = AsyncStream.makeStream(of: BootInstant.self)
        route = try Self.reporting(address) { () throws(SystemCallError) in try RouteSocket() }
        let index = try Self.reporting(address) { () throws(SystemCallError) in try RouteSocket.index(of: address.interface) }
        let route = route
        let present = try Self.reporting(address) { () throws(SystemCallError) in try route.addresses(isIPv6: address.isIPv6) }
        try address.checkConflicts(with: present, index: index)
        claim = try AddressClaim.make(address)
        // The kernel checks the permission before it looks for the address, so a missing capability shows here in any case.
        if try Self.reporting(address, { () throws(SystemCallError) in try route.remove(address) }) {
            note("\(address) was already there, left behind by an earlier holder: removed")
        }
        do throws(SystemCallError) { packets = try PacketSocket() } catch {
            packets = nil
            let why = error.code == EPERM ? "this needs the capability CAP_NET_RAW" : error.reason
            note("cannot announce \(address) to the neighbours: \(why)")
        }
    }

    private static func reporting<Value>(
        _ address: VirtualAddress, _ body: () throws(SystemCallError) -> Value
    ) throws(CoordinationError) -> Value {
        do throws(SystemCallError) { return try body() } catch { throw problem(error, with: address) }
    }

    private static func problem(_ error: SystemCallError, with address: VirtualAddress) -> CoordinationError {
        let what = "cannot carry \(address)"
        switch error.code {
        case ENODEV:
            return CoordinationError(
                .configuration, what, because: "there is no interface \(Printable.text(address.interface)) here", at: "--vip",
                hint: "list the interfaces: ip link")
        case EACCES where address.isIPv6:
            return CoordinationError(
                .configuration, what, because: "IPv6 is turned off on \(Printable.text(address.interface))", at: "--vip",
                hint: "see: sysctl net.ipv6.conf.\(Printable.text(address.interface)).disable_ipv6")
        case EPERM, EACCES:
            return CoordinationError(
                .denied, what, because: "changing addresses needs the capability CAP_NET_ADMIN", at: "--vip",
                hint: "run qq as root, or allow it once: setcap cap_net_admin,cap_net_raw+ep \"$(command -v qq)\"")
        default: return CoordinationError(.unavailable, what, because: error.description, at: "--vip")
        }
    }

    /// Handles an event of a lease session.
    public func handle(_ event: SessionEvent) -> [AddressEvent] {
        if state.withLock({ $0.isDropped }) { return [] }
        switch event {
        case .elected(let grant) where grant.ttl < AddressTerm.shortestTTL:
            // The granted lease is shorter than requested.
            let error = CoordinationError(
                .unsupported, "cannot carry \(address)",
                because:
                    "the granted lease lasts \(DurationText.format(grant.ttl)), and at least \(DurationText.format(AddressTerm.shortestTTL)) is needed",
                at: "--vip")
            return [AddressEvent(address: address, what: .failed(error), at: .now())]
        case .elected(let grant): return perform(.elected(until: grant.deadline))
        case .extended(let grant): return perform(.extended(until: grant.deadline))
        case .lost(_, let reason): return perform(.ended("lost: \(reason)"))
        case .released, .releaseFailed: return perform(.ended("released"))
        case .waiting, .retrying, .outage, .outageOver, .stepDownAsked, .notWithdrawn: return []
        }
    }

    /// Removes the address from its interface before the lease is released. It stays away until `resume`, whatever events the session
    /// sends.
    public func drop(_ reason: String) -> [AddressEvent] {
        let events = perform(.ended(reason))
        state.withLock { $0.isDropped = true }
        return events
    }

    /// Handles the events of the next session again.
    public func resume() { state.withLock { $0.isDropped = false } }

    /// Removes the address from its interface for good.
    public func close(_ reason: String) -> [AddressEvent] {
        let events = perform(.ended(reason))
        state.withLock { $0.isClosed = true }
        wake.finish()
        return events
    }

    /// Runs the timers, until `close`.
    /// - Parameter report: called with the events that the timers cause.
    public func run(report: @escaping @Sendable ([AddressEvent]) -> Void) async {
        await withDiscardingTaskGroup { group in
            for await moment in moments {
                group.addTask {
                    guard (try? await self.clock.sleep(until: moment)) != nil else { return }
                    let events = self.perform(.timer)
                    if !events.isEmpty { report(events) }
                }
            }
            group.cancelAll()
        }
    }

    private func perform(_ event: AddressTerm.Event) -> [AddressEvent] {
        state.withLock { state in
            guard !state.isClosed else { return [] }
            var found: [AddressEvent.What] = []
            var actions = state.term.handle(event, at: clock.now())[...]
            while let action = actions.popFirst() {
                switch action {
                case .set(let seconds): actions += state.term.handle(set(seconds), at: clock.now())
                case .remove:
                    do throws(SystemCallError) { _ = try route.remove(address) } catch { found.append(.notRemoved(error.reason)) }
                case .announce:
                    guard let problem = announce(), !state.toldOfAnnouncing else { continue }
                    state.toldOfAnnouncing = true
                    found.append(.notAnnounced(problem))
                case .timer(let moment): wake.yield(moment)
                case .report(let what): found.append(what)
                }
            }
            return found.map { AddressEvent(address: address, what: $0, at: .now()) }
        }
    }

    private func set(_ seconds: UInt32) -> AddressTerm.Event {
        do throws(SystemCallError) { return .set(wasThere: try route.set(address, seconds: seconds)) } catch {
            return .setFailed(Self.problem(error, with: address))
        }
    }

    /// Announces the address to the neighbours.
    /// - Returns: the reason of a failure, or nil.
    private func announce() -> String? {
        guard let packets else { return nil }
        do throws(SystemCallError) {
            // Read each time, because an interface can be given another hardware address.
            guard let link = try route.link(index: try RouteSocket.index(of: address.interface)), link.isEthernet else { return nil }
            try packets.send(Announcement.all(of: address, from: link.address), on: address.interface)
            return nil
        } catch { return error.reason }
    }
}
