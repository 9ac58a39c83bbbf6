import QQCore
import Testing

@testable import QQCLI

@Suite("The metrics of an election") struct ElectionMetricsTests {
    private static let ttl: Duration = .seconds(15)

    private func at(_ seconds: Double) -> BootInstant { BootInstant(nanoseconds: 0) + .seconds(1000 + seconds) }

    private func grant(until end: BootInstant, ttl: Duration = ttl) -> Grant {
        Grant(
            name: "web", identity: "me", token: FencingToken(1), ttl: ttl, deadline: end, acquiredAt: WallTime(seconds: 0),
            expiresAt: WallTime(seconds: 0))
    }

    private var other: ElectionState {
        var state = ElectionState(name: "web", phase: .held)
        state.leader = "other"
        return state
    }

    private let failure = CoordinationError(.unavailable, "cannot renew web", because: "no answer in time")

    @Test("an election that was never led has the requested TTL and no age of a renewal") func untouched() {
        let metrics = ElectionMetrics(ttl: Self.ttl)
        #expect(!metrics.isLeading(at: at(0)) && metrics.remaining(at: at(0)) == .zero && metrics.lastRenewalAge(at: at(0)) == nil)
        #expect(metrics.ttl == Self.ttl && metrics.terms == 0 && metrics.waits == 0 && metrics.waited(at: at(9)) == .zero)
        #expect(LossLabel.allCases.allSatisfy { metrics.losses($0) == 0 })
    }

    @Test("the rest of the lease and the age of its renewal are those of the moment at which they are read") func moments() {
        var metrics = ElectionMetrics(ttl: Self.ttl)
        metrics.take(.elected(grant(until: at(20), ttl: .seconds(20))), at: at(1))
        #expect(metrics.isLeading(at: at(5)) && metrics.remaining(at: at(5)) == .seconds(15))
        #expect(metrics.lastRenewalAge(at: at(5)) == .seconds(4) && metrics.ttl == .seconds(20))
        metrics.take(.extended(grant(until: at(27), ttl: .seconds(20))), at: at(8))
        #expect(metrics.remaining(at: at(10)) == .seconds(17) && metrics.lastRenewalAge(at: at(10)) == .seconds(2))
        #expect(metrics.terms == 1)
    }

    @Test("a lease whose end has come does not lead, and no number is negative, even if nothing has reported the end yet")
    func overdue() {
        var metrics = ElectionMetrics(ttl: Self.ttl)
        metrics.take(.elected(grant(until: at(15))), at: at(0))
        #expect(metrics.isLeading(at: at(14.999)) && !metrics.isLeading(at: at(15)))
        #expect(metrics.remaining(at: at(60)) == .zero && metrics.lastRenewalAge(at: at(60)) == .seconds(60))
        // A reader that took the time before the event.
        #expect(metrics.lastRenewalAge(at: at(-1)) == .zero)
    }

    @Test(
        "a loss is counted once, by its reason",
        arguments: [
            (LossReason.expired(nil), LossLabel.expired), (.expired(CoordinationError(.denied, "x", because: "y")), .expired),
            (.takenOver(by: "other"), .takenOver), (.takenOver(by: nil), .takenOver), (.removed, .removed),
        ])
    func loss(reason: LossReason, label: LossLabel) {
        var metrics = ElectionMetrics(ttl: Self.ttl)
        metrics.take(.elected(grant(until: at(15))), at: at(0))
        metrics.take(.lost(grant(until: at(15)), reason), at: at(15))
        for one in LossLabel.allCases { #expect(metrics.losses(one) == (one == label ? 1 : 0)) }
        #expect(!metrics.isLeading(at: at(15)) && metrics.lastRenewalAge(at: at(15)) == nil)
        metrics.take(.elected(grant(until: at(40))), at: at(25))
        #expect(metrics.terms == 2 && metrics.isLeading(at: at(26)) && metrics.losses(label) == 1)
    }

    @Test("a release is no loss, nor is one that failed") func release() {
        for event in [SessionEvent.released(grant(until: at(15))), .releaseFailed(grant(until: at(15)), failure)] {
            var metrics = ElectionMetrics(ttl: Self.ttl)
            metrics.take(.elected(grant(until: at(15))), at: at(0))
            metrics.take(event, at: at(3))
            #expect(!metrics.isLeading(at: at(3)) && metrics.remaining(at: at(3)) == .zero)
            #expect(LossLabel.allCases.allSatisfy { metrics.losses($0) == 0 })
        }
    }

    @Test("a command that is ended for lack of a renewal counts as a loss, once, whether or not the lease expires afterwards")
    func notRenewed() {
        var metrics = ElectionMetrics(ttl: Self.ttl)
        metrics.notRenewed()
        #expect(metrics.losses(.expired) == 0)
        metrics.take(.elected(grant(until: at(15))), at: at(0))
        metrics.notRenewed()
        // The lease is ours until it is over.
        #expect(metrics.losses(.expired) == 1 && metrics.isLeading(at: at(10)))
        metrics.take(.lost(grant(until: at(15)), .expired(failure)), at: at(15))
        #expect(metrics.losses(.expired) == 1)
        metrics.take(.elected(grant(until: at(40))), at: at(25))
        metrics.take(.lost(grant(until: at(40)), .expired(failure)), at: at(40))
        #expect(metrics.losses(.expired) == 2)
    }

    @Test("a wait is counted once, however often the election is refused, and its time grows until it ends") func waits() {
        var metrics = ElectionMetrics(ttl: Self.ttl)
        metrics.take(.waiting(other), at: at(0))
        metrics.take(.waiting(other), at: at(2))
        metrics.take(.outage(failure, isNew: true), at: at(3))
        metrics.take(.outageOver(after: .seconds(1)), at: at(4))
        #expect(metrics.isWaiting && metrics.waits == 1 && metrics.waited(at: at(5)) == .seconds(5))
        metrics.take(.elected(grant(until: at(25))), at: at(10))
        #expect(!metrics.isWaiting && metrics.waited(at: at(20)) == .seconds(10))
        metrics.take(.lost(grant(until: at(25)), .removed), at: at(20))
        metrics.take(.waiting(other), at: at(21))
        #expect(metrics.isWaiting && metrics.waits == 2 && metrics.waited(at: at(22)) == .seconds(11))
        metrics.sessionEnded(at: at(23))
        #expect(!metrics.isWaiting && metrics.waited(at: at(99)) == .seconds(12))
    }

    @Test("a process whose session has ended does not lead, even if the lease is left held") func ended() {
        var metrics = ElectionMetrics(ttl: Self.ttl)
        metrics.take(.elected(grant(until: at(15))), at: at(0))
        metrics.sessionEnded(at: at(1))
        #expect(!metrics.isLeading(at: at(2)) && metrics.terms == 1)
        #expect(LossLabel.allCases.allSatisfy { metrics.losses($0) == 0 })
    }
}
