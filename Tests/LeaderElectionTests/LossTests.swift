import Synchronization
import Testing

@testable import LeaderElection

@Suite("Losing the lease") struct LossTests {
    let trial = Trial()

    @Test("work is cancelled its time to stop before the lease ends if no server answers") func expires() async throws {
        let trial = trial
        let election = try trial.election(.init(identity: "a", ttl: .seconds(15), stopTime: .seconds(4)))
        await trial.clock.run {
            async let error = thrown { try await election.withLeadership { await trial.untilCancelled($0) } }
            await trial.clock.advance(by: .seconds(7))
            // Renewed at 5 seconds: the lease lasts until 20.
            trial.memory.disconnect()
            await trial.clock.advance(by: .seconds(8.999))
            #expect(trial.notes == ["begins"])
            #expect(election.stands == "leading")
            await trial.clock.advance(by: .seconds(0.001))
            #expect(trial.notes == ["begins", "cancelled with 4.0 seconds"])
            await trial.clock.advance(by: .seconds(10))
            let loss = await error as? LeadershipLost
            #expect(loss?.reason.word == "expired (unavailable)")
        }
        #expect(trial.log.words.contains("cancelled within 4.0 seconds: expired (unavailable)"))
        #expect(trial.log.words.last == "release failed")
    }

    @Test("work is cancelled at once when the servers show its end", arguments: Ending.allCases) func ends(_ ending: Ending) async throws {
        let trial = trial
        let election = try trial.election()
        await trial.clock.run {
            async let error = thrown { try await election.withLeadership { await trial.untilCancelled($0) } }
            await trial.clock.advance(by: .seconds(1))
            switch ending {
            case .takenOver: trial.memory.takeOver("backup", by: "other")
            case .removed: trial.memory.remove("backup")
            case .asked: trial.memory.askToStepDown("backup", by: "operator")
            case .stopped: election.stop()
            case .steppedDown:
                trial.note("asks")
                await election.stepDown()
                #expect(trial.memory.leader(of: "backup") == nil)
            }
            await trial.clock.settle()
            #expect(trial.notes.last?.hasPrefix("cancelled with") == true)
            #expect(!election.isLeader)
            let loss = await error as? LeadershipLost
            #expect(loss?.reason == ending.reason)
            #expect(loss?.workError == nil)
        }
        #expect(trial.memory.leader(of: "backup")?.identity == (ending == .takenOver ? "other" : nil))
        #expect(trial.log.words.suffix(ending.events.count) == ending.events)
    }

    enum Ending: CaseIterable {
        case takenOver, removed, asked, stopped, steppedDown

        var reason: LeadershipLost.Reason {
            switch self {
            case .takenOver: .takenOver(by: "other")
            case .removed: .removed
            case .asked: .steppedDown(by: "operator")
            case .stopped: .stopped
            case .steppedDown: .steppedDown(by: nil)
            }
        }

        var events: [String] {
            switch self {
            case .takenOver:
                ["cancelled within 0.0 seconds: taken over by other", "lost: taken over by other", "leader other"]
            case .removed: ["cancelled within 0.0 seconds: the lease was removed", "lost: the lease was removed"]
            case .asked: ["asked by operator", "cancelled within 14.0 seconds: asked to step down by operator", "released"]
            case .stopped: ["cancelled within 14.0 seconds: stopped", "released"]
            case .steppedDown: ["cancelled within 14.0 seconds: stepped down", "released"]
            }
        }
    }

    @Test("work that ignores cancellation overruns, and its lease is not released") func overruns() async throws {
        let trial = trial
        let election = try trial.election()
        let gate = Gate()
        await trial.clock.run {
            async let error = thrown { try await election.withLeadership { _ in await gate.wait() } }
            await trial.clock.settle()
            trial.memory.disconnect()
            await trial.clock.advance(by: .seconds(14))
            #expect(election.stands == "stopping")
            #expect(!trial.log.words.contains { $0.hasPrefix("overran") })
            await trial.clock.advance(by: .seconds(1))
            #expect(trial.log.words.contains("overran 0.0 seconds"))
            trial.memory.reconnect()
            await trial.clock.advance(by: .seconds(5))
            #expect(election.stands == "stopping")
            gate.open()
            let loss = await error as? LeadershipLost
            #expect(loss?.reason.word == "expired (unavailable)")
        }
        #expect(trial.log.words.last == "overran 5.0 seconds")
        #expect(!trial.log.words.contains("released"))
        #expect(trial.log.words.count { $0.hasPrefix("lost") } == 1)
    }

