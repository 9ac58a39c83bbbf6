import QQCore
import Testing

@testable import Support

@Suite("Simulated client-go electors")
struct ClientGoTests {
    // MARK: Candidates

    @Test("a candidate creates a missing lease with all fields, and renews it in the same second")
    func create() {
        let simulation = PeerSimulation()
        simulation.clientGo("a")
        simulation.pass(.milliseconds(10))
        #expect(simulation.calls("a") == ["GET 404", "POST 201", "PUT 200"])
        #expect(simulation.leads("a"))
        #expect(simulation.spec["leaseTransitions"] == 0 && simulation.spec["leaseDurationSeconds"] == 15)
        #expect(simulation.holder == "a")
    }

    @Test("a candidate that starts waits a whole duration, whatever the lease's times are")
    func wholeDuration() throws {
        let simulation = PeerSimulation()
        simulation.hold("dead", renewed: .seconds(1_000_000))
        simulation.clientGo("b")
        let taken = try #require(simulation.pass { simulation.leads("b") })
        #expect(taken >= .seconds(15) && taken < .seconds(19.5))
        #expect(simulation.spec["leaseTransitions"] == 4)
    }

    @Test("the candidate counts the record's duration, not its own")
    func recordsDuration() throws {
        let simulation = PeerSimulation()
        simulation.hold("dead", duration: 3)
        simulation.clientGo("b")
        let taken = try #require(simulation.pass { simulation.leads("b") })
        #expect(taken >= .seconds(3) && taken < .seconds(7.5))
    }

    @Test("a lease without holder or with the candidate's own name is taken immediately", arguments: ["", "b"])
    func free(_ holder: String) {
        let simulation = PeerSimulation()
        simulation.hold(holder)
        simulation.clientGo("b")
        simulation.pass(.milliseconds(10))
        #expect(simulation.leads("b"))
        // One's own name is no new term.
        #expect(simulation.spec["leaseTransitions"] == (holder == "b" ? 3 : 4))
    }

    @Test("a lease without duration is taken at the second try, because the first one began before it was seen") func noDuration() throws {
        let simulation = PeerSimulation()
        simulation.hold("other", duration: nil)
        simulation.clientGo("b")
        let took = try #require(simulation.pass { simulation.leads("b") })
        #expect(took < .seconds(4.5))
        #expect(simulation.calls("b").prefix(3) == ["GET 200", "GET 200", "PUT 200"])
    }

    @Test("a candidate reads at 1 to 2.2 times its retry period, never at the same pace, and nothing else")
    func pace() {
        let simulation = PeerSimulation()
        simulation.hold("other", duration: 1000)
        simulation.clientGo("b")
        simulation.pass(.seconds(200))
        #expect(Set(simulation.calls("b")) == ["GET 200"])
        let times = simulation.records.map(\.at)
        let gaps = zip(times, times.dropFirst()).map { $1 - $0 }
        #expect(gaps.allSatisfy { $0 >= .seconds(2) && $0 <= .seconds(4.41) })
        #expect((gaps.min() ?? .zero) < .seconds(2.4) && (gaps.max() ?? .zero) > .seconds(4))
    }

    @Test("a renewal within the second of the last one is not seen: the candidate counts from the earlier one")
    func sameSecond() throws {
        let simulation = PeerSimulation()
        // The simulation begins 0.3 s after a second.
        simulation.hold("other", duration: 4)
        simulation.clientGo("b") { $0.retryPeriod = .milliseconds(50) }
        simulation.pass(.milliseconds(600))
        simulation.editSpec { $0["renewTime"] = simulation.time.wall.micro }
        let taken = try #require(simulation.pass { simulation.leads("b") })
        #expect(taken < .seconds(3.6))
    }

    @Test("a renewal in a new second is seen") func newSecond() throws {
        let simulation = PeerSimulation()
        simulation.hold("other", duration: 4)
        simulation.clientGo("b") { $0.retryPeriod = .milliseconds(50) }
        simulation.pass(.milliseconds(800))
        simulation.editSpec { $0["renewTime"] = simulation.time.wall.micro }
        #expect(try #require(simulation.pass { simulation.leads("b") }) >= .seconds(4))
    }

