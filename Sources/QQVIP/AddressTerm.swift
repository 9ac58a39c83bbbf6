import QQCore

/// When one virtual address is on its interface, as a pure state machine.
///
/// The address is given to the kernel for whole seconds that end before the lease does, and is set anew at each renewal. So it goes whatever happens to
/// `qq`: killed, stopped, or too slow, the kernel removes it. What stays is a machine that sleeps: its kernel does not count the time, so `qq` removes the
/// address by the lease's clock too, and a `qq` that is stopped on a machine that sleeps is late by as long as it slept.
struct AddressTerm: Sendable, Hashable {
    /// How late the kernel may be, and a call of ours. It looks for ended lifetimes at most once a second, and rounds that by up to 250 ms
    /// (net/ipv4/devinet.c check_lifetime(), net/ipv6/addrconf.c addrconf_verify_rtnl(), ADDRCONF_TIMER_FUZZ); measured on Linux 6.18: up to 1.00 s.
    static let slack: Duration = .milliseconds(1500)
    /// The part of `slack` that may pass between looking at the clock and the kernel's having set a lifetime.
    static let longestCall: Duration = .milliseconds(250)
    /// What a renewal may take until the address is set anew, at the least.
    static let renewalRoom: Duration = .milliseconds(500)
    /// When the neighbours are told, after the address was taken.
    static let announcements: [Duration] = [.zero, .seconds(1), .seconds(2)]

    enum Event: Sendable, Hashable {
        /// A term began; the lease lasts until then.
        case elected(until: BootInstant)
        /// The lease was extended.
        case extended(until: BootInstant)
        /// The term is over, or about to be.
        case ended(String)
        case timer
        /// The kernel has carried out `.set`.
        case set(wasThere: Bool)
        case setFailed(CoordinationError)
    }

    enum Action: Sendable, Hashable {
        /// Put the address there for so many seconds, or give it so many from now.
        case set(seconds: UInt32)
        case remove
        case announce
        /// Call back with `.timer` at this moment, beside others that were asked for.
        case timer(BootInstant)
        case report(AddressEvent.What)
    }

    private struct Asked: Sendable, Hashable {
        var at: BootInstant
        var until: BootInstant
    }

    /// The lease's end; nil while we do not lead.
    private var deadline: BootInstant?
    /// When the lifetime that the kernel was last given is over; nil while the address is not there.
    private var until: BootInstant?
    /// What the kernel is being given: asked when, and for how long.
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

    /// Whole seconds for which the kernel may have the address, when the lease still lasts for `left`.
    private static func lifetime(_ left: Duration) -> UInt32 { UInt32(clamping: (left - slack).components.seconds) }

    /// Takes in what happened and says what to do, in this order.
    mutating func handle(_ event: Event, at now: BootInstant) -> [Action] {
        switch event {
        case .elected(let end): return set(until: end, at: now)
        // Renewals go on while a term is being given up.
        case .extended(let end): return deadline == nil ? [] : set(until: end, at: now)
        case .ended(let reason):
            deadline = nil
            return remove(reason)
        case .timer: return timer(at: now)
        case .set(let wasThere): return isSet(wasThere: wasThere, at: now)
        case .setFailed(let error):
            asked = nil
            // It may be there from before, or after all.
            let wasThere = until != nil
            until = nil
            return [.remove, .report(.failed(error))] + (wasThere ? [.report(.removed(error.reason))] : [])
        }
    }

    private mutating func set(until end: BootInstant, at now: BootInstant) -> [Action] {
        deadline = end
        let seconds = Self.lifetime(end.duration(since: now))
        // What is there stays for as long as it was good for; the next renewal comes sooner, or not at all.
        guard seconds >= 1 else { return [] }
        asked = Asked(at: now, until: now + .seconds(Int64(seconds)))
        return [.set(seconds: seconds)]
    }

    private mutating func isSet(wasThere: Bool, at now: BootInstant) -> [Action] {
        guard let asked else { return [] }
        self.asked = nil
        // We were stopped in between: the kernel counts from later than we reckoned.
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

/// What became of a virtual address.
public struct AddressEvent: Sendable, Hashable {
    public enum What: Sendable, Hashable {
        /// It is on the interface.
        case taken
        /// Somebody had taken it off while we led; it is there again.
        case putBack
        /// It is not on the interface any more; why.
        case removed(String)
        /// It could not be put on the interface.
        case failed(CoordinationError)
        /// The neighbours could not be told.
        case notAnnounced(String)
        /// It could not be taken off the interface, from where the kernel removes it in time.
        case notRemoved(String)
    }

    public var address: VirtualAddress
    public var what: What
    public var at: WallTime
}
