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