    @Test("a label edit is not a change") func labels() throws {
        let simulation = PeerSimulation()
        simulation.hold("other", duration: 4)
        simulation.clientGo("b") { $0.retryPeriod = .milliseconds(50) }
        simulation.pass(.seconds(2))
        simulation.edit { lease in
            var metadata = lease["metadata"]?.objectValue ?? [:]
            metadata["labels"] = ["a": "b"]
            lease["metadata"] = .object(metadata)
        }
        #expect(try #require(simulation.pass { simulation.leads("b") }) < .seconds(2.2))
        #expect(simulation.stored?["metadata"]?["labels"] == ["a": "b"], "a take-over keeps metadata")
    }

    @Test("from a leader's SIGKILL to the next leader it takes the lease's duration and up to 4.4 s") func failover() throws {
        let simulation = PeerSimulation()
        simulation.clientGo("a")
        simulation.pass(.milliseconds(500))
        simulation.clientGo("b") { $0.seed = 1 }
        simulation.pass(.seconds(30))
        simulation.kill("a")
        let took = try #require(simulation.pass { simulation.leads("b") })
        #expect(took > .seconds(12.9) && took < .seconds(19.5))
    }

    // MARK: Leaders

    @Test("a leader renews every retry period by PUT without GET, and keeps the time of its acquisition") func renew() {
        let simulation = PeerSimulation()
        simulation.clientGo("a")
        simulation.pass(.milliseconds(100))
        let acquired = simulation.spec["acquireTime"]
        let since = simulation.now
        simulation.pass(.seconds(20))
        #expect(Set(simulation.calls("a", since: since)) == ["PUT 200"])
        #expect((9...10).contains(simulation.calls("a", since: since).count))
        #expect(simulation.spec["acquireTime"] == acquired && simulation.spec["leaseTransitions"] == 0)
    }

    @Test("a leader that meets a conflict reads and writes again immediately, and continues") func slowPath() {
        let simulation = PeerSimulation()
        simulation.clientGo("a")
        simulation.pass(.milliseconds(100))
        simulation.edit { lease in
            var metadata = lease["metadata"]?.objectValue ?? [:]
            metadata["annotations"] = ["a": "b"]
            lease["metadata"] = .object(metadata)
        }
        let since = simulation.now
        simulation.pass(.seconds(3))
        #expect(simulation.calls("a", since: since) == ["PUT 409", "GET 200", "PUT 200"])
        #expect(simulation.leads("a") && simulation.spec["leaseTransitions"] == 0)
        #expect(simulation.stored?["metadata"]?["annotations"] == ["a": "b"])
    }

    @Test("a leader that reads another holder leads on until its renew deadline: 4 to 5 s, with a deadline of 4 s") func leadsOn() throws {
        let simulation = PeerSimulation()
        simulation.clientGo("a") {
            $0.leaseDuration = .seconds(5)
            $0.renewDeadline = .seconds(4)
            $0.retryPeriod = .seconds(1)
        }
        simulation.pass(.milliseconds(100))
        simulation.hold("other", duration: 60)
        let led = try #require(simulation.pass { !simulation.leads("a") })
        #expect(led >= .seconds(4) && led <= .seconds(5.01))
        #expect(simulation.holder == "other")
    }

    @Test("a leader whose holder is cleared takes the lease again within its retry period, and nobody hears of it") func cleared() throws {
        let simulation = PeerSimulation()
        simulation.clientGo("a")
        simulation.pass(.milliseconds(100))
        simulation.editSpec { $0["holderIdentity"] = "" }
        let took = try #require(simulation.pass { simulation.holder == "a" })
        #expect(took <= .seconds(2.01))
        #expect(simulation.spec["leaseTransitions"] == 1)
        #expect(simulation.changes("a").count == 1)
    }

    @Test("a leader whose lease is deleted makes it again within its retry period, and nobody hears of it") func deleted() throws {
        let simulation = PeerSimulation()
        simulation.clientGo("a")
        simulation.pass(.milliseconds(100))
        simulation.delete()
        let took = try #require(simulation.pass { simulation.holder == "a" })
        #expect(took <= .seconds(2.01))
        #expect(simulation.spec["leaseTransitions"] == 0)
        #expect(simulation.changes("a").count == 1)
    }

    @Test("only another holder, for longer than deadline and retry, ends a leader") func outlasted() {
        let simulation = PeerSimulation()
        simulation.clientGo("a")
        simulation.pass(.milliseconds(100))
        simulation.hold("other", duration: 60)
        simulation.pass(.seconds(8))
        simulation.editSpec { $0["holderIdentity"] = "" }
        simulation.pass(.seconds(5))
        #expect(simulation.changes("a").count == 1 && simulation.holder == "a", "cleared too soon")
        simulation.hold("other", duration: 60)
        simulation.pass(.seconds(12.1))
        simulation.editSpec { $0["holderIdentity"] = "" }
        simulation.pass(.seconds(5))
        #expect(!simulation.leads("a") && simulation.holder == "")
    }

