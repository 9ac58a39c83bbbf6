import Synchronization
import Testing

@testable import LeaderElection

@Suite("Running again and again") struct RunTests {
    let trial = Trial()

    @Test("run leads again one TTL after it has stepped down") func cooldown() async throws {
        let trial = trial
        let election = try trial.election()
        await trial.clock.run {
            async let end = thrown { try await election.run { await trial.untilCancelled($0) } }
            await trial.clock.advance(by: .seconds(3))
            await election.stepDown()
            #expect(trial.memory.leader(of: "backup") == nil)
            await trial.clock.advance(by: .seconds(14.9))
            #expect(trial.memory.leader(of: "backup") == nil)
            #expect(election.stands == "idle")
            await trial.clock.advance(by: .seconds(0.2))
            #expect(trial.memory.leader(of: "backup")?.token == FencingToken(2))
            #expect(election.stands == "leading")
            election.stop()
            let failure = await end
            #expect(failure == nil)
        }
        #expect(election.stands == "ended")
        #expect(trial.memory.leader(of: "backup") == nil)
    }

    @Test("work can step down itself") func stepsDownInside() async throws {
        let trial = trial
        let election = try trial.election()
        let error = await thrown {
            try await election.withLeadership { _ in
                await election.stepDown()
                #expect(Task.isCancelled)
            }
        }
        #expect((error as? LeadershipLost)?.reason == .steppedDown(by: nil))
        #expect(trial.memory.leader(of: "backup") == nil)
    }

    @Test("no campaign begins while work of the last term runs") func noCampaignDuringWork() async throws {
        let trial = trial
        let election = try trial.election()
        let atWork = Workers()
        await trial.clock.run {
            async let end = thrown {
                try await election.run { lease in
                    atWork.begin()
                    await trial.untilCancelled(lease)
                    await trial.sleepOn(for: .seconds(60))
                    atWork.end()
                    trial.note("returns")
                }
            }
            await trial.clock.advance(by: .seconds(1))
            trial.memory.takeOver("backup", by: "other", ttl: .seconds(20))
            await trial.clock.advance(by: .seconds(59))
            #expect(trial.memory.leader(of: "backup") == nil)
            #expect(trial.log.words.count { $0 == "campaigning" } == 1)
            await trial.clock.advance(by: .seconds(5))
            #expect(trial.notes == ["begins", "cancelled with 0.0 seconds", "returns", "begins"])
            #expect(atWork.counts.most == 1)
            #expect(trial.memory.leader(of: "backup")?.token == FencingToken(3))
            election.stop()
            await trial.clock.advance(by: .seconds(100))
            let failure = await end
            #expect(failure == nil)
        }
    }

    @Test("an error of the work ends run, and an error after a cancellation does not") func errors() async throws {
        struct Failure: Error {}
        let trial = trial
        let election = try trial.election()
        await trial.clock.run {
            async let end = thrown {
                try await election.run { lease in
                    await trial.untilCancelled(lease)
                    throw Failure()
                }
            }
            await trial.clock.advance(by: .seconds(1))
            trial.memory.remove("backup")
            await trial.clock.advance(by: .seconds(5))
            #expect(trial.log.words.contains("work failed"))
            #expect(election.isLeader)
            election.stop()
            let failure = await end
            #expect(failure == nil)
        }
        let second = try Trial().election()
        let error = await thrown { try await second.run { _ in throw Failure() } }
        #expect(error is Failure)
    }

    @Test("stop ends the run for good, and the readers of its events") func stops() async throws {
        let trial = trial
        let election = try trial.election()
        let events = election.events
        await trial.clock.run {
            async let end = thrown { try await election.run() }
            await trial.clock.settle()
            #expect(election.isLeader)
            election.stop()
            let failure = await end
            #expect(failure == nil)
        }
        var words: [String] = []
        for await event in events { words.append(event.word) }
        #expect(words == ["campaigning", "elected", "leader a", "cancelled within 15.0 seconds: stopped", "released"])
        try await election.run()
        let error = await thrown { try await election.withLeadership { _ in } }
        #expect((error as? LeadershipLost)?.reason == .stopped)
        #expect(election.stands == "ended")
    }

