import QQCore
import Testing

@Suite("Renewal detector") struct RenewalDetectorTests {
    private let start = BootInstant(nanoseconds: 1_000_000_000_000)

    private func held(_ remaining: Duration?) -> ElectionState {
        var state = ElectionState(name: "x", phase: .held)
        state.remaining = remaining
        return state
    }

    @Test("a renewal is detected when the lease's end moves, not when time passes") func renewed() {
        var lease = RenewalDetector()
        let first = lease.isRenewed(held(.seconds(10)), at: start)
        #expect(!first)
        let aged = lease.isRenewed(held(.seconds(7)), at: start + .seconds(3))
        #expect(!aged)
        let wavering = lease.isRenewed(held(.seconds(6) + .milliseconds(30)), at: start + .seconds(4))
        #expect(!wavering)
        let renewed = lease.isRenewed(held(.seconds(10)), at: start + .seconds(5))
        #expect(renewed)
        let shortened = lease.isRenewed(held(.seconds(1)), at: start + .seconds(6))
        #expect(!shortened)
    }

    @Test("if a system reports renewal times, only a new one counts as a renewal") func told() {
        var lease = RenewalDetector()
        var state = held(.seconds(10))
        state.renewedAt = WallTime(seconds: 1_790_000_000)
        let first = lease.isRenewed(state, at: start)
        #expect(!first)
        state.remaining = .seconds(11)
        let wavering = lease.isRenewed(state, at: start)
        #expect(!wavering)
        state.renewedAt = WallTime(seconds: 1_790_000_000, nanoseconds: 1)
        let renewed = lease.isRenewed(state, at: start)
        #expect(renewed)
    }

    @Test("no renewal is detected for a lease without an end or without a holder") func none() {
        var lease = RenewalDetector()
        for state in [held(nil), ElectionState(name: "x", phase: .free), held(.seconds(10)), held(nil), held(.seconds(20))] {
            let renewed = lease.isRenewed(state, at: start)
            #expect(!renewed, "\(state)")
        }
    }
}
