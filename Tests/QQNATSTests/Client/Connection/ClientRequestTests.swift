import QQCore
import Testing

@testable import QQNATS

@Suite("The client's requests") struct ClientRequestTests {
    @Test("requests share an inbox that is subscribed to once, and end with their answer") func answered() {
        let play = ClientPlay("a").connected()
        let first = play.request("q")
        #expect(first.actions == ["SUB _I.* 1", "PUB q _I.\(String(first.id, radix: 36))"])
        let second = play.request("q")
        #expect(second.actions == ["PUB q _I.\(String(second.id, radix: 36))"])
        #expect(play.answer(second.id) == ["\(second.id) is answered"])
        #expect(play.answer(first.id) == ["\(first.id) is answered"])
        #expect(play.answer(first.id) == [], "a second answer is ignored")
        #expect(play.timedOut(first.id) == [] && play.slow(first.id) == [] && play.forget(first.id) == [])
    }

    @Test("messages without the ID of a request do not answer any request") func strangers() {
        let play = ClientPlay("a").connected()
        _ = play.request("q")
        for subject in ["_I.zzz", "_I.", "_I.-", "_I.zzzzzzzzzzzzzzzzzzzzzz", "_I"] {
            #expect(play.receive(.message(sid: ClientState.inboxSID, NATSMessage(subject: subject))) == [])
        }
    }

    @Test("a request without subscribers fails immediately; status 503 with a body is an answer") func noResponders() {
        let play = ClientPlay("a").connected()
        let id = play.request("q").id
        #expect(play.answer(id, NATSHeaders(status: 503), payload: "") == ["\(id) fails: noResponders"])
        let other = play.request("q").id
        #expect(play.answer(other, NATSHeaders(status: 503), payload: "x") == ["\(other) is answered"])
    }

    @Test("requests in flight at a cut are uncertain, but repeatable requests are sent again") func cut() {
        let play = ClientPlay("a", "b").connected()
        play.after(2000)
        let write = play.request("w").id
        let read = play.request("r", repeatable: true).id
        #expect(play.cut() == ["disconnect", "disconnected: reset", "\(write) fails: disconnected, uncertain", "connect b"])
        #expect(play.ready() == ["connected to b", "timer 20000", "SUB _I.* 1", "PUB r _I.\(String(read, radix: 36))"])
        #expect(play.answer(read) == ["\(read) is answered"])
    }

