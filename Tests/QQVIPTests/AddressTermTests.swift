import QQCore
import Testing

@testable import QQVIP

@Suite("The term of an address")
struct AddressTermTests {
    private static func at(_ seconds: Double) -> BootInstant { BootInstant(nanoseconds: UInt64(seconds * 1e9)) }

    /// A term whose address was taken at 100 s, under a lease of 15 s.
    private func taken() -> AddressTerm {
        var term = AddressTerm()
        #expect(term.handle(.elected(until: Self.at(115)), at: Self.at(100)) == [.set(seconds: 13)])
        #expect(
            term.handle(.set(wasThere: false), at: Self.at(100)) == [
                .timer(Self.at(113)), .report(.taken), .announce, .timer(Self.at(101)),
            ])
        return term
    }

    @Test("the kernel is given whole seconds that end, with its slack, before the lease does", arguments: [4.0, 4.4, 5, 10.7, 15, 3600])
    func lifetime(_ ttl: Double) throws {
        for late in [0, 0.01, 0.4] {
            var term = AddressTerm()
            let now = Self.at(100 + late)
            guard case .set(let seconds)? = term.handle(.elected(until: Self.at(100 + ttl)), at: now).first else {
                Issue.record("not taken")
                continue
            }
            let end = now + .seconds(Int64(seconds)) + AddressTerm.slack
            #expect(end <= Self.at(100 + ttl))
            #expect(end > Self.at(100 + ttl) - .seconds(1))
        }
    }

    @Test("an address is not set for the rest of a lease that is nearly over")
    func tooLate() {
        var term = AddressTerm()
        #expect(term.handle(.elected(until: Self.at(115)), at: Self.at(112.6)) == [])
        #expect(term.handle(.timer, at: Self.at(114)) == [])
        #expect(term.handle(.extended(until: Self.at(127.6)), at: Self.at(112.7)) == [.set(seconds: 13)])
    }

    @Test("each renewal sets the address again without a report")
    func renewal() {
        var term = taken()
        #expect(term.handle(.extended(until: Self.at(120)), at: Self.at(105)) == [.set(seconds: 13)])
        #expect(term.handle(.set(wasThere: true), at: Self.at(105)) == [.timer(Self.at(118))])
        #expect(term.handle(.timer, at: Self.at(113)) == [.announce, .timer(Self.at(102))])
    }

    @Test("the neighbours are notified three times, a second apart")
    func announcements() {
        var term = taken()
        #expect(term.handle(.timer, at: Self.at(100.9)) == [])
        #expect(term.handle(.timer, at: Self.at(101)) == [.announce, .timer(Self.at(102))])
        #expect(term.handle(.timer, at: Self.at(102)) == [.announce])
        #expect(term.handle(.timer, at: Self.at(103)) == [])
    }

    @Test("an address is removed on time if the lease was not renewed, and comes back if it is renewed after all")
    func expiry() {
        var term = taken()
        #expect(term.handle(.timer, at: Self.at(112.9)).contains(.remove) == false)
        #expect(term.handle(.timer, at: Self.at(113)) == [.remove, .report(.removed("the lease was not renewed in time"))])
        #expect(term.handle(.timer, at: Self.at(114)) == [])
        #expect(term.handle(.extended(until: Self.at(129)), at: Self.at(114.5)) == [.set(seconds: 13)])
        #expect(term.handle(.set(wasThere: false), at: Self.at(114.5)).contains(.report(.taken)))
    }

    @Test("an address is removed once when the lease ends, and later renewals do not bring it back")
    func ended() {
        var term = taken()
        #expect(term.handle(.ended("stepping down"), at: Self.at(101)) == [.remove, .report(.removed("stepping down"))])
        #expect(term.handle(.ended("released"), at: Self.at(101)) == [])
        #expect(term.handle(.extended(until: Self.at(120)), at: Self.at(105)) == [])
        #expect(term.handle(.timer, at: Self.at(102)) == [])
        #expect(term.handle(.elected(until: Self.at(145)), at: Self.at(130)) == [.set(seconds: 13)])
    }

    @Test("an address that another program removed is put back, and the neighbours are notified again")
    func putBack() {
        var term = taken()
        _ = term.handle(.timer, at: Self.at(102))
        _ = term.handle(.timer, at: Self.at(102))
        _ = term.handle(.extended(until: Self.at(120)), at: Self.at(105))
        #expect(
            term.handle(.set(wasThere: false), at: Self.at(105)) == [
                .timer(Self.at(118)), .report(.putBack), .announce, .timer(Self.at(106)),
            ])
    }

    @Test("an address that was set too late, because qq was stopped meanwhile, is removed immediately")
    func stoppedBetween() {
        var term = AddressTerm()
        _ = term.handle(.elected(until: Self.at(115)), at: Self.at(100))
        #expect(term.handle(.set(wasThere: false), at: Self.at(100.3)) == [.remove])
        var held = taken()
        _ = held.handle(.extended(until: Self.at(120)), at: Self.at(105))
        #expect(held.handle(.set(wasThere: true), at: Self.at(125)) == [.remove, .report(.removed("setting it took too long"))])
    }

    @Test("a failure is reported, and the address is removed")
    func failure() {
        let error = CoordinationError(.unavailable, "cannot carry it", because: "No space left on device")
        var term = AddressTerm()
        _ = term.handle(.elected(until: Self.at(115)), at: Self.at(100))
        #expect(term.handle(.setFailed(error), at: Self.at(100)) == [.remove, .report(.failed(error))])
        var held = taken()
        _ = held.handle(.extended(until: Self.at(120)), at: Self.at(105))
        #expect(
            held.handle(.setFailed(error), at: Self.at(105)) == [
                .remove, .report(.failed(error)), .report(.removed("No space left on device")),
            ])
    }

    @Test("an address needs a lease that is long enough for whole seconds")
    func shortest() {
        #expect(AddressTerm.shortestTTL == .seconds(4))
        #expect(!AddressTerm.canKeep(ttl: .seconds(3), renewEvery: .seconds(1)))
        #expect(AddressTerm.canKeep(ttl: .seconds(4), renewEvery: .seconds(4) / 3))
        #expect(!AddressTerm.canKeep(ttl: .seconds(15), renewEvery: .seconds(14)))
        #expect(!AddressTerm.canKeep(ttl: .milliseconds(100), renewEvery: .milliseconds(33)))
        #expect { try AddressCarrier.check(ttl: .seconds(3), renewEvery: .seconds(1)) } throws: {
            ($0 as? CoordinationError)?.kind == .usage
        }
    }

    @Test("an address has no gap between renewals that come as late as they can", arguments: [4, 5, 7, 10, 15, 60])
    func noGap(_ ttl: Int64) {
        var term = AddressTerm()
        let every = Duration.seconds(ttl) / 3
        var sent = Self.at(100)
        var end = BootInstant.distantFuture
        for round in 0..<10 {
            // The answer takes 400 ms.
            let now = sent + .milliseconds(400)
            #expect(round == 0 || now < end)
            let event = round == 0 ? AddressTerm.Event.elected(until: sent + .seconds(ttl)) : .extended(until: sent + .seconds(ttl))
            guard case .set(let seconds)? = term.handle(event, at: now).first else {
                Issue.record("not set")
                return
            }
            _ = term.handle(.set(wasThere: round > 0), at: now)
            end = now + .seconds(Int64(seconds))
            sent = sent + every
        }
    }
}
