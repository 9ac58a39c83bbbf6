import Foundation
import QQCore
import Testing

@testable import QQFile

@Suite("Lease files", .timeLimit(.minutes(10)))
struct FileCoordinatorTests {
    let folder = TemporaryFolder()
    let clock = TestClock()

    @Test("a lease is granted to one contender at a time") func grantedToOne() async throws {
        let (one, two) = (try folder.coordinator(clock), try folder.coordinator(clock))
        let grant = try await one.get(ask("a")).grant
        #expect(grant.token == FencingToken(1))
        let blocker = try await two.blocker(of: ask("b"))
        #expect(blocker.leader == "a")
        #expect(blocker.phase == .held)
        #expect(try await one.release(grant) == .released)
        #expect(try await two.get(ask("b")).grant.token == FencingToken(2))
    }

    @Test("exactly one of many simultaneous contenders is granted the lease") func grantedToOneOfMany() async throws {
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

    @Test("a holder can renew its lease") func renewed() async throws {
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

    @Test("renewing a lease after its end finds it lost") func renewedAfterItsEnd() async throws {
        let coordinator = try folder.coordinator(clock)
        let grant = try await coordinator.get(ask("a")).grant
        clock.putForward(.seconds(600))
        guard case .lost(let state) = try await coordinator.renew(grant) else {
            Issue.record("renewed after its end")
            return
        }
        #expect(state.phase == .expired)
    }

    @Test("renewing a lease that another holder took over finds it lost") func renewedAfterTakeover() async throws {
        let coordinator = try folder.coordinator(clock)
        let old = try await coordinator.get(ask("a")).grant
        clock.putForward(.seconds(600))
        _ = try await coordinator.get(ask("b"))
        guard case .lost(let state) = try await coordinator.renew(old) else {
            Issue.record("renewed another holder's lease")
            return
        }
        #expect(state.leader == "b")
    }

    @Test("an earlier holder cannot release the present holder's lease") func releasedForAnother() async throws {
        let coordinator = try folder.coordinator(clock)
        let old = try await coordinator.get(ask("a")).grant
        clock.putForward(.seconds(600))
        _ = try await coordinator.get(ask("b"))
        guard case .notHeld(let state) = try await coordinator.release(old) else {
            Issue.record("released another holder's lease")
            return
        }
        #expect(state.leader == "b")
        #expect(try await coordinator.read("backup").leader == "b")
    }

    @Test("a term whose lock is released a moment after its lease is free for readers and contenders, and not held by nobody")
    func lockReleasedAfterTheLease() async throws {
        let coordinator = try folder.coordinator(clock)
        let held = try await coordinator.get(ask("a", livenessLock: true))
        #expect(try await coordinator.release(held.grant) == .released)
        async let read = try folder.coordinator(clock).read("backup")
        async let taken = try folder.coordinator(clock).takeOver(ask("b"))
        try await clock.sleep(for: .milliseconds(50))
        held.livenessLock?.close()
        let state = try await read
        #expect(state.phase == .free || state.leader == "b")
        #expect(try await taken.grant.token == FencingToken(2))
    }

    @Test("a term whose lock stays held after its release stays held") func lockKeptAfterTheLease() async throws {
        let coordinator = try folder.coordinator(clock)
        let held = try await coordinator.get(ask("a", livenessLock: true))
        #expect(try await coordinator.release(held.grant) == .released)
        #expect(try await folder.coordinator(clock).read("backup").phase == .held)
        #expect(try await coordinator.blocker(of: ask("b")).alive == true)
        held.livenessLock?.close()
        #expect(try await coordinator.takeOver(ask("b")).grant.token == FencingToken(2))
    }

    @Test("a lease that has run out is not held any more: releasing it empties the file, and finds it so") func releasedAfterItsEnd()
        async throws
    {
        let coordinator = try folder.coordinator(clock)
        let grant = try await coordinator.get(ask("a")).grant
        clock.putForward(.seconds(600))
        #expect(try await coordinator.release(grant) == .notHeld(ElectionState(name: "backup", phase: .free)))
        #expect(try await coordinator.read("backup").phase == .free)
        guard case .notHeld = try await coordinator.release(grant) else {
            Issue.record("released twice")
            return
        }
    }

    @Test("an earlier term of the same identity cannot release a later one") func releasedByAnEarlierTerm() async throws {
        let coordinator = try folder.coordinator(clock)
        let old = try await coordinator.get(ask("a")).grant
        clock.putForward(.seconds(600))
        _ = try await coordinator.get(ask("a"))
        guard case .notHeld = try await coordinator.release(old) else {
            Issue.record("released the later term")
            return
        }
    }

    @Test("the same identity resumes its lease with the same token") func resumed() async throws {
        let coordinator = try folder.coordinator(clock)
        let first = try await coordinator.get(ask("a")).grant
        let second = try await coordinator.get(ask("a", continuing: first.token)).grant
        #expect(second.token == first.token)
        #expect(second.acquiredAt == first.acquiredAt)
    }

    @Test("the fencing token keeps growing after another program emptied the lease file") func tokenAfterForeignWriter() async throws {
        let coordinator = try folder.coordinator(clock)
        for count in 1...3 {
            let grant = try await coordinator.get(ask("a")).grant
            #expect(grant.token == FencingToken(UInt64(count)))
            _ = try await coordinator.release(grant)
            try folder.write("", to: "backup.json")
        }
    }

    @Test("a lease is refused while a Go holder's record is valid") func heldByGo() async throws {
        try folder.write("{\n  \"holder\": \"go\",\n  \"renewTime\": \"\(WallTime.now().rfc3339Nano)\"\n}\n", to: "backup.json")
        let coordinator = try folder.coordinator(clock)
        let blocker = try await coordinator.blocker(of: ask("a"))
        #expect(blocker.leader == "go")
        #expect(blocker.token == nil)
    }

    @Test("a lease is taken over from a Go holder after the contender's TTL") func takenOverFromGo() async throws {
        try folder.write("{\"holder\": \"go\", \"renewTime\": \"\((WallTime.now() - .seconds(601)).rfc3339Nano)\"}", to: "backup.json")
        #expect(try await folder.coordinator(clock).get(ask("a")).grant.token == FencingToken(1))
    }

    @Test("a released lease file has an empty holder for Go to read") func releasedForGo() async throws {
        let coordinator = try folder.coordinator(clock)
        _ = try await coordinator.release(try await coordinator.get(ask("a")).grant)
        #expect(folder.text("backup.json")?.hasPrefix("{\n  \"holder\": \"\",\n  \"renewTime\": \"") == true)
    }

    @Test("a lease whose file is deleted is lost, and the file is not recreated") func fileDeleted() async throws {
        let coordinator = try folder.coordinator(clock)
        let grant = try await coordinator.get(ask("a")).grant
        unlink(folder.file("backup.json"))
        guard case .lost = try await coordinator.renew(grant), case .notHeld = try await coordinator.release(grant) else {
            Issue.record("still held")
            return
        }
        #expect(folder.text("backup.json") == nil)
    }

    @Test("a release or step-down of a lease that never existed creates no file") func neverExisted() async throws {
        let coordinator = try folder.coordinator(clock)
        let grant = Grant(
            name: "never", identity: "a", token: FencingToken(1), ttl: .seconds(15), deadline: clock.now(), acquiredAt: .now(),
            expiresAt: .now())
        let before = try folder.snapshot()
        #expect(try await coordinator.release(grant) == .notHeld(ElectionState(name: "never", phase: .free)))
        #expect(try await coordinator.askToStepDown(ElectionState(name: "never", phase: .held), by: "b", byForce: true) == .done)
        #expect(try folder.snapshot() == before)
    }

    @Test("lease files leave no descriptor open") func descriptors() async throws {
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

    @Test("broken lease files leave no descriptor open") func descriptorsOfBrokenFiles() async throws {
        try folder.write("{", to: "backup.json")
        let coordinator = try folder.coordinator(clock)
        for _ in 0..<5 { #expect(await failure { _ = try await coordinator.acquire(ask("a", livenessLock: true)) } != nil) }
        #expect(folder.openDescriptors == 0)
    }

    @Test("a lease file that another process keeps locked is unavailable to renewals") func keptLocked() async throws {
        let coordinator = try folder.coordinator(clock, requestTimeout: .seconds(2))
        let held = try await coordinator.get(ask("a"))
        let other = open(folder.file("backup.json"), O_RDWR)
        defer { close(other) }
        flock(other, LOCK_EX)
        let error = await failure { _ = try await coordinator.renew(held.grant) }
        #expect(error?.kind == .unavailable)
        #expect(error?.isUncertain == false)
        #expect(error?.reason.hasPrefix("process \(getpid()) (") == true, "\(error?.reason ?? "")")
        #expect(try await coordinator.read("backup").isLed, "reading needs no lock while the lease is held")
    }

    @Test("a read waits for a process that is changing the lease file") func changeInProgress() async throws {
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

    @Test("reading changes no lease file") func readingChangesNothing() async throws {
        let coordinator = try folder.coordinator(clock)
        _ = try await coordinator.get(ask("a"))
        try folder.write("{\"holder\": \"go\", \"renewTime\": \"2026-01-01T00:00:00Z\"}", to: "go.json")
        try folder.write("{", to: "broken.json")
        try folder.write("", to: "empty.json")
        let before = try folder.snapshot()
        for name in ["backup", "go", "empty", "missing"] { _ = try await coordinator.read(name) }
        _ = await failure { _ = try await coordinator.read("broken") }
        _ = try await coordinator.list()
        _ = try await coordinator.electionNames()
        _ = await coordinator.clusterStatus()
        for try await _ in coordinator.changes(of: ["backup", "missing"]) { break }
        #expect(try folder.snapshot() == before)
    }

    @Test("leases are listed by name, broken ones too, and other files are left out") func listed() async throws {
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
        #expect(try await coordinator.electionNames() == ["alpha", "broken", "zeta"])
    }

    @Test("a lease file that lost its holder is listed as a problem") func listedWithoutHolder() async throws {
        let coordinator = try folder.coordinator(clock)
        _ = try await coordinator.get(ask("a"))
        try folder.write("{}", to: "backup.json")
        #expect(try await coordinator.list().map { $0.problem?.kind } == [.brokenData])
    }

    @Test(
        "a file without a holder is another program's and is left alone",
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

    @Test("lease files are written for each generation of the Go package") func generations() async throws {
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

    @Test("a lease at the largest fencing token is refused with the reason") func largestToken() async throws {
        try folder.write("{\"holder\": \"\", \"token\": \(LeaseRecord.largestToken)}", to: "backup.json")
        let coordinator = try folder.coordinator(clock)
        for livenessLock in [true, false] {
            errno = EAGAIN
            let error = await failure { _ = try await coordinator.acquire(ask("a", livenessLock: livenessLock)) }
            #expect(error?.kind == .brokenData)
            #expect(error?.reason == "the fencing tokens are used up")
        }
    }

    @Test("an election without a lease file is free") func missing() async throws {
        #expect(try await folder.coordinator(clock).read("backup") == ElectionState(name: "backup", phase: .free))
    }

    @Test("a lease that has ended is expired and keeps its last holder") func expired() async throws {
        let coordinator = try folder.coordinator(clock)
        _ = try await coordinator.get(ask("a"))
        clock.putForward(.seconds(601))
        let state = try await coordinator.read("backup")
        #expect(state.phase == .expired)
        #expect(state.leader == "a")
    }

    @Test("cluster-status describes the lease folder") func clusterStatus() async throws {
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

    @Test("a lease with a live holder is refused although its record was emptied") func liveHolderWithEmptiedRecord() async throws {
        let coordinator = try folder.coordinator(clock)
        let held = try await coordinator.get(ask("a", livenessLock: true))
        try folder.write("", to: "backup.json")
        #expect(try await coordinator.blocker(of: ask("b")).alive == true)
        held.livenessLock?.close()
        #expect(try await coordinator.takeOver(ask("b")).grant.token == FencingToken(2))
    }

    @Test("a lease with a live holder is refused to another process with the same identity") func liveHolderWithSameIdentity() async throws
    {
        let held = try await folder.coordinator(clock).get(ask("a", livenessLock: true))
        _ = try await folder.coordinator(clock).blocker(of: ask("a", livenessLock: true))
        _ = try await folder.coordinator(clock).blocker(of: ask("a", continuing: held.grant.token))
        held.livenessLock?.close()
    }

    @Test("a lease is taken over immediately when its holder has ended") func holderEnded() async throws {
        let held = try await folder.coordinator(clock).get(ask("a", livenessLock: true))
        let other = try folder.coordinator(clock)
        #expect(try await other.blocker(of: ask("b")).alive == true)
        held.livenessLock?.close()
        try await eventually("the holder's death") { try await other.read("backup").alive == false }
        #expect(try await other.takeOver(ask("b")).grant.token == FencingToken(2))
    }

    @Test("a lease is still held and can be renewed when its lock file is deleted", arguments: [false, true])
    func lockFileDeleted(isRecreated: Bool) async throws {
        let coordinator = try folder.coordinator(clock)
        let held = try await coordinator.get(ask("a", livenessLock: true))
        unlink(folder.file(".backup.lock"))
        if isRecreated { try folder.write("", to: ".backup.lock") }
        #expect(try await coordinator.blocker(of: ask("b")).leader == "a")
        guard case .renewed = try await coordinator.renew(held.grant) else {
            Issue.record("lost")
            return
        }
        #expect(try await coordinator.release(held.grant) == .released)
        held.livenessLock?.close()
        #expect(try await coordinator.takeOver(ask("b")).grant.token == FencingToken(2))
    }

    @Test("a lease is held by a child process that inherited the liveness lock") func heldByChild() async throws {
        let coordinator = try folder.coordinator(clock)
        let held = try await coordinator.get(ask("a", livenessLock: true))
        let child = try Sleeper(held.livenessLock)
        held.livenessLock?.close()
        #expect(try await coordinator.blocker(of: ask("b")).alive == true)
        child.end()
        try await coordinator.takeOver(ask("b"))
    }

    @Test("an expired lease is granted only after its survivors are dead") func survivors() async throws {
        let coordinator = try folder.coordinator(clock)
        let held = try await coordinator.get(ask("a", livenessLock: true))
        let children = try (0..<3).map { _ in try Sleeper(held.livenessLock) }
        held.livenessLock?.close()
        clock.putForward(.seconds(600))
        let taken = try await coordinator.get(ask("b"))
        #expect(taken.grant.token == FencingToken(2))
        #expect(children.allSatisfy { !$0.isAlive })
    }

    @Test("an expired lease is refused if a survivor cannot be ended") func survivorThatCannotBeEnded() async throws {
        let coordinator = try folder.coordinator(clock)
        // The survivor is this process, which must not end itself.
        let held = try await coordinator.get(ask("a", livenessLock: true))
        clock.putForward(.seconds(600))
        let error = await failure { _ = try await coordinator.acquire(ask("b")) }
        #expect(error?.kind == .unavailable)
        held.livenessLock?.close()
        try await coordinator.takeOver(ask("b"))
    }

    @Test("a takeover does not harm a process that merely has the lock file open") func bystander() async throws {
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

    @Test("step-down by force takes the lease from a holder that cannot be asked") func stepDownByForce() async throws {
        let coordinator = try folder.coordinator(clock)
        let grant = try await coordinator.get(ask("a")).grant
        #expect(try await coordinator.askToStepDown(try await coordinator.read("backup"), by: "admin", byForce: true) == .done)
        guard case .lost = try await coordinator.renew(grant) else {
            Issue.record("still held")
            return
        }
    }

    @Test("step-down asks a live holder through the lease file") func stepDownAsks() async throws {
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

    @Test("step-down does not take the lease from a holder that came after the read") func stepDownOfALaterHolder() async throws {
        let coordinator = try folder.coordinator(clock)
        let grant = try await coordinator.get(ask("a")).grant
        let seen = try await coordinator.read("backup")
        _ = try await coordinator.release(grant)
        _ = try await coordinator.get(ask("b"))
        guard case .changed(let present) = try await coordinator.askToStepDown(seen, by: "admin", byForce: true) else {
            Issue.record("taken from another holder")
            return
        }
        #expect(present.leader == "b")
    }

    @Test("step-down of a free lease succeeds") func stepDownOfAFreeLease() async throws {
        let coordinator = try folder.coordinator(clock)
        _ = try await coordinator.release(try await coordinator.get(ask("a")).grant)
        #expect(try await coordinator.askToStepDown(try await coordinator.read("backup"), by: "admin", byForce: true) == .done)
    }

    // MARK: Names

    @Test(
        "election names that are safe as file names are accepted",
        arguments: ["a", "A-Z_0.9", "a.json", "-", String(repeating: "n", count: 128)])
    func valid(name: String) async throws {
        let coordinator = try folder.coordinator(clock)
        try coordinator.validate(name: name, identity: "a", ttl: .seconds(15))
        _ = try await coordinator.get(ask("a", name))
        #expect(try await coordinator.list().map { $0.name } == [name])
    }

    @Test(
        "election names that are not safe as file names are refused",
        arguments: ["", ".", "..", ".a", "a/b", "../a", "a b", "ä", "a\n", "a\u{0}", String(repeating: "n", count: 129)])
    func invalid(name: String) async throws {
        let coordinator = try folder.coordinator(clock)
        #expect(await failure { try coordinator.validate(name: name, identity: "a", ttl: .seconds(15)) }?.kind == .usage)
        #expect(await failure { _ = try await coordinator.acquire(ask("a", name)) }?.kind == .usage)
        #expect(await failure { _ = try await coordinator.read(name) }?.kind == .usage)
    }

    @Test("a TTL of less than a tenth of a second is refused") func shortestTTL() async throws {
        let coordinator = try folder.coordinator(clock)
        try coordinator.validate(name: "a", identity: "a", ttl: .milliseconds(100))
        #expect(await failure { try coordinator.validate(name: "a", identity: "a", ttl: .milliseconds(99)) }?.kind == .usage)
    }
}
