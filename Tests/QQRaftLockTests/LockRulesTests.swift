import QQCore
import Testing

@testable import QQRaftLock

@Suite("The limits of a RaftLock server") struct LockRulesTests {
    @Test("ids of 1 to 256 bytes are accepted", arguments: ["x", "has space/ü", String(repeating: "x", count: 256), "list/*"])
    func ids(id: String) { #expect(LockRules.problem(with: id, called: "lock_id") == nil) }

    @Test(
        "other ids are refused",
        arguments: ["", "a\0", "a\r", "a\n", "a\tb", String(repeating: "x", count: 257), String(repeating: "ü", count: 129)])
    func noIDs(id: String) { #expect(LockRules.problem(with: id, called: "lock_id") != nil) }

    @Test("refusals have the server's own text") func words() {
        #expect(LockRules.problem(with: "", called: "client_id") == "client_id cannot be empty")
        #expect(LockRules.problem(withTTL: .milliseconds(500)) == "ttl must be between 1s and 5m0s")
        #expect(LockRules.problem(withPriority: 1001) == "priority must be between -1000 and 1000")
    }

    @Test("leases of 1 s to 5 min are accepted") func ttls() {
        for ttl in [Duration.seconds(1), .seconds(15), .milliseconds(1500), .seconds(300)] {
            #expect(LockRules.problem(withTTL: ttl) == nil)
        }
        for ttl in [Duration.zero, .milliseconds(999), .seconds(-1), .seconds(301)] { #expect(LockRules.problem(withTTL: ttl) != nil) }
    }
}

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
}
