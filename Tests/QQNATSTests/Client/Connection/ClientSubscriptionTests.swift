import QQCore
import Testing

@testable import QQNATS

@Suite("The client's subscriptions and its servers") struct ClientSubscriptionTests {
    @Test("deliver their messages, until they end") func messages() {
        let play = ClientPlay("a").connected()
        #expect(play.subscribe(2, "s") == ["SUB s 2"])
        #expect(play.hear(.message(sid: 2, NATSMessage(subject: "s"))) == ["message for 2"])
        #expect(play.hear(.message(sid: 3, NATSMessage(subject: "s"))) == [])
        #expect(play.unsubscribe(2) == ["UNSUB 2"])
        #expect(play.unsubscribe(2) == [])
        #expect(play.hear(.message(sid: 2, NATSMessage(subject: "s"))) == [])
    }

    @Test("that are not allowed end, with a queue or without, and the others stay") func forbidden() {
        let play = ClientPlay("a").connected()
        _ = play.subscribe(2, "s")
        _ = play.subscribe(3, "t", queue: "g")
        #expect(play.hear(.error(#"Permissions Violation for Subscription to "t" using queue "g""#)) == ["3 ends: denied"])
        #expect(play.hear(.error(#"Permissions Violation for Subscription to "s""#)) == ["2 ends: denied"])
        play.after(2000)
        #expect(play.cut() == ["disconnect", "disconnected: reset", "connect a"])
    }

    @Test("are not there for what is published while there is no connection") func publish() {
        let play = ClientPlay("a")
        #expect(play.publish("p") == [])
        _ = play.wake()
        #expect(play.publish("p") == [])
        _ = play.ready()
        #expect(play.publish("p") == ["PUB p "])
    }

    @Test(
        "a complaint of the server's that ends connections ends this one",
        arguments: ["Slow Consumer", "Stale Connection", "Parser Error", "x"])
    func complaints(text: String) {
        let play = ClientPlay("a", "b").connected()
        play.after(2000)
        #expect(play.hear(.error(text)) == ["disconnect", "disconnected: the server says: \(text)", "connect b"])
    }

    @Test("servers that are announced are tried after those that we were told of, and forgotten when they are gone") func announced() {
        let play = ClientPlay("a")
        _ = play.wake()
        #expect(play.ready { $0.connectURLs = ["a:4222", "b:4222", "c:4222"] } == ["connected to a", "timer 20000", "found b c"])
        #expect(play.hear(.info(ClientPlay.info { $0.connectURLs = ["a:4222", "c:4222"] })) == [])
        play.after(2000)
        #expect(play.cut().last == "connect c")
        #expect(play.failed() == ["connect a"])
        #expect(play.failed().last == "timer 100")
    }

    @Test("a lame duck's requests may end before we go to another server, and new ones wait for that") func lameDuck() {
        let play = ClientPlay("a", "b").connected()
        play.after(5000)
        let request = play.request("w").id
        _ = play.subscribe(2, "s")
        #expect(play.hear(.info(ClientPlay.info { $0.isLameDuck = true })) == ["a is leaving", "timer 1000"])
        #expect(play.hear(.info(ClientPlay.info { $0.isLameDuck = true })) == [])
        let late = play.request("r")
        #expect(late.said == [])
        #expect(play.state.server?.host == "a")
        #expect(
            play.answer(request) == [
                "\(request) is answered", "disconnect", "disconnected: the server is shutting down", "2 is disconnected", "connect b",
            ])
        #expect(play.ready().contains("PUB r _I.\(String(late.id, radix: 36))"))
    }

    @Test("a lame duck without requests is left at once, and taken again only where there is no other") func lameDuckIdle() {
        let play = ClientPlay("a", "b").connected()
        play.after(5000)
        #expect(
            play.hear(.info(ClientPlay.info { $0.isLameDuck = true })) == [
                "a is leaving", "disconnect", "disconnected: the server is shutting down", "connect b",
            ])
        #expect(play.failed() == ["connect a"])
    }

    @Test("a lame duck is not waited for longer than a second") func lameDuckSlow() {
        let play = ClientPlay("a", "b").connected()
        play.after(5000)
        let request = play.request("w").id
        _ = play.hear(.info(ClientPlay.info { $0.isLameDuck = true }))
        play.after(400)
        #expect(play.timer() == ["timer 600"])
        play.after(600)
        #expect(
            play.timer() == [
                "disconnect", "disconnected: the server is shutting down", "\(request) fails: disconnected, uncertain", "connect b",
            ])
    }

    @Test("a lame duck that is the only server is kept to its end") func lameDuckAlone() {
        let play = ClientPlay("a").connected()
        #expect(play.hear(.info(ClientPlay.info { $0.isLameDuck = true })) == ["a is leaving"])
        #expect(play.hear(.info(ClientPlay.info { $0.isLameDuck = true })) == [])
        #expect(play.request("q").said.count == 2)
    }

    @Test("a lame duck whose last request times out in silence is left once") func lameDuckSilent() {
        let play = ClientPlay("a", "b").connected()
        play.after(5000)
        let request = play.request("w").id
        play.now -= 1
        _ = play.hear(.info(ClientPlay.info { $0.isLameDuck = true }))
        play.now += 1
        #expect(
            play.timedOut(request) == [
                "\(request) fails: timedOut, uncertain", "disconnect", "disconnected: the server is shutting down", "connect b",
            ])
    }
}