    @Test("stop before run has it return at once") func stopsFirst() async throws {
        let election = try trial.election()
        election.stop()
        try await election.run()
        #expect(trial.log.words.isEmpty)
    }

    @Test("run without work holds the lease to its end") func holds() async throws {
        let trial = trial
        let election = try trial.election()
        await trial.clock.run {
            let task = Task(executorPreference: trial.clock.executor) { try await election.run() }
            await trial.clock.settle()
            trial.memory.disconnect()
            await trial.clock.advance(by: .seconds(14))
            #expect(election.stands == "leading")
            trial.memory.reconnect()
            await trial.clock.advance(by: .seconds(14))
            #expect(election.stands == "leading")
            #expect(trial.log.words.count { $0 == "elected" } == 1)
            task.cancel()
            let result = await task.result
            #expect(throws: CancellationError.self) { try result.get() }
            #expect(trial.memory.leader(of: "backup") == nil)
        }
    }

    @Test("two elections in one process never work at the same time", arguments: UInt64(1)...20) func neverTwo(seed: UInt64) async throws {
        let trial = trial
        var random = Seeded(seed)
        let atWork = Workers(seed)
        let elections = try ["a", "b", "c"].map { try trial.election(.init(identity: $0, pause: .milliseconds(300))) }
        await trial.clock.run {
            await withTaskGroup(of: Void.self) { group in
                for election in elections {
                    group.addTask {
                        let error = await thrown {
                            try await election.run { lease in
                                atWork.begin()
                                let (length, stop) = (atWork.draw(upTo: 60), atWork.draw(upTo: lease.stopTime.inSeconds))
                                let isCancelled = (try? await trial.clock.sleep(for: .seconds(length))) == nil
                                if isCancelled { await trial.sleepOn(for: .seconds(stop)) }
                                atWork.end()
                            }
                        }
                        #expect(error == nil)
                    }
                }
                for _ in 0..<300 {
                    let id = ["a", "b", "c"].randomElement(using: &random)
                    switch Int.random(in: 0..<10, using: &random) {
                    case 0...2: trial.memory.disconnect(id)
                    case 3...5: trial.memory.reconnect(id)
                    case 6: trial.memory.disconnect()
                    case 7: trial.memory.reconnect()
                    case 8: trial.memory.loseAnswers(Int.random(in: 1...3, using: &random))
                    default: trial.memory.askToStepDown("backup", by: "operator")
                    }
                    await trial.clock.advance(by: .seconds(Double.random(in: 0...20, using: &random)))
                }
                trial.memory.reconnect()
                for election in elections { election.stop() }
                await trial.clock.advance(by: .seconds(100))
            }
        }
        let counts = atWork.counts
        #expect(counts.most == 1)
        #expect(counts.now == 0)
        #expect(counts.terms > 20)
        #expect(!trial.log.words.contains { $0.hasPrefix("overran") })
    }
}

/// Counts the works under way.
final class Workers: Sendable {
    struct Counts {
        var now = 0
        var most = 0
        var terms = 0
        var random: Seeded
    }

    private let state: Mutex<Counts>

    init(_ seed: UInt64 = 0) { state = Mutex(Counts(random: Seeded(seed &* 7919))) }

    var counts: Counts { state.withLock { $0 } }

    func begin() {
        state.withLock { counts in
            counts.now += 1
            counts.terms += 1
            counts.most = max(counts.most, counts.now)
        }
    }

    func end() { state.withLock { $0.now -= 1 } }

    func draw(upTo limit: Double) -> Double { state.withLock { Double.random(in: 0..<limit, using: &$0.random) } }
}

/// The same numbers for the same seed.
struct Seeded: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

extension Duration {
    /// The length in seconds.
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
