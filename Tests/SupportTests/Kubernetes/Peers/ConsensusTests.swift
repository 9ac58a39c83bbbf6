import QQCore
import Testing

@testable import Support

@Suite("Simulated Consensus nodes")
struct ConsensusTests {
    @Test("a node makes a missing lease one interval after its start, without transitions") func create() throws {
        let simulation = PeerSimulation()
        simulation.consensus("a")
        let took = try #require(simulation.pass { simulation.leads("a") })
        #expect(took >= .seconds(2) && took < .seconds(2.1))
        #expect(simulation.calls("a") == ["GET 404", "POST 201"])
        #expect(simulation.spec["leaseTransitions"] == nil && simulation.spec["leaseDurationSeconds"] == 5)
    }

    @Test("a leader reads and writes every interval, and keeps the time of its acquisition") func renew() {
        let simulation = PeerSimulation()
        simulation.consensus("a")
        simulation.pass(.seconds(3))
        let acquired = simulation.spec["acquireTime"]
        let since = simulation.now
        simulation.pass(.seconds(10))
        #expect(simulation.calls("a", since: since) == Array(repeating: ["GET 200", "PUT 200"], count: 5).flatMap { $0 })
        #expect(simulation.spec["acquireTime"] == acquired)
    }

    @Test("a lease is free by its time and duration and the wall clock, however long it was seen", arguments: [0, 4, 100])
    func wallClock(age: Int) throws {
        let simulation = PeerSimulation()
        simulation.hold("dead", duration: 5, renewed: .seconds(age))
        simulation.consensus("b")
        let took = try #require(simulation.pass { simulation.leads("b") })
        #expect(took > .seconds(5 - age) && took <= .seconds(max(2.1, 7.1 - Double(age))))
        #expect(simulation.spec["leaseTransitions"] == 3, "a take-over does not count")
    }

    @Test("a lease without time or duration is free, also when it has a holder", arguments: ["renewTime", "leaseDurationSeconds"])
    func fields(_ missing: String) {
        let simulation = PeerSimulation()
        simulation.hold("other")
        simulation.editSpec { $0[missing] = nil }
        simulation.consensus("b")
        simulation.pass(.seconds(2.1))
        #expect(simulation.leads("b"))
    }

    @Test("a lease without holder is taken only when its time is over: 6 s and up to an interval of 6 s") func released() throws {
        let simulation = PeerSimulation()
        simulation.hold("", duration: 6)
        simulation.consensus("b")
        let took = try #require(simulation.pass { simulation.leads("b") })
        #expect(took >= .seconds(6) && took <= .seconds(8.1))
    }

    @Test("a release that a node sees has a duration of 1 s and a time of a second ago") func visibleRelease() {
        let simulation = PeerSimulation()
        simulation.consensus("b")
        simulation.pass(.seconds(1.9))
        simulation.hold("", duration: 1, renewed: .seconds(1))
        simulation.pass(.seconds(0.2))
        #expect(simulation.leads("b"))
    }

    @Test("a release leaves times and duration, and the term is over before it is written") func release() throws {
        let simulation = PeerSimulation()
        simulation.consensus("a")
        simulation.pass(.seconds(5))
        let before = simulation.spec
        simulation.cancel("a")
        #expect(!simulation.leads("a"))
        simulation.pass(.milliseconds(10))
        var expected = before
        expected["holderIdentity"] = nil
        #expect(simulation.spec == expected)
    }

    @Test("a client-go candidate takes a released lease at its next try") func handsOver() throws {
        let simulation = PeerSimulation()
        simulation.consensus("a")
        simulation.pass(.seconds(5))
        simulation.clientGo("b")
        simulation.pass(.seconds(1))
        simulation.cancel("a")
        let took = try #require(simulation.pass { simulation.leads("b") })
        #expect(took < .seconds(4.5))
    }

    @Test("a release is given up after 5 s, and another holder's lease is left alone") func releaseLimits() throws {
        let simulation = PeerSimulation()
        simulation.consensus("a")
        simulation.pass(.seconds(3))
        simulation.part("a")
        simulation.cancel("a")
        simulation.pass(.seconds(6))
        simulation.heal("a")
        simulation.pass(.seconds(1))
        #expect(simulation.holder == "a")
        simulation.consensus("b")
        simulation.pass(.seconds(7))
        #expect(simulation.leads("b"))
        simulation.hold("other")
        simulation.cancel("b")
        simulation.pass(.seconds(1))
        #expect(simulation.holder == "other")
    }

    @Test("one failure does not end a term; two in a row do, and another holder's name counts as one") func failures() throws {
        let simulation = PeerSimulation()
        simulation.consensus("a")
        simulation.pass(.seconds(3))
        let before = simulation.spec
        simulation.hold("other", duration: 100)
        simulation.pass(.seconds(2))
        #expect(simulation.leads("a"))
        simulation.editSpec { $0 = before }
        simulation.pass(.seconds(2))
        simulation.hold("other", duration: 100)
        let led = try #require(simulation.pass { !simulation.leads("a") })
        #expect(led > .seconds(2) && led <= .seconds(4.01))
    }

    @Test("a leader whose server does not answer leads on without a limit") func hung() {
        let simulation = PeerSimulation()
        simulation.consensus("a") { $0.leaseDuration = .seconds(15) }
        simulation.pass(.seconds(3))
        simulation.part("a")
        simulation.pass(.seconds(600))
        #expect(simulation.leads("a"))
    }

    @Test("a leader that was stopped leads on for two intervals beside the next one") func stopped() throws {
        let simulation = PeerSimulation()
        simulation.consensus("a")
        simulation.consensus("b")
        simulation.pass(.seconds(3))
        let (first, second) = simulation.leads("a") ? ("a", "b") : ("b", "a")
        simulation.pause(first)
        _ = try #require(simulation.pass { simulation.leads(second) })
        simulation.resume(first)
        #expect(simulation.leads(first) && simulation.leads(second))
        let both = try #require(simulation.pass { !simulation.leads(first) })
        #expect(both <= .seconds(4.1))
        #expect(simulation.leads(second))
    }
}
