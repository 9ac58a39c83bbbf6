import Testing

@testable import LeaderElection

@Suite("Leading") struct LeadingTests {
    let trial = Trial()

    @Test("work begins only with the lease, and the lease is released after it") func leads() async throws {
        let trial = trial
        let election = try trial.election()
        trial.memory.takeOver("backup", by: "other", ttl: .seconds(20))
        try await trial.clock.run {
            async let result = election.withLeadership { lease in
                trial.note(
                    "begins under \(lease.token?.description ?? "none") of \(trial.memory.leader(of: "backup")?.identity ?? "nobody")")
                try await trial.clock.sleep(for: .seconds(60))
                trial.note("ends led by \(trial.memory.leader(of: "backup")?.identity ?? "nobody")")
                return 42
            }
            await trial.clock.advance(by: .seconds(19.9))
            #expect(trial.notes.isEmpty)
            #expect(election.stands == "campaigning")
            #expect(!election.isLeader)
            await trial.clock.advance(by: .seconds(0.1))
            #expect(trial.notes == ["begins under 2 of a"])
            #expect(election.stands == "leading")
            #expect(election.isLeader)
            await trial.clock.advance(by: .seconds(60))
            let answer = try await result
            #expect(answer == 42)
            #expect(trial.clock.elapsed == .seconds(80))
        }
        #expect(trial.notes.last == "ends led by a")
        #expect(trial.memory.leader(of: "backup") == nil)
        #expect(election.stands == "ended")
        let words = trial.log.words
        #expect(
            words.filter { $0 != "renewed" } == [
                "campaigning", "waiting for other", "leader other", "elected", "leader a", "released",
            ])
        #expect(words.count { $0 == "renewed" } >= 11)
    }

    @Test("an error of the work is thrown after the release") func fails() async throws {
        struct Failure: Error {}
        let trial = trial
        let election = try trial.election()
        let error = await thrown { try await election.withLeadership { _ in throw Failure() } }
        #expect(error is Failure)
        #expect(trial.memory.leader(of: "backup") == nil)
        #expect(trial.log.words.last == "released")
    }

    @Test("one process that does not wait is told who leads") func doesNotWait() async throws {
        let election = try trial.election(.init(identity: "a", wait: .no))
        trial.memory.takeOver("backup", by: "other")
        let error = await thrown { try await election.withLeadership { _ in } } as? ElectionError
        #expect(error?.kind == .heldByAnother)
        #expect(error?.leader?.identity == "other")
        #expect(error?.description == "cannot lead backup: other leads (memory:///)")
    }

    @Test("a wait with a limit ends at its limit, also in an outage", arguments: [false, true]) func waitsAtMost(inOutage: Bool)
        async throws
    {
        let trial = trial
        let election = try trial.election(.init(identity: "a", wait: .atMost(.seconds(30))))
        trial.memory.takeOver("backup", by: "other", ttl: .seconds(100))
        await trial.clock.run {
            async let error = thrown { try await election.withLeadership { _ in trial.note("begins") } }
            await trial.clock.advance(by: .seconds(10))
            if inOutage { trial.memory.disconnect() }
            await trial.clock.advance(by: .seconds(19.9))
            #expect(election.stands == "campaigning")
            await trial.clock.advance(by: .seconds(0.1))
            let failure = await error as? ElectionError
            #expect(failure?.kind == .timedOut)
            #expect(failure?.leader?.identity == (inOutage ? nil : "other"))
        }
        #expect(trial.notes.isEmpty)
        #expect(trial.log.words.contains("outage") == inOutage)
    }

    @Test("a second run at the same time is refused") func runsOnce() async throws {
        let trial = trial
        let election = try trial.election()
        await trial.clock.run {
            async let error = thrown { try await election.withLeadership { await trial.untilCancelled($0) } }
            await trial.clock.settle()
            let errors = [
                await thrown { try await election.withLeadership { _ in } }, await thrown { try await election.run() },
                await thrown { try await election.run { _ in } },
            ]
            #expect(errors.allSatisfy { ($0 as? ElectionError)?.kind == .alreadyRunning })
            #expect(election.stands == "leading")
            election.stop()
            let end = await error
            #expect((end as? LeadershipLost)?.reason == .stopped)
        }
    }

    @Test("a lease whose grant was not answered is given up, and work begins under the next one") func uncertain() async throws {
        let trial = trial
        let election = try trial.election()
        trial.memory.loseAnswers(1)
        try await trial.clock.run {
            async let token = election.withLeadership { lease in
                trial.note("begins")
                return lease.token
            }
            await trial.clock.advance(by: .seconds(10))
            let second = try await token
            #expect(second == FencingToken(2))
        }
        #expect(trial.notes == ["begins"])
        #expect(trial.log.words.count { $0 == "elected" } == 1)
    }

    @Test("a lease that the servers have granted does not start work while that is not known") func unresolved() async throws {
        let trial = trial
        let election = try trial.election()
        trial.memory.takeOver("backup", by: "other", ttl: .seconds(5))
        await trial.clock.run {
            async let error = thrown { try await election.withLeadership { await trial.untilCancelled($0) } }
            await trial.clock.settle()
            trial.memory.store.loseAnswers(1, thenDisconnect: true)
            await trial.clock.advance(by: .seconds(10))
            #expect(trial.memory.leader(of: "backup")?.identity == "a")
            #expect(trial.notes.isEmpty)
            #expect(!election.isLeader)
            trial.memory.reconnect()
            await trial.clock.advance(by: .seconds(10))
            #expect(trial.notes == ["begins"])
            election.stop()
            _ = await error
        }
    }

    @Test("several tasks wait for leadership, and one of them gives up") func waitFor() async throws {
        let trial = trial
        let election = try trial.election()
        trial.memory.takeOver("backup", by: "other", ttl: .seconds(5))
        await trial.clock.run {
            async let first = try? election.waitForLeadership().token
            let impatient = Task(executorPreference: trial.clock.executor) { try await election.waitForLeadership() }
            async let end = thrown { try await election.run() }
            async let second = try? election.waitForLeadership().token
            await trial.clock.settle()
            impatient.cancel()
            let result = await impatient.result
            #expect(throws: CancellationError.self) { try result.get() }
            await trial.clock.advance(by: .seconds(6))
            let tokens = await [first, second]
            #expect(tokens == [FencingToken(2), FencingToken(2)])
            let lease = try? await election.waitForLeadership()
            #expect(lease?.isHeld == true)
            election.stop()
            let failure = await end
            #expect(failure == nil)
            let late = await thrown { try await election.waitForLeadership() } as? ElectionError
            #expect(late?.kind == .notRunning)
            #expect(lease?.isHeld == false)
        }
    }

    @Test("tasks that wait for leadership are told when the run ends") func waitForNothing() async throws {
        let trial = trial
        let election = try trial.election()
        trial.memory.takeOver("backup", by: "other", ttl: .seconds(50))
        await trial.clock.run {
            async let end = thrown { try await election.run() }
            async let error = thrown { try await election.waitForLeadership() }
            await trial.clock.settle()
            election.stop()
            let (told, failure) = await (error, end)
            #expect((told as? ElectionError)?.kind == .notRunning)
            #expect(failure == nil)
        }
    }

    @Test("the leader is read from the servers") func readsLeader() async throws {
        let trial = trial
        let election = try trial.election()
        #expect(try await election.leader() == nil)
        trial.memory.takeOver("backup", by: "other", ttl: .seconds(5))
        let other = try await election.leader()
        #expect(other?.identity == "other")
        #expect(other?.isUs == false)
        #expect(other?.remaining == .seconds(5))
        trial.memory.remove("backup")
        let own = try await election.withLeadership { _ in try await election.leader() }
        #expect(own?.isUs == true)
        #expect(own?.token == FencingToken(2))
        trial.memory.disconnect()
        await trial.clock.run {
            async let error = thrown { try await election.leader() }
            await trial.clock.advance(by: .seconds(10))
            let failure = await error as? ElectionError
            #expect(failure?.kind == .unavailable)
        }
    }
}
