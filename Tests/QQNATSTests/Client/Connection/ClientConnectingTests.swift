import QQCore
import Testing

@testable import QQNATS

@Suite("The client's connection") struct ClientConnectingTests {
    @Test("the client connects when it is first used, and only once") func wake() {
        let play = ClientPlay("a", "b")
        #expect(play.state.server == nil)
        #expect(play.wake() == ["connect a"])
        #expect(play.wake() == [])
        #expect(play.ready() == ["connected to a", "timer 20000"])
        #expect(play.wake() == [])
        #expect(play.state.server?.host == "a")
        #expect(play.state.info?.version == "2.12.0")
    }

    @Test("the client tries the next server after a failure, and sends waiting requests once connected") func nextServer() {
        let play = ClientPlay("a", "b")
        let request = play.request("q")
        #expect(request.actions == ["connect a"])
        #expect(play.subscribe(2, "s") == [])
        #expect(play.publish("lost") == [])
        #expect(play.failed() == ["connect b"])
        #expect(
            play.ready() == [
                "connected to b", "timer 20000", "SUB s 2", "2 is reconnected", "SUB _I.* 1",
                "PUB q _I.\(String(request.id, radix: 36))",
            ])
    }

    @Test("a round without a connection fails the waiting requests, and the pause before the next round doubles up to its limit")
    func backoff() {
        let play = ClientPlay("a", "b") { $0.reconnectWait = .milliseconds(100) }
        let request = play.request("q")
        _ = play.failed()
        #expect(play.failed() == ["\(request.id) fails: disconnected", "unreachable (disconnected), again in 100", "timer 100"])
        for pause in [200, 400, 800, 1600, 2000, 2000, 2000] {
            // A timer set earlier can fire too early.
            #expect(play.timer().first?.hasPrefix("timer") == true)
            play.after(2000)
            #expect(play.timer() == ["connect a"])
            #expect(play.failed() == ["connect b"])
            #expect(play.failed() == ["unreachable (disconnected), again in \(pause)", "timer \(pause)"])
        }
    }

    @Test("jitter shortens the pause between rounds by at most half", arguments: [0, 0.25, 0.5, 0.999_999])
    func jitter(random: Double) {
        let play = ClientPlay("a", random: random) { $0.reconnectWait = .milliseconds(1000) }
        _ = play.wake()
        let pause = Int(1000 * (1 - random / 2))
        #expect(play.failed() == ["unreachable (disconnected), again in \(pause)", "timer \(pause)"])
    }

    @Test("a request shortens the pause between rounds, but not to nothing each time") func requestWhileBackedOff() {
        let play = ClientPlay("a") { $0.reconnectWait = .milliseconds(1000) }
        _ = play.wake()
        #expect(play.failed().last == "timer 1000")
        play.after(100)
        #expect(play.request("q").actions == ["timer 150"])
        #expect(play.request("r").actions == [])
        play.after(150)
        #expect(play.timer() == ["connect a"])
        #expect(play.failed().last == "timer 2000")
        play.after(900)
        #expect(play.request("s").actions == ["timer 0"])
        #expect(play.timer() == ["connect a"])
    }

    @Test("a useless connection is left for another server after at least a second, and kept if there is no other server")
    func ofNoUse() {
        let play = ClientPlay("a", "b").connected()
        play.after(999)
        #expect(play.seekAnother() == [])
        play.after(1)
        #expect(play.seekAnother().last == "connect b")
        #expect(play.seekAnother() == [])
        let alone = ClientPlay("a").connected()
        alone.after(5000)
        #expect(alone.seekAnother() == [])
    }

    @Test("the pause does not overflow after many rounds") func manyRounds() {
        let play = ClientPlay("a") {
            $0.reconnectWait = .seconds(1)
            $0.reconnectWaitMaximum = .seconds(86400)
        }
        _ = play.wake()
        for _ in 0..<200 {
            _ = play.failed()
            play.after(86_400_000)
            #expect(play.timer() == ["connect a"])
        }
        #expect(play.failed() == ["unreachable (disconnected), again in 65536000", "timer 65536000"])
    }

    @Test("a connection that is cut is replaced immediately, with another server first") func cut() {
        let play = ClientPlay("a", "b").connected()
        _ = play.subscribe(2, "s")
        _ = play.subscribe(3, "t", queue: "g")
        play.after(5000)
        #expect(play.cut() == ["disconnect", "disconnected: reset", "2 is disconnected", "3 is disconnected", "connect b"])
        #expect(play.state.server == nil)
        #expect(play.failed() == ["connect a"])
        #expect(
            play.ready() == [
                "connected to a", "timer 20000", "SUB s 2", "2 is reconnected", "SUB t g 3", "3 is reconnected",
            ])
    }

    @Test("a server that drops each connection immediately is not tried repeatedly without a pause") func shortConnections() {
        let play = ClientPlay("a").connected()
        // A single short connection might be a restart.
        #expect(play.cut().last == "connect a")
        _ = play.ready()
        for pause in [100, 200, 400] {
            #expect(play.cut().suffix(2) == ["unreachable (disconnected), again in \(pause)", "timer \(pause)"])
            play.after(UInt64(pause))
            #expect(play.timer() == ["connect a"])
            _ = play.ready()
        }
        // A connection that lasts resets the pauses.
        play.after(1000)
        #expect(play.cut().last == "connect a")
        #expect(play.failed().last == "timer 100")
    }

    @Test("after a short connection the servers that were not tried yet come next") func shortConnectionsOfMany() {
        let play = ClientPlay("a", "b", "c").connected()
        #expect(play.cut().last == "connect b")
        _ = play.ready()
        #expect(play.cut().last == "connect c")
        _ = play.ready()
        #expect(play.cut().last == "connect a")
        _ = play.ready()
        #expect(play.cut().last == "timer 100")
    }

    @Test("a connection cut during its handshake counts as a failed server") func cutInHandshake() {
        let play = ClientPlay("a", "b")
        _ = play.wake()
        #expect(play.cut() == ["connect b"])
        #expect(play.cut() == ["unreachable (disconnected), again in 100", "timer 100"])
    }

    @Test("a closed client never connects again; its requests fail, and those that might have been carried out are uncertain") func closed()
    {
        let play = ClientPlay("a").connected()
        let write = play.request("w").id
        let read = play.request("r", repeatable: true).id
        let actions = play.close()
        #expect(actions.first == "disconnect")
        #expect(Set(actions.dropFirst()) == ["\(write) fails: disconnected, uncertain", "\(read) fails: disconnected"])
        #expect(play.wake() == [] && play.timer() == [] && play.cut() == [] && play.ready() == [] && play.failed() == [])
        #expect(play.receive(.ping) == [])
        let late = play.request("q")
        #expect(late.actions == ["\(late.id) fails: disconnected"])
        #expect(play.subscribe(2, "s") == [] && play.unsubscribe(2) == [])
    }

    @Test("closing the client while it connects fails the waiting requests with certainty, since they were not sent")
    func closedWhileConnecting() {
        let play = ClientPlay("a")
        let id = play.request("w").id
        #expect(play.close() == ["disconnect", "\(id) fails: disconnected"])
        #expect(play.ready() == [])
    }

    @Test("the failure of all servers gives the reason, and counts as denied only if all servers deny") func failures() {
        let play = ClientPlay("a", "b")
        _ = play.request("q")
        _ = play.failed("no", .denied)
        #expect(play.failed("no", .denied).last { $0.hasPrefix("unreachable") } == "unreachable (denied), again in 100")
        play.after(100)
        _ = play.timer()
        _ = play.failed("no", .denied)
        #expect(play.failed("refused").last { $0.hasPrefix("unreachable") } == "unreachable (disconnected), again in 200")
    }

    @Test("a silent connection is pinged, and cut after two unanswered pings") func silence() {
        let play = ClientPlay("a", "b") { $0.pingInterval = .seconds(10) }.connected()
        play.after(4000)
        #expect(play.timer() == ["timer 6000"])
        play.after(6000)
        #expect(play.timer() == ["PING", "timer 10000"])
        play.after(10000)
        #expect(play.timer() == ["PING", "timer 10000"])
        play.after(10000)
        #expect(play.timer() == ["disconnect", "disconnected: the server is silent", "connect b"])
    }

    @Test("a connection with traffic is not cut") func notSilent() {
        let play = ClientPlay("a") { $0.pingInterval = .seconds(10) }.connected()
        play.after(10000)
        #expect(play.timer() == ["PING", "timer 10000"])
        #expect(play.receive(.pong) == [])
        for _ in 0..<5 {
            play.after(9000)
            #expect(play.receive(.ping) == ["PONG"])
            play.after(1000)
            #expect(play.timer() == ["timer 10000"])
        }
    }
}