    @Test("requests that wait for a connection fail with certainty if none can be made, even repeatable requests sent before")
    func unreachable() {
        let play = ClientPlay("a").connected()
        play.after(2000)
        let read = play.request("r", repeatable: true).id
        _ = play.cut()
        let write = play.request("w").id
        #expect(
            play.failed() == [
                "\(read) fails: disconnected", "\(write) fails: disconnected", "unreachable (disconnected), again in 100", "timer 100",
            ])
        let later = play.request("w")
        #expect(later.actions == [], "the request waits for the next round")
        play.after(100)
        #expect(play.timer() == ["connect a"])
        #expect(play.ready().last?.hasPrefix("PUB w") == true)
    }

    @Test("a slow request pings a silent connection, but not one with traffic") func slow() {
        let play = ClientPlay("a").connected()
        let id = play.request("q").id
        play.after(500)
        #expect(play.slow(id) == ["PING"])
        _ = play.receive(.pong)
        #expect(play.slow(id) == [])
    }

    @Test("a request that times out cuts a silent connection, but not one with traffic") func timedOut() {
        let play = ClientPlay("a", "b").connected()
        play.after(2000)
        let alone = play.request("q").id
        let other = play.request("q").id
        play.after(500)
        _ = play.answer(other)
        #expect(play.timedOut(alone) == ["\(alone) fails: timedOut, uncertain"])
        let read = play.request("r", repeatable: true).id
        #expect(play.timedOut(read) == ["\(read) fails: timedOut", "disconnect", "disconnected: the server is silent", "connect b"])
        let queued = play.request("w").id
        #expect(play.timedOut(queued) == ["\(queued) fails: disconnected"])
        #expect(play.ready() == ["connected to b", "timer 20000"])
    }

    @Test("a request that times out while no other is answered moves the client to another server, if there is one") func unanswered() {
        let play = ClientPlay("a", "b").connected()
        play.after(2000)
        let first = play.request("q").id
        play.after(500)
        _ = play.receive(.pong)
        #expect(
            play.timedOut(first) == [
                "\(first) fails: timedOut, uncertain", "disconnect", "disconnected: no request is answered through this server",
                "connect b",
            ])
        let lonely = ClientPlay("a").connected()
        let second = lonely.request("q").id
        lonely.after(500)
        _ = lonely.receive(.pong)
        #expect(lonely.timedOut(second) == ["\(second) fails: timedOut, uncertain"])
    }

    /// Answered reads do not prove that writes work, and requests that a server answers alone prove neither.
    @Test(
        "a request that times out moves the client to another server even if a request that proves less was answered",
        arguments: [
            (isRead: false, isOtherRead: false, isOtherLocal: false, isLeft: false), (false, true, false, true), (false, true, true, true),
            (true, true, false, false), (true, false, false, false), (true, true, true, true),
        ])
    func answeredLess(_ isRead: Bool, _ isOtherRead: Bool, _ isOtherLocal: Bool, _ isLeft: Bool) {
        let play = ClientPlay("a", "b").connected()
        play.after(2000)
        let first = play.request("q", repeatable: isRead).id
        let second = play.request("r", repeatable: isOtherRead, local: isOtherLocal).id
        play.after(100)
        _ = play.answer(second)
        #expect(play.timedOut(first).contains("connect b") == isLeft)
    }

    @Test("a request that times out soon after it was resent does not cut the new connection", arguments: [(10, false), (250, true)])
    func sentAgain(_ milliseconds: UInt64, _ isCut: Bool) {
        let play = ClientPlay("a", "b").connected()
        play.after(2000)
        let read = play.request("r", repeatable: true).id
        #expect(play.cut().last == "connect b")
        #expect(play.ready().contains { $0.hasPrefix("PUB r") })
        play.after(milliseconds)
        let actions = play.timedOut(read)
        #expect(actions.first == "\(read) fails: timedOut" && actions.contains("disconnect") == isCut)
    }

    @Test("requests whose caller stopped waiting are forgotten, and uncertain if they were sent") func forgotten() {
        let play = ClientPlay("a")
        let queued = play.request("q").id
        #expect(play.forget(queued) == ["\(queued) fails: disconnected"])
        #expect(play.ready() == ["connected to a", "timer 20000"])
        let sent = play.request("q").id
        #expect(play.forget(sent) == ["\(sent) fails: disconnected, uncertain"])
        #expect(play.answer(sent) == [])
    }

    @Test("requests larger than the server's limit are not sent") func tooLarge() {
        let play = ClientPlay("a").connected { $0.maxPayload = 4 }
        let small = play.request("q", payload: [1, 2, 3, 4])
        #expect(small.actions.last?.hasPrefix("PUB") == true)
        let large = play.request("q", payload: [1, 2, 3, 4, 5])
        #expect(large.actions == ["\(large.id) fails: tooLarge"])
        #expect(play.timedOut(large.id) == [])
    }

    @Test("only the requests on a forbidden subject are denied") func forbiddenPublish() {
        let play = ClientPlay("a").connected()
        let one = play.request("$KV.b.k").id
        let two = play.request("$KV.b.k").id
        let other = play.request("$KV.b.other").id
        #expect(
            play.receive(.error(#"Permissions Violation for Publish to "$KV.b.k""#)) == ["\(one) fails: denied", "\(two) fails: denied"])
        #expect(play.answer(other) == ["\(other) is answered"])
        #expect(
            play.receive(.error(#"Permissions Violation for Publish to "x""#))
                == [#"complaint: Permissions Violation for Publish to "x""#])
    }

    @Test("requests are denied if the inbox is forbidden, and the next request subscribes to it again") func forbiddenInbox() {
        let play = ClientPlay("a").connected()
        let one = play.request("q").id
        #expect(play.receive(.error(#"Permissions Violation for Subscription to "_I.*""#)) == ["\(one) fails: denied"])
        #expect(play.request("q").actions.first == "SUB _I.* 1")
    }
}
