import LeaderElection
import Synchronization
import Testing

/// The code of TestingElections.md, which runs here.
@Suite("The article about testing", .timeLimit(.minutes(10))) struct SnippetsOfTesting {
    @Test("its contest runs as it says") func contest() async throws {
        let servers = InMemoryElections()
        let clock = servers.clock
        let one = try Election("web", in: servers, options: ElectionOptions(identity: "one"))
        let two = try Election("web", in: servers, options: ElectionOptions(identity: "two"))

        let work: @Sendable (Lease) async throws -> Void = { _ in try await clock.sleep(for: .seconds(3600)) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await one.run(work) }
            let lease = try await one.waitForLeadership()
            group.addTask { try await two.run(work) }
            await clock.advance(by: .seconds(60))
            #expect(lease.isHeld, "one has renewed its lease")

            one.stop()
            await clock.advance(by: .seconds(1))
            #expect(!lease.isHeld)
            #expect(servers.leader(of: "web")?.identity == "two")

            two.stop()
            try await group.waitForAll()
        }
    }

    @Test("its fault ends the work in time") func fault() async throws {
        let servers = InMemoryElections()
        let clock = servers.clock
        let one = try Election("web", in: servers, options: ElectionOptions(identity: "one"))

        let worker = Worker(clock)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await one.run(worker.work) }
            _ = try await one.waitForLeadership()
            servers.disconnect()
            await clock.advance(by: .seconds(15))
            #expect(worker.left == .seconds(5))
            #expect(!one.isLeader)
            one.stop()
            try await group.waitForAll()
        }
    }
}

final class Worker: Sendable {
    private let clock: ManualClock
    private let leftAtEnd = Mutex<Duration?>(nil)

    init(_ clock: ManualClock) { self.clock = clock }

    /// How much of the lease was left when the work had ended.
    var left: Duration? { leftAtEnd.withLock { $0 } }

    @Sendable func work(_ lease: Lease) async throws {
        defer { leftAtEnd.withLock { $0 = lease.remaining } }
        try await clock.sleep(for: .seconds(3600))
    }
}
