import Glibc
import Support
import Testing

/// The library in processes of its own, on NATS: two workers of Examples/queue-worker, whose common log shows who worked when.
@Suite("A service with NATS", .timeLimit(.minutes(20))) struct LibraryNATSTests {
    private static let ttl = 6
    private static let nanoseconds = UInt64(ttl) * 1_000_000_000

    @Test("a worker that is killed is replaced when its lease ends, and no item is done twice") func killed() async throws {
        try await inSandbox(.heavy) { box in
            let server = try await NATSServer.start(in: box)
            try box.fillQueue(200)
            let (one, two) = try await box.twoWorkers(at: (server.url, server.url), ttl: Self.ttl, untilEmpty: true)
            let killedAt = bootNow()
            one.child.signal(SIGKILL)
            try await box.waitForWork(of: two, "two")
            #expect(try await two.finish().code == 0)
            let log = box.workerLog
            #expect(log.offences == [] && log.overlaps == [])
            #expect(box.itemsLeft == 0 && box.itemsDone == 200)
            let began = try #require(log.term(of: "two")).began
            #expect(began < killedAt + Self.nanoseconds + 2_000_000_000 + busyTime(since: killedAt))
            _ = try await one.finish()
        }
    }

    @Test("a worker that is stopped is replaced when its lease ends, and writes nothing after it continues") func stopped() async throws {
        try await inSandbox(.heavy) { box in
            let server = try await NATSServer.start(in: box)
            try box.fillQueue(2000)
            let (one, two) = try await box.twoWorkers(at: (server.url, server.url), ttl: Self.ttl)
            try await box.stopOutsideOfLocks(one)
            try await box.waitForWork(of: two, "two")
            let writes = box.workerLog.count(.done, by: "one")
            one.child.signal(SIGCONT)
            try await waitUntil("the work of worker one ends: \(one.errors)") { box.workerLog.count(.ended, by: "one") > 0 }
            try await box.waitForWork(of: two, "two", items: 10)
            #expect(box.workerLog.offences == [])
            #expect(box.workerLog.count(.done, by: "one") == writes)
            for worker in [one, two] {
                worker.child.signal(SIGTERM)
                #expect(try await worker.finish().code == 0)
            }
            #expect(box.workerLog.offences == [])
        }
    }

    @Test(
        "a worker that is cut off has ended its work before its lease ends, and the other one takes over then",
        arguments: CutOff.allCases)
    func partition(cutOff: CutOff) async throws {
        try await inSandbox(.heavy) { box in
            let server = try await NATSServer.start(in: box)
            let proxy = try Proxy(to: server.port, in: box)
            try box.fillQueue(2000)
            let (one, two) = try await box.twoWorkers(at: ("nats://127.0.0.1:\(proxy.port)", server.url), ttl: Self.ttl)
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...2000)))
            let cutAt = bootNow()
            cutOff.apply(to: proxy)
            try await box.waitForWork(of: two, "two")
            let log = box.workerLog
            #expect(log.offences == [] && log.overlaps == [])
            try expectStoppedInTime(try #require(log.term(of: "one")))
            let began = try #require(log.term(of: "two")).began
            #expect(began < cutAt + Self.nanoseconds + 2_000_000_000 + busyTime(since: cutAt))
            // It is back in the contest, and waits.
            if cutOff != .goneAndRefused { proxy.pass() }
            for worker in [two, one] {
                worker.child.signal(SIGTERM)
                #expect(try await worker.finish().code == 0)
            }
            #expect(box.workerLog.offences == [])
        }
    }
}
