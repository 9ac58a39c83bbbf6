import Foundation
import Synchronization
import Testing

@testable import LeaderElection

@Suite("Events") struct EventTests {
    let trial = Trial()

    @Test("a slow reader misses the oldest events, and is told how many") func bounded() async throws {
        let trial = trial
        let election = try trial.election()
        let (slow, fast) = (election.events, election.events)
        await trial.clock.run {
            async let end = thrown { try await election.run() }
            async let read = {
                var words: [String] = []
                for await event in fast { words.append(event.word) }
                return words
            }()
            await trial.clock.advance(by: .seconds(5 * 400))
            election.stop()
            _ = await end
            let words = await read
            #expect(words == trial.log.words)
            #expect(!words.contains { $0.hasPrefix("missed") })
        }
        var words: [String] = []
        for await event in slow { words.append(event.word) }
        #expect(words.count == 257)
        #expect(words.first == "missed \(trial.log.words.count - 256)")
        #expect(Array(words.dropFirst()) == Array(trial.log.words.suffix(256)))
    }

    @Test("a reader begins with the events after it was made, and ends with its task or with the election") func readers() async throws {
        let trial = trial
        var election: Election? = try trial.election()
        let early = try #require(election?.events)
        let forgotten = try #require(election?.events)
        try await election?.withLeadership { _ in }
        let late = try #require(election?.events)
        let task = Task { for await _ in late {} }
        task.cancel()
        await task.value
        election = nil
        var count = 0
        for await _ in early { count += 1 }
        #expect(count == trial.log.words.count)
        for await event in forgotten where event.word == "released" { count = 0 }
        #expect(count == 0)
    }

    @Test("observers see every event of a thousand terms in order, and can use the election") func observers() async throws {
        let memory = InMemoryElections()
        let observer = Curious()
        let election = try Election("backup", in: memory, options: .init(identity: "a", pause: .seconds(1), observers: [observer]))
        observer.election.withLock { $0 = election }
        await memory.clock.run {
            let task = Task(executorPreference: memory.clock.executor) { try? await election.run { _ in } }
            await memory.clock.advance(by: .seconds(999.5))
            task.cancel()
            await task.value
        }
        let seen = observer.seen.withLock { $0 }
        #expect(seen.count == 4000)
        let term = ["campaigning", "elected", "leader a", "released"]
        for (place, word) in seen.enumerated() where word != term[place % 4] { Issue.record("\(word) at \(place)") }
        observer.election.withLock { $0 = nil }
    }

    final class Curious: ElectionObserver {
        let seen = Mutex<[String]>([])
        let election = Mutex<Election?>(nil)

        func observe(_ event: ElectionEvent, of name: String) {
            seen.withLock { $0.append(event.word) }
            let election = election.withLock { $0 }
            if case .elected = event, election?.isLeader != true { Issue.record("elected, and not the leader") }
        }
    }

    @Test("an outage is told once, and its end") func outage() async throws {
        let trial = trial
        let election = try trial.election()
        trial.memory.disconnect()
        await trial.clock.run {
            async let end = thrown { try await election.run() }
            await trial.clock.advance(by: .seconds(60))
            trial.memory.reconnect()
            await trial.clock.advance(by: .seconds(10))
            election.stop()
            _ = await end
        }
        let words = trial.log.words
        #expect(words.prefix(5) == ["campaigning", "outage", "outage over", "elected", "leader a"])
        #expect(words.count { $0.hasPrefix("outage") } == 2)
    }

    @Test("the same test sees the same events") func deterministic() async throws {
        func words() async throws -> [String] {
            let trial = Trial()
            let election = try trial.election()
            await trial.clock.run {
                async let end = thrown { try await election.run { await trial.untilCancelled($0) } }
                for step in 0..<40 {
                    await trial.clock.advance(by: .seconds(7))
                    switch step % 8 {
                    case 1: trial.memory.disconnect()
                    case 4: trial.memory.reconnect()
                    case 6: trial.memory.askToStepDown("backup", by: "operator")
                    case 7: trial.memory.takeOver("backup", by: "other", ttl: .seconds(9))
                    default: break
                    }
                }
                election.stop()
                await trial.clock.advance(by: .seconds(60))
                _ = await end
            }
            return trial.log.words + trial.notes
        }
        let first = try await words()
        #expect(first.count > 40)
        for _ in 0..<20 { #expect(try await words() == first) }
    }
}
