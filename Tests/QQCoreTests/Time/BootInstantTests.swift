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

    @Test func sortByTime() {
        #expect(BootInstant(nanoseconds: 1) < BootInstant(nanoseconds: 2))
        #expect(BootInstant(nanoseconds: 2) < .distantFuture)
    }
}
