import QQCore
import Testing

@Suite("Boot instants")
struct BootInstantTests {
    @Test func stopAtTheEndOfTime() {
        #expect(BootInstant.distantFuture + .seconds(1) == .distantFuture)
        #expect(BootInstant(nanoseconds: .max - 5) + .nanoseconds(6) == .distantFuture)
        #expect(BootInstant(nanoseconds: 1) + .seconds(1 << 60) == BootInstant(nanoseconds: UInt64(Int64.max) + 1))
    }

    @Test func stopAtBoot() {
        #expect(BootInstant(nanoseconds: 5) - .nanoseconds(6) == BootInstant(nanoseconds: 0))
        #expect(BootInstant(nanoseconds: 5) + .seconds(-(1 << 60)) == BootInstant(nanoseconds: 0))
        #expect(BootInstant(nanoseconds: 5) - .seconds(1 << 60) == BootInstant(nanoseconds: 0))
    }

    @Test func tellHowFarTheyAreApart() {
        let early = BootInstant(nanoseconds: 5)
        let late = BootInstant(nanoseconds: 12)
        #expect(late.duration(since: early) == .nanoseconds(7))
        #expect(early.duration(since: late) == .nanoseconds(-7))
        #expect(early.duration(since: early) == .zero)
    }

    @Test func holdDistancesWithinWhatADurationCanSay() {
        let boot = BootInstant(nanoseconds: 0)
        #expect(BootInstant.distantFuture.duration(since: boot) == .nanoseconds(Int64.max))
        #expect(boot.duration(since: .distantFuture) == .nanoseconds(-Int64.max))
    }

    @Test("take every duration from every instant, and add it")
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

    @Test func sortByTime() {
        #expect(BootInstant(nanoseconds: 1) < BootInstant(nanoseconds: 2))
        #expect(BootInstant(nanoseconds: 2) < .distantFuture)
    }
}