    @Test("the lease is renewed and not released while cancelled work still runs") func heldUntilWorkEnds() async throws {
        let trial = trial
        let election = try trial.election()
        await trial.clock.run {
            async let error = thrown {
                try await election.withLeadership { lease in
                    await trial.untilCancelled(lease)
                    await trial.sleepOn(for: .seconds(60))
                    trial.note("returns led by \(trial.memory.leader(of: "backup")?.identity ?? "nobody"), \(lease.isHeld)")
                }
            }
            await trial.clock.advance(by: .seconds(1))
            async let down: Void = election.stepDown()
            for _ in 0..<59 {
                await trial.clock.advance(by: .seconds(1))
                #expect(trial.memory.leader(of: "backup")?.identity == "a")
                #expect(election.stands == "stopping")
            }
            await trial.clock.advance(by: .seconds(2))
            await down
            _ = await error
        }
        #expect(trial.notes.last == "returns led by a, true")
        #expect(trial.memory.leader(of: "backup") == nil)
        #expect(!trial.log.words.contains { $0.hasPrefix("overran") })
    }

    @Test("an error that cancelled work throws is kept with the loss") func workError() async throws {
        struct Failure: Error {}
        let trial = trial
        let election = try trial.election()
        await trial.clock.run {
            async let error = thrown {
                try await election.withLeadership { lease in
                    await trial.untilCancelled(lease)
                    throw Failure()
                }
            }
            await trial.clock.settle()
            trial.memory.takeOver("backup", by: "other")
            let loss = await error as? LeadershipLost
            #expect(loss?.reason == .takenOver(by: "other"))
            #expect(loss?.workError is Failure)
        }
    }

    @Test("a cancellation of the caller has the lease released when the work has returned") func callerCancelled() async throws {
        let trial = trial
        let election = try trial.election()
        await trial.clock.run {
            let task = Task(executorPreference: trial.clock.executor) {
                try await election.withLeadership { lease in
                    await trial.untilCancelled(lease)
                    await trial.sleepOn(for: .seconds(30))
                    trial.note("returns led by \(trial.memory.leader(of: "backup")?.identity ?? "nobody")")
                    try Task.checkCancellation()
                }
            }
            await trial.clock.advance(by: .seconds(1))
            task.cancel()
            await trial.clock.advance(by: .seconds(31))
            let result = await task.result
            #expect(throws: CancellationError.self) { try result.get() }
        }
        #expect(trial.notes.last == "returns led by a")
        #expect(trial.memory.leader(of: "backup") == nil)
        #expect(trial.log.words.last == "released")
    }

    @Test("a cancellation of the caller ends its campaign, and its place in the queue") func waiterCancelled() async throws {
        let trial = trial
        let election = try trial.election()
        trial.memory.takeOver("backup", by: "other", ttl: .seconds(5))
        await trial.clock.run {
            let task = Task(executorPreference: trial.clock.executor) { try await election.withLeadership { _ in trial.note("begins") } }
            await trial.clock.advance(by: .seconds(1))
            task.cancel()
            await trial.clock.advance(by: .seconds(31))
            let result = await task.result
            #expect(throws: CancellationError.self) { try result.get() }
        }
        #expect(trial.notes.isEmpty)
        #expect(trial.memory.store.state(of: "backup", for: nil).waiters == 0)
        #expect(election.stands == "ended")
    }

    @Test("a lease that has run out is not held, even if nothing could notice its end") func byTheClock() async throws {
        let trial = trial
        let election = try trial.election()
        await trial.clock.run {
            async let error = thrown {
                try await election.withLeadership { lease in
                    #expect(lease.remaining == .seconds(15))
                    #expect(lease.stopTime == .seconds(5))
                    try lease.checkStillHeld()
                    trial.clock.jump(by: .seconds(14.2))
                    try lease.checkStillHeld()
                    trial.clock.jump(by: .seconds(0.05))
                    // A twentieth of the TTL before its end.
                    #expect(!lease.isHeld)
                    trial.clock.jump(by: .seconds(1))
                    #expect(lease.remaining == .zero)
                    #expect(!election.isLeader)
                    #expect(election.stands == "stopping")
                    do { try lease.checkStillHeld() } catch { trial.note("\(error)") }
                    return 1
                }
            }
            await trial.clock.settle()
            let loss = await error as? LeadershipLost
            #expect(loss?.reason == .expired(nil))
        }
        #expect(trial.notes == ["leadership of backup ended: not renewed in time"])
    }
}
