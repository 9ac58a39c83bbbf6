import Foundation
import QQCore
import Testing

@testable import QQFile

@Suite("Lease files", .timeLimit(.minutes(1)))
struct FileCoordinatorTests {
    let folder = TemporaryFolder()
    let clock = TestClock()

    @Test func areGrantedToOneAtATime() async throws {
        let (one, two) = (try folder.coordinator(clock), try folder.coordinator(clock))
        let grant = try await one.get(ask("a")).grant
        #expect(grant.token == FencingToken(1))
        let blocker = try await two.blocker(of: ask("b"))
        #expect(blocker.leader == "a")
        #expect(blocker.phase == .held)
        #expect(try await one.release(grant) == .released)
        #expect(try await two.get(ask("b")).grant.token == FencingToken(2))
    }

    @Test func areGrantedToExactlyOneOfManyAtOnce() async throws {
        for round in 0..<10 {
            let granted = try await withThrowingTaskGroup(of: Int.self) { group in
                for contender in 0..<8 {
                    group.addTask {
                        let coordinator = try folder.coordinator(clock)
                        if case .granted = try await coordinator.acquire(ask("c\(contender)", "race\(round)")) { return 1 }
                        return 0
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(granted == 1)
        }
    }

    @Test func areRenewedByTheirHolder() async throws {
        let coordinator = try folder.coordinator(clock)
        let grant = try await coordinator.get(ask("a")).grant
        clock.putForward(.seconds(400))
        guard case .renewed(let extended) = try await coordinator.renew(grant) else {
            Issue.record("not renewed")
            return
        }
        #expect(extended.deadline >= grant.deadline + .seconds(400))
        #expect(extended.token == grant.token)
        clock.putForward(.seconds(400))
        #expect(try await coordinator.read("backup").phase == .held)
    }

    @Test func areLostToARenewalOnceTheyHaveEnded() async throws {
        let coordinator = try folder.coordinator(clock)
        let grant = try await coordinator.get(ask("a")).grant
        clock.putForward(.seconds(600))
        guard case .lost(let state) = try await coordinator.renew(grant) else {
            Issue.record("renewed after its end")
            return
        }
        #expect(state.phase == .expired)
    }

    @Test func areLostToARenewalOnceAnotherHasThem() async throws {
        let coordinator = try folder.coordinator(clock)
        let old = try await coordinator.get(ask("a")).grant
        clock.putForward(.seconds(600))
        _ = try await coordinator.get(ask("b"))
        guard case .lost(let state) = try await coordinator.renew(old) else {
            Issue.record("renewed another's lease")
            return
        }
        #expect(state.leader == "b")
    }

    @Test func areNotReleasedForAnother() async throws {
        let coordinator = try folder.coordinator(clock)
        let old = try await coordinator.get(ask("a")).grant
        clock.putForward(.seconds(600))
        _ = try await coordinator.get(ask("b"))
        guard case .notHeld(let state) = try await coordinator.release(old) else {
            Issue.record("released another's lease")
            return
        }
        #expect(state.leader == "b")
        #expect(try await coordinator.read("backup").leader == "b")
    }

    @Test func areNotReleasedByAnEarlierTermOfTheSameIdentity() async throws {
        let coordinator = try folder.coordinator(clock)
        let old = try await coordinator.get(ask("a")).grant
        clock.putForward(.seconds(600))
        _ = try await coordinator.get(ask("a"))
        guard case .notHeld = try await coordinator.release(old) else {
            Issue.record("released the later term")
            return
        }
    }

    @Test func goOnForTheSameIdentity() async throws {
        let coordinator = try folder.coordinator(clock)
        let first = try await coordinator.get(ask("a")).grant
        let second = try await coordinator.get(ask("a", continuing: first.token)).grant
        #expect(second.token == first.token)
        #expect(second.acquiredAt == first.acquiredAt)
    }

    @Test func keepTheirTokenThroughAForeignWriter() async throws {
        let coordinator = try folder.coordinator(clock)
        for count in 1...3 {
            let grant = try await coordinator.get(ask("a")).grant
            #expect(grant.token == FencingToken(UInt64(count)))
            _ = try await coordinator.release(grant)
            try folder.write("", to: "backup.json")
        }
    }

    @Test func refuseWhileAGoHolderCounts() async throws {
        try folder.write("{\n  \"holder\": \"go\",\n  \"renewTime\": \"\(WallTime.now().rfc3339Nano)\"\n}\n", to: "backup.json")
        let coordinator = try folder.coordinator(clock)
        let blocker = try await coordinator.blocker(of: ask("a"))
        #expect(blocker.leader == "go")
        #expect(blocker.token == nil)
    }

    @Test func areTakenOverFromAGoHolderAfterOurTTL() async throws {
        try folder.write("{\"holder\": \"go\", \"renewTime\": \"\((WallTime.now() - .seconds(601)).rfc3339Nano)\"}", to: "backup.json")
        #expect(try await folder.coordinator(clock).get(ask("a")).grant.token == FencingToken(1))
    }

    @Test func areReleasedSoThatGoReadsNobody() async throws {
        let coordinator = try folder.coordinator(clock)
        _ = try await coordinator.release(try await coordinator.get(ask("a")).grant)
        #expect(folder.text("backup.json")?.hasPrefix("{\n  \"holder\": \"\",\n  \"renewTime\": \"") == true)
    }

    @Test func areLostWhereTheirFileIsDeletedAndItIsNotMadeAgain() async throws {
        let coordinator = try folder.coordinator(clock)
        let grant = try await coordinator.get(ask("a")).grant
        unlink(folder.file("backup.json"))
        guard case .lost = try await coordinator.renew(grant), case .notHeld = try await coordinator.release(grant) else {
            Issue.record("still held")
            return
        }
        #expect(folder.text("backup.json") == nil)
    }

    @Test func areNotMadeByReleasingWhatNeverWas() async throws {
        let coordinator = try folder.coordinator(clock)
        let grant = Grant(
            name: "never", identity: "a", token: FencingToken(1), ttl: .seconds(15), deadline: clock.now(), acquiredAt: .now(),
            expiresAt: .now())
        let before = try folder.snapshot()
        #expect(try await coordinator.release(grant) == .notHeld(ElectionState(name: "never", phase: .free)))
        #expect(try await coordinator.askToStepDown(ElectionState(name: "never", phase: .held), by: "b", byForce: true) == .done)
        #expect(try folder.snapshot() == before)
    }

    @Test func leaveNoDescriptorOpen() async throws {
        let coordinator = try folder.coordinator(clock)
        for count in 0..<20 {
            let held = try await coordinator.takeOver(ask("a", livenessLock: count % 2 == 0))
            _ = try await coordinator.read("backup")
            _ = try await coordinator.list()
            _ = try await coordinator.renew(held.grant)
            _ = await coordinator.clusterStatus()
            held.livenessLock?.close()
            _ = try await coordinator.release(held.grant)
        }
        #expect(folder.openDescriptors == 0)
    }

    @Test func leaveNoDescriptorOpenWhereTheyAreBroken() async throws {
        try folder.write("{", to: "backup.json")
        let coordinator = try folder.coordinator(clock)
        for _ in 0..<5 { #expect(await failure { _ = try await coordinator.acquire(ask("a", livenessLock: true)) } != nil) }
        #expect(folder.openDescriptors == 0)
    }

    @Test func thatSomebodyKeepsLockedAreUnavailable() async throws {
        let coordinator = try folder.coordinator(clock, requestTimeout: .milliseconds(50))
        let held = try await coordinator.get(ask("a"))
        let other = open(folder.file("backup.json"), O_RDWR)
        defer { close(other) }
        flock(other, LOCK_EX)
        let error = await failure { _ = try await coordinator.renew(held.grant) }
        #expect(error?.kind == .unavailable)
        #expect(error?.isUncertain == false)
        #expect(error?.reason.hasPrefix("process \(getpid()) (") == true, "\(error?.reason ?? "")")
        #expect(try await coordinator.read("backup").isLed, "who only reads needs no lock while somebody holds the lease")
    }

    @Test func waitForSomebodyInTheMiddleOfAChange() async throws {
        let coordinator = try folder.coordinator(clock)
        _ = try await coordinator.get(ask("a"))
        let other = open(folder.file("backup.json"), O_RDWR)
        flock(other, LOCK_EX)
        async let state = coordinator.read("backup")
        flock(other, LOCK_UN)
        close(other)
        #expect(try await state.leader == "a")
    }

    // MARK: Reading

    @Test func areNotChangedByReading() async throws {
        let coordinator = try folder.coordinator(clock)
        _ = try await coordinator.get(ask("a"))
        try folder.write("{\"holder\": \"go\", \"renewTime\": \"2026-01-01T00:00:00Z\"}", to: "go.json")
        try folder.write("{", to: "broken.json")
        try folder.write("", to: "empty.json")
        let before = try folder.snapshot()
        for name in ["backup", "go", "empty", "missing"] { _ = try await coordinator.read(name) }
        _ = await failure { _ = try await coordinator.read("broken") }
        _ = try await coordinator.list()
        _ = await coordinator.clusterStatus()
        for try await _ in coordinator.changes(of: ["backup", "missing"]) { break }
        #expect(try folder.snapshot() == before)
    }

    @Test func areListedByName() async throws {
        let coordinator = try folder.coordinator(clock)
        _ = try await coordinator.get(ask("a", "zeta"))
        _ = try await coordinator.get(ask("a", "alpha"))
        try folder.write("{", to: "broken.json")
        for (file, text) in [("config", "{\"debug\": true}"), ("list", "[1, 2]"), ("number", "7")] {
            try folder.write(text, to: file + ".json")
        }
        try folder.write("{\"packages\": \"" + String(repeating: "x", count: 20_000) + "\"}", to: "package-lock.json")
        for other in ["notes.txt", ".hidden.json", ".json", "sp ace.json", "alpha.json.bak"] { try folder.write("", to: other) }
        let list = try await coordinator.list()
        #expect(list.map { $0.name } == ["alpha", "broken", "zeta"])
        #expect(list.map { $0.phase } == [.held, .unknown, .held])
        #expect(list.map { $0.problem?.kind } == [nil, .brokenData, nil])
    }

    @Test func thatLostTheirHolderAreListedAsAProblemAllTheSame() async throws {
        let coordinator = try folder.coordinator(clock)
        _ = try await coordinator.get(ask("a"))
        try folder.write("{}", to: "backup.json")
        #expect(try await coordinator.list().map { $0.problem?.kind } == [.brokenData])
    }

    @Test(
        "are somebody else's without a holder: nothing is changed, and nothing put beside",
        arguments: ["{}", "{\"name\": \"qq\"}", "[]", "7"])
    func foreign(text: String) async throws {
        try folder.write(text, to: "backup.json")
        let coordinator = try folder.coordinator(clock)
        let before = try folder.snapshot()
        let grant = term(of: "a", FencingToken(1), ttl: .seconds(15))
        let led = ElectionState(name: "backup", phase: .held)
        for error in [
            await failure { _ = try await coordinator.acquire(ask("a", livenessLock: true)) },
            await failure { _ = try await coordinator.acquire(ask("a", continuing: FencingToken(1))) },
            await failure { _ = try await coordinator.renew(grant) }, await failure { _ = try await coordinator.release(grant) },
            await failure { _ = try await coordinator.askToStepDown(led, by: "b", byForce: true) },
            await failure { _ = try await coordinator.read("backup") },
        ] {
            #expect(error?.kind == .brokenData)
            #expect(error?.hint?.contains("choose another name") == true)
        }
        #expect(try folder.snapshot() == before)
    }

    @Test func areWrittenForEachGenerationOfTheGoPackage() async throws {
        let coordinator = try folder.coordinator(clock)
        let grant = try await coordinator.get(ask("a", ttl: .milliseconds(10_500))).grant
        func lines() -> [Substring] { (folder.text("backup.json") ?? "").split(separator: "\n") }
        #expect(lines()[1] == "  \"holder\": \"a\",")
        #expect(lines()[2].hasPrefix("  \"renewTime\": \""))
        #expect(lines()[3] == "  \"leaseDuration\": 10500000000,")
        _ = try await coordinator.renew(grant)
        #expect(lines()[3] == "  \"leaseDuration\": 10500000000,")
        let renewed = lines()[2]
        _ = try await coordinator.release(grant)
        #expect(lines()[1...3] == ["  \"holder\": \"\",", renewed, "  \"leaseDuration\": 10500000000,"])
    }

    @Test func atTheLargestTokenAreRefusedWithTheReason() async throws {
        try folder.write("{\"holder\": \"\", \"token\": \(LeaseRecord.largestToken)}", to: "backup.json")
        let coordinator = try folder.coordinator(clock)
        for livenessLock in [true, false] {
            errno = EAGAIN
            let error = await failure { _ = try await coordinator.acquire(ask("a", livenessLock: livenessLock)) }
            #expect(error?.kind == .brokenData)
            #expect(error?.reason == "the fencing tokens are used up")
        }
    }

    @Test func thatAreMissingAreFree() async throws {
        #expect(try await folder.coordinator(clock).read("backup") == ElectionState(name: "backup", phase: .free))
    }

    @Test func thatHaveEndedAreExpired() async throws {
        let coordinator = try folder.coordinator(clock)
        _ = try await coordinator.get(ask("a"))
        clock.putForward(.seconds(601))
        let state = try await coordinator.read("backup")
        #expect(state.phase == .expired)
        #expect(state.leader == "a")
    }

    @Test func tellOfTheirFolder() async throws {
        let coordinator = try folder.coordinator(clock)
        _ = try await coordinator.get(ask("a"))
        try folder.write("{", to: "broken.json")
        let status = try #require(await coordinator.clusterStatus().endpoints.first)
        let details = Dictionary(uniqueKeysWithValues: status.details.map { ($0.key, $0.value) })
        #expect(status.isReachable)
        #expect(details["writable"] == true)
        #expect(details["locks"] == true)
        #expect(details["elections"] == 2)
        #expect(details["held"] == 1)
        #expect(details["broken"] == 1)
    }

    // MARK: Liveness locks

    @Test func withALiveHolderAreRefusedThoughTheirRecordIsEmptied() async throws {
        let coordinator = try folder.coordinator(clock)
        let held = try await coordinator.get(ask("a", livenessLock: true))
        try folder.write("", to: "backup.json")
        #expect(try await coordinator.blocker(of: ask("b")).alive == true)
        held.livenessLock?.close()
        #expect(try await coordinator.takeOver(ask("b")).grant.token == FencingToken(2))
    }

    @Test func withALiveHolderAreRefusedToTheSameIdentity() async throws {
        let held = try await folder.coordinator(clock).get(ask("a", livenessLock: true))
        _ = try await folder.coordinator(clock).blocker(of: ask("a", livenessLock: true))
        _ = try await folder.coordinator(clock).blocker(of: ask("a", continuing: held.grant.token))
        held.livenessLock?.close()
    }

    @Test func areTakenOverAtOnceWhenTheHolderIsGone() async throws {
        let held = try await folder.coordinator(clock).get(ask("a", livenessLock: true))
        let other = try folder.coordinator(clock)
        #expect(try await other.blocker(of: ask("b")).alive == true)
        held.livenessLock?.close()
        try await eventually("the death") { try await other.read("backup").alive == false }
        #expect(try await other.takeOver(ask("b")).grant.token == FencingToken(2))
    }

    @Test("are still held, and renewed, when somebody deletes their lock file", arguments: [false, true])
    func lockFileDeleted(isMadeAnew: Bool) async throws {
        let coordinator = try folder.coordinator(clock)
        let held = try await coordinator.get(ask("a", livenessLock: true))
        unlink(folder.file(".backup.lock"))
        if isMadeAnew { try folder.write("", to: ".backup.lock") }
        #expect(try await coordinator.blocker(of: ask("b")).leader == "a")
        guard case .renewed = try await coordinator.renew(held.grant) else {
            Issue.record("lost")
            return
        }
        #expect(try await coordinator.release(held.grant) == .released)
        held.livenessLock?.close()
        #expect(try await coordinator.takeOver(ask("b")).grant.token == FencingToken(2))
    }

    @Test func areHeldByAChildThatInheritedTheLivenessLock() async throws {
        let coordinator = try folder.coordinator(clock)
        let held = try await coordinator.get(ask("a", livenessLock: true))
        let child = try Sleeper(held.livenessLock)
        held.livenessLock?.close()
        #expect(try await coordinator.blocker(of: ask("b")).alive == true)
        child.end()
        try await coordinator.takeOver(ask("b"))
    }

    @Test func areGrantedOnlyOnceTheSurvivorsOfAnEndedLeaseAreDead() async throws {
        let coordinator = try folder.coordinator(clock)
        let held = try await coordinator.get(ask("a", livenessLock: true))
        let children = try (0..<3).map { _ in try Sleeper(held.livenessLock) }
        held.livenessLock?.close()
        clock.putForward(.seconds(600))
        let taken = try await coordinator.get(ask("b"))
        #expect(taken.grant.token == FencingToken(2))
        #expect(children.allSatisfy { !$0.isAlive })
    }

    @Test func areRefusedWhereASurvivorCannotBeEnded() async throws {
        let coordinator = try folder.coordinator(clock)
        // This process itself, which is not to end itself.
        let held = try await coordinator.get(ask("a", livenessLock: true))
        clock.putForward(.seconds(600))
        let error = await failure { _ = try await coordinator.acquire(ask("b")) }
        #expect(error?.kind == .unavailable)
        held.livenessLock?.close()
        try await coordinator.takeOver(ask("b"))
    }

    @Test func areTakenOverWithoutHarmToAProcessThatHasTheirFilesOpen() async throws {
        let coordinator = try folder.coordinator(clock)
        let held = try await coordinator.get(ask("a", livenessLock: true))
        let survivor = try Sleeper(held.livenessLock)
        let side = open(folder.file(".backup.lock"), O_RDWR)
        struct Opened: LivenessLock {
            let descriptor: Int32
            func close() {}
        }
        let bystander = try Sleeper(Opened(descriptor: side))
        close(side)
        held.livenessLock?.close()
        clock.putForward(.seconds(600))
        _ = try await coordinator.get(ask("b"))
        #expect(!survivor.isAlive)
        #expect(bystander.isAlive)
    }

    // MARK: Stepping down

    @Test func areTakenFromAHolderThatCannotBeAsked() async throws {
        let coordinator = try folder.coordinator(clock)
        let grant = try await coordinator.get(ask("a")).grant
        #expect(try await coordinator.askToStepDown(try await coordinator.read("backup"), by: "admin", byForce: true) == .done)
        guard case .lost = try await coordinator.renew(grant) else {
            Issue.record("still held")
            return
        }
    }

    @Test func askALiveHolderThroughTheFile() async throws {
        let coordinator = try folder.coordinator(clock)
        let held = try await coordinator.get(ask("a", livenessLock: true))
        #expect(try await coordinator.askToStepDown(try await coordinator.read("backup"), by: "admin", byForce: true) == .asked)
        #expect(try await coordinator.read("backup").stepDownAskedBy == "admin")
        guard case .renewed = try await coordinator.renew(held.grant) else {
            Issue.record("lost, though only asked")
            return
        }
        #expect(try await coordinator.read("backup").stepDownAskedBy == "admin")
        held.livenessLock?.close()
    }

    @Test func areNotTakenFromAHolderThatCameSince() async throws {
        let coordinator = try folder.coordinator(clock)
        let grant = try await coordinator.get(ask("a")).grant
        let seen = try await coordinator.read("backup")
        _ = try await coordinator.release(grant)
        _ = try await coordinator.get(ask("b"))
        guard case .changed(let present) = try await coordinator.askToStepDown(seen, by: "admin", byForce: true) else {
            Issue.record("taken from another")
            return
        }
        #expect(present.leader == "b")
    }

    @Test func thatNobodyHoldsNeedNoStepDown() async throws {
        let coordinator = try folder.coordinator(clock)
        _ = try await coordinator.release(try await coordinator.get(ask("a")).grant)
        #expect(try await coordinator.askToStepDown(try await coordinator.read("backup"), by: "admin", byForce: true) == .done)
    }

    // MARK: Names

    @Test("have names that are safe as file names", arguments: ["a", "A-Z_0.9", "a.json", "-", String(repeating: "n", count: 128)])
    func valid(name: String) async throws {
        let coordinator = try folder.coordinator(clock)
        try coordinator.validate(name: name, identity: "a", ttl: .seconds(15))
        _ = try await coordinator.get(ask("a", name))
        #expect(try await coordinator.list().map { $0.name } == [name])
    }

    @Test(
        "have no other names",
        arguments: ["", ".", "..", ".a", "a/b", "../a", "a b", "ä", "a\n", "a\u{0}", String(repeating: "n", count: 129)])
    func invalid(name: String) async throws {
        let coordinator = try folder.coordinator(clock)
        #expect(await failure { try coordinator.validate(name: name, identity: "a", ttl: .seconds(15)) }?.kind == .usage)
        #expect(await failure { _ = try await coordinator.acquire(ask("a", name)) }?.kind == .usage)
        #expect(await failure { _ = try await coordinator.read(name) }?.kind == .usage)
    }

    @Test func areNotTakenForLessThanATenthOfASecond() async throws {
        let coordinator = try folder.coordinator(clock)
        try coordinator.validate(name: "a", identity: "a", ttl: .milliseconds(100))
        #expect(await failure { try coordinator.validate(name: "a", identity: "a", ttl: .milliseconds(99)) }?.kind == .usage)
    }
}
