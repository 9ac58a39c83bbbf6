import QQCore
import Testing

@testable import QQConsul

@Suite("Names of keys") struct KeyNamingTests {
    private let locks = KeyNaming(prefix: "jobs", ending: nil)

    @Test func `an election is the key that consul lock has for its prefix`() {
        #expect(locks.key("web") == "jobs/web/.lock")
        #expect(KeyNaming(prefix: "", ending: nil).key("web/db") == "web/db/.lock")
    }

    @Test func `an ending takes the place of that of consul lock`() {
        #expect(KeyNaming(prefix: "service", ending: "leader").key("web") == "service/web/leader")
        #expect(KeyNaming(prefix: "", ending: "").key("terraform/state/.lock") == "terraform/state/.lock")
        #expect(!KeyNaming(prefix: "", ending: "").isLock)
    }

    @Test(arguments: [nil, "leader", "", ".lock"] as [String?]) func `the name of a key is the one that it was made of`(ending: String?) {
        for prefix in ["", "a", "a/b"] {
            let naming = KeyNaming(prefix: prefix, ending: ending)
            for name in ["web", "web/db", "größe", "a b"] { #expect(naming.name(ofKey: naming.key(name)) == name) }
        }
    }

    @Test func `other keys have no name`() {
        for key in [
            "jobs/web", "jobs/.lock", "jobs//.lock", "other/web/.lock", "jobs/web/.lock.step-down", "web/.lock", "jobs/web/.lock/x",
        ] {
            #expect(locks.name(ofKey: key) == nil, "\(key)")
        }
    }

    @Test func `a slot is a key beside the semaphore of consul lock -n`() {
        #expect(locks.key("web-slot-1-of-2") == "jobs/web/.slot-1-of-2" && locks.lockKey("web") == "jobs/web/.lock")
        for name in ["web-slot-1-of-2", "a/b-slot-100-of-100", "a-slot-1-of-2-slot-2-of-3"] {
            #expect(locks.name(ofKey: locks.key(name)) == name)
            #expect(locks.name(ofKey: KeyNaming.request(of: locks.key(name))) == nil)
        }
        #expect(KeyNaming(prefix: "", ending: nil).slot(ofKey: "web/.slot-2-of-2") == Slot(2, of: 2, election: "web"))
        for key in ["jobs/.slot-1-of-2", "jobs/web/.slot-3-of-2", "jobs/web/.slot-01-of-2", "jobs/web/.slot-1-of-1", "web/.slot-1-of-2"] {
            #expect(locks.slot(ofKey: key) == nil, "\(key)")
        }
        #expect(locks.problem(withName: "a/-slot-1-of-2") != nil)
    }

    @Test func `a single slot is a lock, as for consul lock`() {
        #expect(locks.key("web-slot-1-of-1") == "jobs/web/.lock" && locks.slot("web-slot-1-of-1") == nil)
    }

    @Test func `names with an ending of their own have no slots`() {
        let naming = KeyNaming(prefix: "", ending: "leader")
        #expect(naming.slot("web-slot-1-of-2") == nil && naming.key("web-slot-1-of-2") == "web-slot-1-of-2/leader")
    }

    @Test func `a request to step down is never an election`() {
        for naming in [locks, KeyNaming(prefix: "", ending: "leader")] {
            #expect(naming.hasRequests && naming.name(ofKey: KeyNaming.request(of: naming.key("web"))) == nil)
        }
        #expect(!KeyNaming(prefix: "", ending: "").hasRequests)
    }

    @Test(arguments: ["", "/a", "a/", "a//b", ".", "a/../b", "a\nb", String(repeating: "x", count: 513)])
    func `names that agents would answer with a redirection, or not at all, are refused`(name: String) {
        #expect(locks.problem(withName: name) != nil)
    }
}
