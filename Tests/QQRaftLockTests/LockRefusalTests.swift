import QQCore
import QQGRPC
import Testing

@testable import QQRaftLock

@Suite("The meaning of RaftLock's failures") struct LockRefusalTests {
    private func failure(_ text: String, _ detail: Raftlock_ErrorDetail? = nil) -> GRPCFailure {
        var failure = GRPCFailure(.internalError, text, at: "a:5051", wasSent: true)
        if let detail { failure.details = GRPCFailure(detail, at: "a:5051").details }
        return failure
    }

    private func detail(_ code: Raftlock_ErrorCode, _ message: String = "", _ details: [String: String] = [:]) -> Raftlock_ErrorDetail {
        var detail = Raftlock_ErrorDetail()
        (detail.code, detail.message, detail.details) = (code, message, details)
        return detail
    }

    @Test(
        "a failure is recognised by the server's text",
        arguments: [
            ("lockmanager: lock is already held", LockRefusal.lockHeld), ("lockmanager: lock is not currently held", .notHeld),
            ("lockmanager: client is not the lock owner", .notOwner), ("lockmanager: version mismatch", .versionMismatch),
            ("lockmanager: lock not found", .notFound), ("lockmanager: client not in wait queue", .notWaiting),
            ("server: no leader available in the cluster", .noLeader), ("An unexpected internal error occurred.", .unexpected),
            ("something new", .unexpected),
        ])
    func words(text: String, meaning: LockRefusal) { #expect(LockRefusal(failure(text)) == meaning) }

    @Test("the leader is read from a redirect, by node and address") func leader() {
        let text = "server: not leader, redirect to node node2 at 127.0.0.1:38502"
        let expected = LockRefusal.notLeader(LeaderPointer(nodeID: "node2", address: "127.0.0.1:38502"))
        #expect(LockRefusal(failure(text)) == expected)
        let attached = detail(.notLeader, text, ["leader_id": "node2", "leader_address": "127.0.0.1:38502"])
        #expect(LockRefusal(failure("", attached)) == expected)
        #expect(
            LockRefusal(failure("server: not leader, redirect to node my node at [::1]:9"))
                == .notLeader(LeaderPointer(nodeID: "my node", address: "[::1]:9")))
        #expect(LockRefusal(failure("server: not leader")) == .notLeader(LeaderPointer()))
        #expect(LockRefusal(failure("server: not leader, redirect to node  at ")) == .notLeader(LeaderPointer()))
    }

    @Test("an attached detail takes precedence over the text") func attached() {
        #expect(LockRefusal(failure("An unexpected internal error occurred.", detail(.rateLimited))) == .rateLimited)
        #expect(LockRefusal(failure("x", detail(.waitQueueFull))) == .queueFull)
        #expect(LockRefusal(failure("x", detail(.invalidTtl))) == .invalidArgument)
        #expect(LockRefusal(failure("lockmanager: version mismatch", detail(.unspecified))) == .versionMismatch)
        #expect(LockRefusal(failure("x", detail(.internalError, "lockmanager: version mismatch"))) == .versionMismatch)
    }

    @Test("a failure without an answer of the server has no meaning") func unanswered() {
        var unheard = failure("An unexpected internal error occurred.")
        unheard.isAnswer = false
        #expect(LockRefusal(unheard) == nil)
    }

    @Test("only a change that fails without a reason is uncertain") func uncertain() {
        let unexpected = failure("An unexpected internal error occurred.")
        #expect(unexpected.told("x", isChange: true, wedged: nil).isUncertain)
        #expect(!unexpected.told("x", isChange: false, wedged: nil).isUncertain)
        #expect(failure("", detail(.replicationFailure)).told("x", isChange: true, wedged: nil).isUncertain)
        #expect(!failure("lockmanager: version mismatch").told("x", isChange: true, wedged: nil).isUncertain)
        let unanswered = GRPCFailure(.deadlineExceeded, "no answer in time", at: "a:5051", wasSent: true, isAnswer: false)
        #expect(unanswered.told("x", isChange: true, wedged: nil).isUncertain)
    }

    @Test("a failure is reported with its kind") func kinds() {
        func kind(_ code: Raftlock_ErrorCode) -> CoordinationError.Kind {
            failure("", detail(code)).told("x", isChange: true, wedged: nil).kind
        }
        #expect(kind(.noLeader) == .unavailable)
        #expect(kind(.notLeader) == .unavailable)
        #expect(kind(.rateLimited) == .unavailable)
        #expect(kind(.waitQueueFull) == .unavailable)
        #expect(kind(.invalidArgument) == .usage)
        #expect(kind(.permissionDenied) == .denied)
        #expect(kind(.versionMismatch) == .denied)
    }

    @Test("a Raft leader counts as wedged after two failed writes in a row, if it still reads") func wedged() {
        var health = WriteHealth()
        health.failed(at: "a:5051")
        health.didRead(at: "a:5051")
        #expect(!health.isWedged(at: "a:5051"))
        health.failed(at: "a:5051")
        #expect(health.isWedged(at: "a:5051"))
        #expect(!health.isWedged(at: "b:5051"))
        health.wrote(at: "a:5051")
        #expect(!health.isWedged(at: "a:5051"))
        health.failed(at: "a:5051")
        health.failed(at: "a:5051")
        #expect(!health.isWedged(at: "a:5051"), "it might be dead: nothing was read")
        let told = failure("An unexpected internal error occurred.").told("cannot acquire web", isChange: true, wedged: "node2")
        #expect(told.reason == "leader node2 answers reads but refuses every write; restart it")
        #expect(told.isUncertain)
    }
}
