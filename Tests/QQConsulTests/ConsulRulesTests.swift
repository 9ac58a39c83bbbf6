import Testing

@testable import QQConsul

@Suite("Rules of Consul") struct ConsulRulesTests {
    @Test func `the lock-delay outlasts a holder that is cut off, and one that has to end its command`() {
        #expect(ConsulRules.lockDelay(ttl: .seconds(15), killAfter: .seconds(5)) == .seconds(15))
        #expect(ConsulRules.lockDelay(ttl: .seconds(10), killAfter: .seconds(30)) == .seconds(35))
        #expect(ConsulRules.lockDelay(ttl: .seconds(600), killAfter: .seconds(5)) == .seconds(60))
    }

    @Test func `a time to end the command that no lock-delay covers is refused`() {
        #expect(ConsulRules.lockDelay(ttl: .seconds(15), killAfter: .seconds(55)) == .seconds(60))
        #expect(ConsulRules.lockDelay(ttl: .seconds(15), killAfter: .milliseconds(55_001)) == nil)
    }

    @Test func `durations have units, and are never shorter than asked for`() {
        #expect(ConsulRules.text(.seconds(15)) == "15s")
        #expect(ConsulRules.text(.milliseconds(10_500)) == "10500ms")
        #expect(ConsulRules.text(.microseconds(10_000_001)) == "10001ms")
        #expect(ConsulRules.text(.zero) == "0s")
    }
}
