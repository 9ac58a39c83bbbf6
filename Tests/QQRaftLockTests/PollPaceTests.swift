import QQCore
import Testing

@testable import QQRaftLock

@Suite("The pauses between reads of a lock") struct PollPaceTests {
    private func advice(_ initial: Double, _ maximum: Double) -> BackoffAdvice {
        BackoffAdvice(initial: .seconds(initial), maximum: .seconds(maximum), multiplier: 1.5, jitter: 0.2)
    }

    @Test("the server's advice is followed within limits") func limits() {
        var pace = PollPace(advice(0.05, 1))
        let pauses = (0..<20).map { _ in pace.pause(random: 0.5, remaining: nil) }
        #expect(pauses[0] == .milliseconds(50))
        #expect(pauses == pauses.sorted())
        #expect(pauses.allSatisfy { $0 <= .seconds(1) })
        var slow = PollPace(advice(7.5, 60))
        for random in [0, 0.5, 0.999] {
            let pause = slow.pause(random: random, remaining: nil)
            #expect(pause <= .seconds(1) && pause > .milliseconds(500))
        }
        var hasty = PollPace(advice(0, 0))
        #expect(hasty.pause(random: 0.5, remaining: nil) == .milliseconds(50))
    }

    @Test("a lock is read soon after its lease has expired") func expiry() {
        var pace = PollPace(advice(7.5, 60))
        #expect(pace.pause(random: 0.5, remaining: .milliseconds(100)) == .milliseconds(300))
        #expect(pace.pause(random: 0.5, remaining: .zero) == .milliseconds(200))
    }

    @Test("nonsensical advice leads to normal pauses", arguments: [Double.nan, -1, 0, .infinity]) func nonsense(value: Double) {
        var pace = PollPace(BackoffAdvice(initial: .seconds(-5), maximum: .seconds(-1), multiplier: value, jitter: value))
        for _ in 0..<100 {
            let pause = pace.pause(random: 0.9, remaining: nil)
            #expect(pause >= .milliseconds(50) && pause <= .seconds(1))
        }
    }

    @Test("the pauses start again after a change") func reset() {
        var pace = PollPace(advice(0.05, 1))
        for _ in 0..<5 { _ = pace.pause(random: 0.5, remaining: nil) }
        pace.reset()
        #expect(pace.pause(random: 0.5, remaining: nil) == .milliseconds(50))
    }

    // MARK: Waiters

    private func pauses(_ queue: PollPace.Queue, advice: BackoffAdvice? = nil, remaining: Duration? = nil) -> [Duration] {
        var pace = PollPace(advice ?? self.advice(7.5, 60))
        return [0, 0.25, 0.5, 0.75, 0.999].map { pace.pause(random: $0, remaining: remaining, in: queue) }
    }

    @Test("the first waiter reads about ten times a second, whatever the servers advise") func first() {
        for pause in pauses(.init(ahead: 0, waiters: 1)) { #expect(pause >= .milliseconds(80) && pause <= .milliseconds(120)) }
    }

    @Test("advice to read more often is followed") func hasty() {
        #expect(pauses(.init(ahead: 0, waiters: 1), advice: advice(0.05, 0.05)).allSatisfy { $0 == .milliseconds(50) })
    }

    @Test("each waiter before another one makes the other's pauses longer, up to a second") func ranks() {
        for ahead in 0..<8 {
            let one = pauses(.init(ahead: ahead, waiters: 9))
            for (pause, later) in zip(one, pauses(.init(ahead: ahead + 1, waiters: 9))) { #expect(pause < later) }
        }
        #expect(pauses(.init(ahead: 50, waiters: 60)).allSatisfy { $0 > .milliseconds(600) && $0 <= .seconds(1) })
        #expect(pauses(.init(ahead: .max, waiters: .max)).allSatisfy { $0 <= .seconds(1) })
    }

    @Test("the end of a lease makes only the first waiter, and those without a place, read sooner") func expiryInQueue() {
        for waiters in [2, 100] {
            #expect(pauses(.init(ahead: nil, waiters: waiters), remaining: .zero).allSatisfy { $0 == .milliseconds(200) })
            #expect(pauses(.init(ahead: 20, waiters: waiters), remaining: .zero).allSatisfy { $0 > .milliseconds(600) })
        }
    }

    @Test("a waiter without a place in the queue follows the advice") func withoutPlace() {
        #expect(pauses(.init(waiters: 100)).allSatisfy { $0 > .milliseconds(600) && $0 <= .seconds(1) })
    }

    @Test(
        "all waiters for a lock make at most 500 reads a second, even if each takes itself for the first", arguments: [1, 3, 10, 50, 100])
    func crowd(waiters: Int) {
        for remaining in [nil, Duration.zero, .seconds(10)] {
            let shortest = pauses(.init(ahead: 0, waiters: waiters), remaining: remaining).min() ?? .zero
            #expect(Double(waiters) / shortest.seconds <= 500)
        }
        let usual = (0..<waiters).map { 1 / pauses(.init(ahead: $0, waiters: waiters))[2].seconds }.reduce(0, +)
        #expect(usual <= 30 + 1.2 * Double(waiters), "\(usual)")
    }

    @Test("a process makes at most 100 reads a second, or one a second for each lock", arguments: [1, 10, 99, 300])
    func process(locks: Int) {
        let shortest = pauses(.init(ahead: 0, waiters: 1, locks: locks)).min() ?? .zero
        #expect(Double(locks) / shortest.seconds <= Double(max(locks, 100)))
    }

    @Test("a slow server is read less often, up to once a second") func slow() {
        #expect(pauses(.init(ahead: 0, waiters: 1, readTook: .milliseconds(1))) == pauses(.init(ahead: 0, waiters: 1)))
        #expect(pauses(.init(ahead: 0, waiters: 1, readTook: .milliseconds(100))).allSatisfy { $0 >= .milliseconds(300) })
        #expect(pauses(.init(ahead: 0, waiters: 1, readTook: .seconds(60))).allSatisfy { $0 <= .seconds(1) })
    }
}
