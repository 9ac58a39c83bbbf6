import QQCore
import Testing

@testable import QQNATS

@Suite("The client's subscriptions and its servers") struct ClientSubscriptionTests {
    @Test("a subscription delivers its messages until it ends") func messages() {
        let play = ClientPlay("a").connected()
        #expect(play.subscribe(2, "s") == ["SUB s 2"])
        #expect(play.receive(.message(sid: 2, NATSMessage(subject: "s"))) == ["message for 2"])
        #expect(play.receive(.message(sid: 3, NATSMessage(subject: "s"))) == [])
        #expect(play.unsubscribe(2) == ["UNSUB 2"])
        #expect(play.unsubscribe(2) == [])
        #expect(play.receive(.message(sid: 2, NATSMessage(subject: "s"))) == [])
    }

    @Test("a forbidden subscription ends, with or without a queue group, and the others stay") func forbidden() {
        let play = ClientPlay("a").connected()
        _ = play.subscribe(2, "s")
        _ = play.subscribe(3, "t", queue: "g")
        #expect(play.receive(.error(#"Permissions Violation for Subscription to "t" using queue "g""#)) == ["3 ends: denied"])
        #expect(play.receive(.error(#"Permissions Violation for Subscription to "s""#)) == ["2 ends: denied"])
        play.after(2000)
        #expect(play.cut() == ["disconnect", "disconnected: reset", "connect a"])
    }

    @Test("messages published without a connection are dropped") func publish() {
        let play = ClientPlay("a")
        #expect(play.publish("p") == [])
        _ = play.wake()
        #expect(play.publish("p") == [])
        _ = play.ready()
        #expect(play.publish("p") == ["PUB p "])
    }

    @Test(
        "a complaint with which servers close connections cuts the connection",
        arguments: ["Slow Consumer", "Stale Connection", "Parser Error", "x"])
    func complaints(text: String) {
        let play = ClientPlay("a", "b").connected()
        play.after(2000)
        #expect(play.receive(.error(text)) == ["disconnect", "disconnected: the server says: \(text)", "connect b"])
    }

    @Test("announced servers are tried after the configured ones, and forgotten when they are no longer announced") func announced() {
        let play = ClientPlay("a")
        _ = play.wake()
        #expect(play.ready { $0.connectURLs = ["a:4222", "b:4222", "c:4222"] } == ["connected to a", "timer 20000", "found b c"])
        #expect(play.receive(.info(ClientPlay.info { $0.connectURLs = ["a:4222", "c:4222"] })) == [])
        play.after(2000)
        #expect(play.cut().last == "connect c")
        #expect(play.failed() == ["connect a"])
        #expect(play.failed().last == "timer 100")
    }

    @Test("requests in flight can finish on a lame duck server, and new requests wait for another server") func lameDuck() {
        let play = ClientPlay("a", "b").connected()
        play.after(5000)
        let request = play.request("w").id
        _ = play.subscribe(2, "s")
        #expect(play.receive(.info(ClientPlay.info { $0.isLameDuck = true })) == ["a is leaving", "timer 1000"])
        #expect(play.receive(.info(ClientPlay.info { $0.isLameDuck = true })) == [])
        let late = play.request("r")
        #expect(late.actions == [])
        #expect(play.state.server?.host == "a")
        #expect(
            play.answer(request) == [
                "\(request) is answered", "disconnect", "disconnected: the server is shutting down", "2 is disconnected", "connect b",
            ])
        #expect(play.ready().contains("PUB r _I.\(String(late.id, radix: 36))"))
    }

    @Test("a lame duck server without requests is left immediately, and used again only if there is no other") func lameDuckIdle() {
        let play = ClientPlay("a", "b").connected()
        play.after(5000)
        #expect(
            play.receive(.info(ClientPlay.info { $0.isLameDuck = true })) == [
                "a is leaving", "disconnect", "disconnected: the server is shutting down", "connect b",
            ])
        #expect(play.failed() == ["connect a"])
    }

    @Test("requests in flight get at most a second on a lame duck server") func lameDuckSlow() {
        let play = ClientPlay("a", "b").connected()
        play.after(5000)
        let request = play.request("w").id
        _ = play.receive(.info(ClientPlay.info { $0.isLameDuck = true }))
        play.after(400)
        #expect(play.timer() == ["timer 600"])
        play.after(600)
        #expect(
            play.timer() == [
                "disconnect", "disconnected: the server is shutting down", "\(request) fails: disconnected, uncertain", "connect b",
            ])
    }

    @Test("a lame duck server that is the only one is kept until it closes the connection") func lameDuckAlone() {
        let play = ClientPlay("a").connected()
        #expect(play.receive(.info(ClientPlay.info { $0.isLameDuck = true })) == ["a is leaving"])
        #expect(play.receive(.info(ClientPlay.info { $0.isLameDuck = true })) == [])
        #expect(play.request("q").actions.count == 2)
    }

    @Test("a silent lame duck server whose last request times out is left only once") func lameDuckSilent() {
        let play = ClientPlay("a", "b").connected()
        play.after(5000)
        let request = play.request("w").id
        play.now -= 1
        _ = play.receive(.info(ClientPlay.info { $0.isLameDuck = true }))
        play.now += 1
        #expect(
            play.timedOut(request) == [
                "\(request) fails: timedOut, uncertain", "disconnect", "disconnected: the server is shutting down", "connect b",
            ])
    }
}
