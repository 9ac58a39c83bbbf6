import QQCore
import Testing

@Suite("Boot instants")
struct BootInstantTests {
    @Test("adding to a boot instant never overflows") func adding() {
        #expect(BootInstant.distantFuture + .seconds(1) == .distantFuture)
        #expect(BootInstant(nanoseconds: .max - 5) + .nanoseconds(6) == .distantFuture)
        #expect(BootInstant(nanoseconds: 1) + .seconds(1 << 60) == BootInstant(nanoseconds: UInt64(Int64.max) + 1))
    }

    @Test("subtracting from a boot instant stops at boot") func subtracting() {
        #expect(BootInstant(nanoseconds: 5) - .nanoseconds(6) == BootInstant(nanoseconds: 0))
        #expect(BootInstant(nanoseconds: 5) + .seconds(-(1 << 60)) == BootInstant(nanoseconds: 0))
        #expect(BootInstant(nanoseconds: 5) - .seconds(1 << 60) == BootInstant(nanoseconds: 0))
    }

    @Test("the duration between two boot instants is exact and has a sign") func distance() {
        let early = BootInstant(nanoseconds: 5)
        let late = BootInstant(nanoseconds: 12)
        #expect(late.duration(since: early) == .nanoseconds(7))
        #expect(early.duration(since: late) == .nanoseconds(-7))
        #expect(early.duration(since: early) == .zero)
    }

    @Test("the duration between boot instants is clamped to 64-bit nanoseconds") func clampedDistance() {
        let boot = BootInstant(nanoseconds: 0)
        #expect(BootInstant.distantFuture.duration(since: boot) == .nanoseconds(Int64.max))
        #expect(boot.duration(since: .distantFuture) == .nanoseconds(-Int64.max))
    }

    @Test("every duration can be added to and subtracted from every boot instant")
    func extremes() {
        for nanoseconds in Extremes.unsigned {
            let instant = BootInstant(nanoseconds: nanoseconds)
            for duration in Extremes.durations {
                #expect((instant + duration >= instant) == (duration.nanoseconds >= 0 || instant.nanoseconds == 0))
                #expect((instant - duration <= instant) == (duration.nanoseconds >= 0 || instant == .distantFuture))
            }
            for other in Extremes.unsigned.map(BootInstant.init) {
                let apart = instant.duration(since: other)
                #expect(apart == .zero - other.duration(since: instant))
                #expect((apart >= .zero) == (instant >= other))
            }
        }
    }

    @Test("boot instants sort by time") func order() {
        #expect(BootInstant(nanoseconds: 1) < BootInstant(nanoseconds: 2))
        #expect(BootInstant(nanoseconds: 2) < .distantFuture)
    }
}