    @Test("a leader whose server does not answer says that it has lost 10 to 12 s after its last renewal") func hung() throws {
        let simulation = PeerSimulation()
        simulation.clientGo("a")
        simulation.pass(.milliseconds(100))
        simulation.part("a")
        let led = try #require(simulation.pass { !simulation.leads("a") })
        #expect(led >= .seconds(10) && led <= .seconds(12.1))
        #expect(Set(simulation.calls("a", since: .milliseconds(100))) == ["PUT 0", "GET 0"])
        let gaveUp = simulation.records.last { $0.status == 0 }
        #expect(gaveUp?.at ?? .zero <= led + .milliseconds(101))
    }

    @Test("a leader that was stopped leads on beside the next one when it is resumed") func stopped() throws {
        let simulation = PeerSimulation()
        func short(_ settings: inout ClientGoElector.Settings) {
            settings.leaseDuration = .seconds(4)
            settings.renewDeadline = .seconds(3)
            settings.retryPeriod = .seconds(1)
        }
        simulation.clientGo("a", short)
        simulation.clientGo("b", short)
        simulation.pass(.seconds(3))
        simulation.pause("a")
        _ = try #require(simulation.pass { simulation.leads("b") })
        simulation.resume("a")
        #expect(simulation.leads("a"))
        let both = try #require(simulation.pass { !simulation.leads("a") })
        #expect(both >= .seconds(2.9) && both <= .seconds(3.2))
        #expect(simulation.leads("b"))
    }

    // MARK: Release

    @Test("a release leaves no holder, a duration of 1 s, both times now and the transitions as they were") func release() {
        let simulation = PeerSimulation()
        simulation.hold("", transitions: 6)
        simulation.clientGo("a") { $0.releasesOnCancel = true }
        simulation.pass(.seconds(3))
        simulation.cancel("a")
        let now = simulation.time.wall + .milliseconds(1)
        simulation.pass(.milliseconds(10))
        #expect(
            simulation.spec
                == [
                    "holderIdentity": "", "leaseDurationSeconds": 1, "acquireTime": now.micro, "renewTime": now.micro,
                    "leaseTransitions": 7,
                ])
        #expect(!simulation.leads("a"))
    }

    @Test("a leader that does not release on cancel leaves its lease") func noRelease() {
        let simulation = PeerSimulation()
        simulation.clientGo("a")
        simulation.pass(.seconds(3))
        simulation.cancel("a")
        simulation.pass(.seconds(1))
        #expect(simulation.holder == "a" && !simulation.leads("a"))
    }

    @Test("a leader leads until its release is answered") func leadsWhileReleasing() throws {
        let simulation = PeerSimulation()
        simulation.clientGo("a") { $0.releasesOnCancel = true }
        simulation.pass(.seconds(3))
        simulation.part("a")
        simulation.cancel("a")
        let led = try #require(simulation.pass { !simulation.leads("a") })
        #expect(led >= .seconds(5) && led <= .seconds(10.1))
    }

    @Test("a leader that was cut off and healed after a take-over wipes the valid lease of the next leader") func wipes() throws {
        let simulation = PeerSimulation()
        simulation.clientGo("w1") { $0.releasesOnCancel = true }
        simulation.pass(.milliseconds(100))
        simulation.part("w1")
        // A candidate that watches could do this. Its renewals keep the lease valid.
        simulation.pass(.seconds(11.5))
        simulation.hold("w2", transitions: 1)
        simulation.pass(.seconds(2))
        simulation.heal("w1")
        simulation.pass(.milliseconds(10))
        #expect(simulation.holder == "")
        #expect(simulation.spec["leaseTransitions"] == 0)
        #expect(!simulation.leads("w1"))
    }

    @Test("a take-over drops strategy and preferred holder") func strategy() {
        let simulation = PeerSimulation()
        simulation.hold("")
        simulation.editSpec { $0["strategy"] = "OldestEmulationVersion" }
        simulation.clientGo("a")
        simulation.pass(.milliseconds(10))
        #expect(simulation.holder == "a" && simulation.spec["strategy"] == nil)
    }
}
