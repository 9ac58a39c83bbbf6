import Glibc
import QQCore
import Synchronization

/// Carries one virtual address while an election is led: what `AddressTerm` decides, done in this network namespace.
///
/// Calls are short and do not wait, so that they can be made from where a session tells its events.
public final class AddressCarrier: Sendable {
    public let address: VirtualAddress
    private let clock: any LeaseClock
    private let route: RouteSocket
    /// nil where the neighbours cannot be told.
    private let packets: PacketSocket?
    private let claim: AddressClaim?
    private let state: Mutex<State>
    private let moments: AsyncStream<BootInstant>
    private let wake: AsyncStream<BootInstant>.Continuation

    private struct State {
        var term = AddressTerm()
        var isDropped = false
        var isClosed = false
        /// Told once: each announcement would fail in the same way.
        var toldOfAnnouncing = false
    }

    /// - Throws: `.usage` where leases are too short for the kernel, which counts in whole seconds, to keep an address from renewal to renewal.
    public static func check(ttl: Duration, renewEvery: Duration) throws(CoordinationError) {
        guard !AddressTerm.canKeep(ttl: ttl, renewEvery: renewEvery) else { return }
        throw CoordinationError(
            .usage, "cannot carry an address under a TTL of \(DurationText.format(ttl)) renewed every \(DurationText.format(renewEvery))",
            because: "the kernel, which removes it before the lease ends, needs more time than that", at: "--vip",
            hint: "choose a --ttl of at least \(DurationText.format(AddressTerm.shortestTTL)), and leave --renew-every out")
    }

    /// Sees that the address can be carried, and removes it from its interface where a holder that is gone left it.
    /// - Parameter note: called with what a person should know.
    /// - Throws: `.configuration` where there is no such interface, or the address is somewhere else already; `.denied` without CAP_NET_ADMIN;
    ///   `.unavailable` where another `qq` of this machine carries it.
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
        // The kernel judges whether we may before it looks whether there is anything to remove.
        if try Self.reporting(address, { () throws(SystemCallError) in try route.remove(address) }) {
            note("\(address) was there already, left behind by a holder that is gone: removed")
        }
        do throws(SystemCallError) { packets = try PacketSocket() } catch {
            packets = nil
            let why = error.code == EPERM ? "it takes the capability CAP_NET_RAW" : error.reason
            note("will not tell the neighbours of \(address): \(why)")
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
                hint: "see which there are: ip link")
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

    /// Takes in what a lease session tells.
    public func handle(_ event: SessionEvent) -> [AddressEvent] {
        if state.withLock({ $0.isDropped }) { return [] }
        switch event {
        case .elected(let grant) where grant.ttl < AddressTerm.shortestTTL:
            // Less than was asked for.
            let error = CoordinationError(
                .unsupported, "cannot carry \(address)",
                because:
                    "a lease of \(DurationText.format(grant.ttl)) was granted, and it takes one of \(DurationText.format(AddressTerm.shortestTTL))",
                at: "--vip")
            return [AddressEvent(address: address, what: .failed(error), at: .now())]
        case .elected(let grant): return perform(.elected(until: grant.deadline))
        case .extended(let grant): return perform(.extended(until: grant.deadline))
        case .lost(_, let reason): return perform(.ended("lost: \(reason)"))
        case .released, .releaseFailed: return perform(.ended("released"))
        case .waiting, .retrying, .stepDownAsked, .notWithdrawn: return []
        }
    }

    /// Takes the address off its interface before the lease is given up. Whatever the session tells until `resume`, it stays away.
    public func drop(_ reason: String) -> [AddressEvent] {
        let events = perform(.ended(reason))
        state.withLock { $0.isDropped = true }
        return events
    }

    /// The next session's terms count again.
    public func resume() { state.withLock { $0.isDropped = false } }

    /// Takes the address off its interface for good.
    public func close(_ reason: String) -> [AddressEvent] {
        let events = perform(.ended(reason))
        state.withLock { $0.isClosed = true }
        wake.finish()
        return events
    }

    /// Keeps time, until `close`.
    /// - Parameter report: called with what happened in between.
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

    /// Tells the neighbours; what went wrong, or nil.
    private func announce() -> String? {
        guard let packets else { return nil }
        do throws(SystemCallError) {
            // Asked each time: an interface may be given another hardware address.
            guard let link = try route.link(index: try RouteSocket.index(of: address.interface)), link.isEthernet else { return nil }
            try packets.send(Announcement.all(of: address, from: link.address), on: address.interface)
            return nil
        } catch { return error.reason }
    }
}
