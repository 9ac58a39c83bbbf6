import QQCore

@testable import QQListen

extension BootInstant {
    /// A moment this many seconds after the machine started.
    static func at(_ seconds: Double) -> BootInstant { BootInstant(nanoseconds: UInt64(seconds * 1e9)) }
}

extension ClockReading {
    /// A reading this many seconds after the machine started, with a wall clock that has since been set ahead by `ahead`.
    static func at(_ seconds: Double, ahead: Double = 0) -> ClockReading {
        ClockReading(.at(seconds), wall: WallTime(seconds: 1_000_000, nanoseconds: Int64((seconds + ahead) * 1e9)))
    }
}

extension Grant {
    /// A lease of 15 s that ends at this second.
    static func until(_ end: Double, _ identity: String = "me", name: String = "web") -> Grant {
        Grant(
            name: name, identity: identity, token: FencingToken(7), ttl: .seconds(15), deadline: .at(end),
            acquiredAt: WallTime(seconds: 1000), expiresAt: WallTime(seconds: 1015))
    }
}

extension Standing.Term {
    /// A term whose lease ends at this second, and whose work has to end five seconds before.
    static func until(_ end: Double) -> Standing.Term { Standing.Term(.until(end), workEnds: .at(end - 5)) }
}

extension ElectionState {
    static func held(by leader: String) -> ElectionState {
        var state = ElectionState(name: "web", phase: .held)
        state.leader = leader
        state.token = FencingToken(6)
        state.acquiredAt = WallTime(seconds: 500)
        return state
    }
}
