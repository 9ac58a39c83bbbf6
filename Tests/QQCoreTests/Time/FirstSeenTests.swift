import QQCore
import Testing

@Suite("When a revision was first seen") struct FirstSeenTests {
    private let clock = ManualClock()
    private let seen: FirstSeen

    init() { seen = FirstSeen(clock: clock) }

    @Test("a revision keeps the time of its first read") func keeps() {
        #expect(seen.note("x", revision: 7) == at(1000))
        clock.move(to: at(5000))
        #expect(seen.note("x", revision: 7) == at(1000))
        #expect(seen.newestRevision(of: "x") == 7)
    }

    @Test("a newer revision is seen when it is read") func newer() {
        seen.note("x", revision: 7)
        clock.move(to: at(5000))
        #expect(seen.note("x", revision: 8) == at(5000))
        clock.move(to: at(6000))
        #expect(seen.note("x", revision: 8) == at(5000))
    }

    @Test("an older revision counts as seen now, and changes nothing") func older() {
        seen.note("x", revision: 8)
        clock.move(to: at(5000))
        #expect(seen.note("x", revision: 7) == at(5000))
        clock.move(to: at(6000))
        #expect(seen.note("x", revision: 7) == at(6000))
        #expect(seen.note("x", revision: 8) == at(1000) && seen.newestRevision(of: "x") == 8)
    }

    @Test("records are told apart") func records() {
        seen.note("x", revision: 7)
        clock.move(to: at(5000))
        #expect(seen.note("y", revision: 7) == at(5000))
        #expect(seen.newestRevision(of: "z") == nil)
    }

    @Test("a record without a revision has revision 0, which can be seen") func zero() {
        #expect(seen.note("x", revision: 0) == at(1000))
        clock.move(to: at(5000))
        #expect(seen.note("x", revision: 0) == at(1000))
    }
}
