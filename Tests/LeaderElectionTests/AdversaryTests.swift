import Dispatch
import Foundation
import Testing

@testable import LeaderElection

@Suite("Moments that go wrong") struct AdversaryTests {
    let trial = Trial()

    @Test("a loss is noticed after a useless lease could not be released") func lossAfterFailedRelease() async throws {
        let trial = trial
        let election = try trial.election()
        await trial.clock.run {
            // The answers to the request and to the release of what it was granted are lost, and then the servers are away beyond its TTL.
            trial.memory.store.loseAnswers(2, thenDisconnect: true)
            async let error = thrown { try await election.withLeadership { await trial.untilCancelled($0) } }
            await trial.clock.advance(by: .seconds(30))
            #expect(trial.log.words.contains("release failed"))
            trial.memory.reconnect()
            await trial.clock.advance(by: .seconds(10))
            #expect(trial.notes == ["begins"])
            trial.memory.takeOver("backup", by: "other")
            await trial.clock.settle()
            #expect(trial.notes == ["begins", "cancelled with 0.0 seconds"])
            #expect(!election.isLeader)
            let loss = await error as? LeadershipLost
            #expect(loss?.reason == .takenOver(by: "other"))
        }
    }

    @Test("a renewal in the last moment wakes a task that waits to lead") func lateRenewal() async throws {
        let trial = trial
        let election = try trial.election()
        await trial.clock.run {
            async let end = thrown { try await election.run() }
            await trial.clock.settle()
            trial.memory.disconnect()
            await trial.clock.advance(by: .seconds(14.3))
            #expect(!election.isLeader)
            async let waiting = thrown {
                _ = try await election.waitForLeadership()
                trial.note("leads")
            }
            await trial.clock.settle()
            #expect(trial.notes.isEmpty)
            trial.memory.reconnect()
            await trial.clock.advance(by: .seconds(3))
            #expect(election.isLeader)
            #expect(trial.notes == ["leads"])
            election.stop()
            _ = await (end, waiting)
        }
    }

    @Test("readers get the last events while another thread hands events out") func lastEvents() async {
        let blocker = Blocker()
        let hub = EventHub(name: "backup", observers: [blocker])
        let reader = hub.makeReader()
        let thread = Task.detached { hub.post(.campaigning) }
        await blocker.began.wait()
        hub.post(.released)
        hub.finish()
        blocker.goesOn.signal()
        await thread.value
        var words: [String] = []
        while let event = await reader.next() { words.append(event.word) }
        #expect(words == ["campaigning", "released"])
    }

    private final class Blocker: ElectionObserver {
        let began = Gate()
        let goesOn = DispatchSemaphore(value: 0)

        func observe(_ event: ElectionEvent, of election: String) {
            guard case .campaigning = event else { return }
            began.open()
            goesOn.wait()
        }
    }

    @Test("work that keeps its executor busy sees its cancellation") func busyExecutor() async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/qq-busy-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let election = try Election("backup", at: "file://\(folder)", options: .init(identity: "a"))
        let begun = Gate()
        let executor = SerialExecutor()
        let task = Task(executorPreference: executor) {
            try await election.withLeadership { _ in
                begun.open()
                let end = ContinuousClock.now + .seconds(60)
                while !Task.isCancelled, ContinuousClock.now < end { usleep(1000) }
                return Task.isCancelled
            }
        }
        await begun.wait()
        let began = ContinuousClock.now
        election.stop()
        let result = await task.result
        #expect(throws: LeadershipLost.self) { try result.get() }
        #expect(ContinuousClock.now - began < .seconds(30))
    }

    private final class SerialExecutor: TaskExecutor {
        private let queue = DispatchQueue(label: "busy")

        func enqueue(_ job: consuming ExecutorJob) {
            let job = UnownedJob(job)
            queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
        }
    }

    @Test("a dump of an election shows no login") func dumps() throws {
        var text = ""
        dump(try trial.election(.init(identity: "a", note: "secret")), to: &text)
        #expect(!text.contains("secret"))
        #expect(text.contains("backup"))
    }
}
