import Glibc
import Support
import Testing

/// The library in processes of its own, on lease files: two workers of Examples/queue-worker, whose common log shows who worked when.
@Suite("A service with lease files", .timeLimit(.minutes(20))) struct LibraryFileTests {
    private func server(_ box: Sandbox) -> (String, String) {
        let url = "file://" + box.path("queue/leases")
        return (url, url)
    }

    @Test("a worker that is killed is replaced immediately, and no item is done twice") func killed() async throws {
        try await inSandbox(.heavy) { box in
            try box.fillQueue(60)
            let (one, two) = try await box.twoWorkers(at: server(box), ttl: 60, untilEmpty: true)
            let killedAt = bootNow()
            one.child.signal(SIGKILL)
            try await box.waitForWork(of: two, "two")
            #expect(try await two.finish().code == 0)
            let log = box.workerLog
            #expect(log.offences == [] && log.overlaps == [])
            #expect(box.itemsLeft == 0 && box.itemsDone == 60)
            let began = try #require(log.term(of: "two")).began
            #expect(began < killedAt + 2_000_000_000 + busyTime(since: killedAt), "although the TTL is a minute")
            _ = try await one.finish()
        }
    }

    @Test("a worker that is stopped is replaced when its lease ends, and writes nothing after it continues") func stopped() async throws {
        try await inSandbox(.heavy) { box in
            try box.fillQueue(1000)
            let (one, two) = try await box.twoWorkers(at: server(box), ttl: 4)
            try await box.stopOutsideOfLocks(one)
            try await box.waitForWork(of: two, "two")
            let writes = box.workerLog.count(.done, by: "one")
            one.child.signal(SIGCONT)
            try await waitUntil("the work of worker one ends: \(one.errors)") { box.workerLog.count(.ended, by: "one") > 0 }
            try await box.waitForWork(of: two, "two", items: 10)
            let log = box.workerLog
            #expect(log.offences == [])
            #expect(log.count(.done, by: "one") == writes)
            let term = try #require(log.term(of: "one"))
            #expect(term.first(.cancelled) != nil || term.first(.lost) != nil, "it noticed as soon as it ran")
            #expect(term.first(.ended)?.milliseconds == 0)
            for worker in [one, two] {
                worker.child.signal(SIGTERM)
                #expect(try await worker.finish().code == 0)
            }
            #expect(box.workerLog.offences == [])
        }
    }

    @Test("a worker whose lease file cannot be changed has ended its work before the lease ends") func blocked() async throws {
        try await inSandbox(.heavy) { box in
            try box.fillQueue(1000)
            let (one, two) = try await box.twoWorkers(at: server(box), ttl: 6)
            let file = open(box.path("queue/leases/queue.json"), O_RDONLY | O_CLOEXEC)
            #expect(file >= 0)
            try await waitUntil("the lease file is locked") { flock(file, LOCK_EX | LOCK_NB) == 0 }
            try await waitUntil("the work of worker one ends: \(one.errors)") { box.workerLog.count(.ended, by: "one") > 0 }
            let term = try #require(box.workerLog.term(of: "one"))
            try expectStoppedInTime(term)
            close(file)
            try await waitUntil("another term: \(two.errors)") { box.workerLog.terms.count > 1 }
            for worker in [one, two] {
                worker.child.signal(SIGTERM)
                #expect(try await worker.finish().code == 0)
            }
            #expect(box.workerLog.offences == [] && box.workerLog.overlaps == [])
        }
    }

    @Test("SIGTERM ends the work before the lease is released, and the next worker need not wait for the TTL") func terminated()
        async throws
    {
        try await inSandbox(.heavy) { box in
            try box.fillQueue(1000)
            let (one, two) = try await box.twoWorkers(at: server(box), ttl: 60)
            let askedAt = bootNow()
            one.child.signal(SIGTERM)
            #expect(try await one.finish().code == 0)
            try await box.waitForWork(of: two, "two")
            let log = box.workerLog
            #expect(log.offences == [] && log.overlaps == [])
            let began = try #require(log.term(of: "two")).began
            #expect(began < askedAt + 2_000_000_000 + busyTime(since: askedAt))
            try await two.terminate()
        }
    }
}

/// Expects that the task of the work was cancelled as long before the end of the lease as was announced, and that the work had ended by then.
func expectStoppedInTime(_ term: WorkerLog.Term, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let stopTime = try #require(term.first(.leads)?.milliseconds, sourceLocation: sourceLocation)
    let cancelled = try #require(term.first(.cancelled), sourceLocation: sourceLocation)
    let left = try #require(cancelled.milliseconds, sourceLocation: sourceLocation)
    // A millisecond is cut off in both numbers.
    #expect(left <= stopTime + 1, "cancelled too early", sourceLocation: sourceLocation)
    let late = Int64(busyTime(since: term.began) / 1_000_000)
    #expect(left + 200 + late >= stopTime, "cancelled \(stopTime - left) ms late", sourceLocation: sourceLocation)
    let rest = try #require(term.first(.ended)?.milliseconds, sourceLocation: sourceLocation)
    #expect(rest > 0, "the work ran on after the end of its lease", sourceLocation: sourceLocation)
}
