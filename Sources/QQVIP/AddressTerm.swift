import QQCore

/// Decides when one virtual address is on its interface. A pure state machine.
///
/// The kernel is given the address for whole seconds that end before the lease does, and again at each renewal. The kernel therefore
/// removes the address even if `qq` is killed, stopped or too slow. Suspend is the exception: the kernel does not count that time, so `qq`
/// also removes the address by the lease clock. If `qq` is stopped as well, the address goes late, by as long as the machine slept.
struct AddressTerm: Sendable, Hashable {
    /// How late the kernel, and a call to it, can be. The kernel looks for ended lifetimes at most once a second, and rounds that by up to
    /// 250 ms (net/ipv4/devinet.c check_lifetime(), net/ipv6/addrconf.c addrconf_verify_rtnl(), ADDRCONF_TIMER_FUZZ); measured on Linux
    /// 6.18: up to 1.00 s.
    static let slack: Duration = .milliseconds(1500)
    /// The part of `slack` that is allowed between reading the clock and the kernel's confirmation that a lifetime is set.
    static let longestCall: Duration = .milliseconds(250)
    /// Minimum time that a renewal has until the address is set again.
    static let renewalRoom: Duration = .milliseconds(500)
    /// Times of the announcements to the neighbours, after the address was taken.
    static let announcements: [Duration] = [.zero, .seconds(1), .seconds(2)]

    enum Event: Sendable, Hashable {
        /// A term began; the lease lasts until the given time.
        case elected(until: BootInstant)
        /// The lease was renewed until the given time.
        case extended(until: BootInstant)
        /// The term is over, or about to be.
        case ended(String)
        case timer
        /// The kernel has carried out `.set`.
        case set(wasThere: Bool)
        case setFailed(CoordinationError)
    }

    enum Action: Sendable, Hashable {
        /// Put the address on its interface with this lifetime, or give it this lifetime from now on.
        case set(seconds: UInt32)
        case remove
        case announce
        /// Send `.timer` at this time, in addition to the timers that were requested before.
        case timer(BootInstant)
        case report(AddressEvent.What)
    }

    private struct Asked: Sendable, Hashable {
        var at: BootInstant
        var until: BootInstant
    }

    /// End of the lease; nil while this process does not lead.
    private var deadline: BootInstant?
    /// End of the lifetime that the kernel was last given; nil while the address is not on its interface.
    private var until: BootInstant?
    /// The pending request to the kernel: when it was made, and the end of the lifetime.
    private var asked: Asked?
    private var announced = announcements.count
    private var takenAt = BootInstant(nanoseconds: 0)

    /// Whether an address can be kept without a gap from renewal to renewal.
    static func canKeep(ttl: Duration, renewEvery: Duration) -> Bool {
        .seconds(lifetime(ttl - renewalRoom)) >= renewEvery + renewalRoom
    }

    /// The shortest TTL, in whole seconds, that can be kept if it is renewed after a third of itself.
    static var shortestTTL: Duration {
        .seconds((1...60).first { canKeep(ttl: .seconds($0), renewEvery: .seconds($0) / 3) } ?? 60)
    }

    /// Lifetime for the kernel, in whole seconds, if the lease still lasts for `left`.
    private static func lifetime(_ left: Duration) -> UInt32 { UInt32(clamping: (left - slack).components.seconds) }

    /// Handles an event.
    /// - Returns: the actions to carry out, in this order.
    mutating func handle(_ event: Event, at now: BootInstant) -> [Action] {
        switch event {
        case .elected(let end): return set(until: end, at: now)
        // Renewals continue while a lease is being released.
        case .extended(let end): return deadline == nil ? [] : set(until: end, at: now)
        case .ended(let reason):
            deadline = nil
            return remove(reason)
        case .timer: return timer(at: now)
        case .set(let wasThere): return isSet(wasThere: wasThere, at: now)
        case .setFailed(let error):
            asked = nil
            // The address might be there from before, or have been set after all.
            let wasThere = until != nil
            until = nil
            return [.remove, .report(.failed(error))] + (wasThere ? [.report(.removed(error.reason))] : [])
        }
    }

    private mutating func set(until end: BootInstant, at now: BootInstant) -> [Action] {
        deadline = end
        let seconds = Self.lifetime(end.duration(since: now))
        // An address that is there keeps its lifetime; the next renewal comes before that ends, or not at all.
        guard seconds >= 1 else { return [] }
        asked = Asked(at: now, until: now + .seconds(Int64(seconds)))
        return [.set(seconds: seconds)]
    }

    private mutating func isSet(wasThere: Bool, at now: BootInstant) -> [Action] {
        guard let asked else { return [] }
        self.asked = nil
        // This process was stopped during the call: the kernel counts from a later time than assumed.
        guard now <= asked.at + Self.longestCall else {
            return until == nil ? [.remove] : remove("setting it took too long")
        }
        let isNew = until == nil
        until = asked.until
        var actions: [Action] = [.timer(asked.until)]
        if isNew { actions.append(.report(.taken)) } else if !wasThere { actions.append(.report(.putBack)) }
        if isNew || !wasThere {
            takenAt = now
            announced = 0
            actions += announce(at: now)
        }
        return actions
    }

    private mutating func remove(_ reason: String) -> [Action] {
        guard until != nil else { return [] }
        until = nil
        announced = Self.announcements.count
        return [.remove, .report(.removed(reason))]
    }

    private mutating func timer(at now: BootInstant) -> [Action] {
        guard let until else { return [] }
        return now >= until ? remove("the lease was not renewed in time") : announce(at: now)
    }

    private mutating func announce(at now: BootInstant) -> [Action] {
        guard announced < Self.announcements.count, now >= takenAt + Self.announcements[announced] else { return [] }
        announced += 1
        return [.announce] + (announced < Self.announcements.count ? [.timer(takenAt + Self.announcements[announced])] : [])
    }
}

/// A change of a virtual address.
public struct AddressEvent: Sendable, Hashable {
    public enum What: Sendable, Hashable {
        /// The address was put on the interface.
        case taken
        /// Something else had removed the address while this process led; it was put back.
        case putBack
        /// The address was removed from the interface, for this reason.
        case removed(String)
        /// The address could not be put on the interface.
        case failed(CoordinationError)
        /// The neighbours could not be notified.
        case notAnnounced(String)
        /// The address could not be removed from the interface; the kernel removes it in time.
        case notRemoved(String)
    }

    public var address: VirtualAddress
    public var what: What
    public var at: WallTime
}
