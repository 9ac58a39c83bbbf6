import LeaderElection
import LeaderElectionLifecycle
import Logging
import ServiceLifecycle
import Support
import Synchronization
import Testing

@Suite("An election in a service group", .timeLimit(.minutes(10))) struct ElectionServiceTests {
    private func makeGroup(_ services: any Service...) -> ServiceGroup {
        ServiceGroup(configuration: .init(services: services.map { .init(service: $0) }, logger: RecordedLog().logger))
    }

    @Test("graceful shutdown cancels the work, and releases the lease when it has returned") func shutdown() async throws {
        let contest = Contest()
        let election = try contest.election()
        let ledAtTheEnd = Mutex<String?>(nil)
        let group = makeGroup(
            ElectionService(election) { _ in
                do { try await Task.sleep(for: .seconds(600)) } catch {
                    let leader = contest.servers.leader(of: "web")?.identity
                    ledAtTheEnd.withLock { $0 = leader }
                    throw error
                }
            })
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            try await waitUntil("the election") { election.isLeader }
            await group.triggerGracefulShutdown()
            try await waitUntil("the release") { contest.servers.leader(of: "web") == nil }
            try await tasks.waitForAll()
        }
        #expect(ledAtTheEnd.withLock { $0 } == "one", "the lease was kept until the work had ended")
        #expect(!election.isLeader)
    }

    @Test("graceful shutdown ends a service that waits for another leader") func shutdownWhileWaiting() async throws {
        let contest = Contest()
        let (one, two) = (try contest.election("one"), try contest.election("two"))
        let group = makeGroup(ElectionService(two))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await one.run() }
            try await waitUntil("the election of the other one") { one.isLeader }
            tasks.addTask { try await group.run() }
            try await waitUntil("a waiter") { if case .campaigning = two.state { true } else { false } }
            await group.triggerGracefulShutdown()
            try await waitUntil("the end") { if case .ended = two.state { true } else { false } }
            #expect(contest.servers.leader(of: "web")?.identity == "one")
            one.stop()
            try await waitUntil("the release") { contest.servers.leader(of: "web") == nil }
            try await tasks.waitForAll()
        }
    }

    @Test("a shutdown that comes before the service has begun ends it") func shutdownAtTheBeginning() async throws {
        let contest = Contest()
        let group = makeGroup(ElectionService(try contest.election()))
        await group.triggerGracefulShutdown()
        try await group.run()
        #expect(contest.servers.leader(of: "web") == nil)
    }

    @Test("an error of the work releases the lease and ends the group with it") func error() async throws {
        let contest = Contest()
        let election = try contest.election()
        let group = makeGroup(ElectionService(election) { _ in throw WorkFailed() })
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                let failure = await #expect(throws: WorkFailed.self) { try await group.run() }
                #expect(failure == WorkFailed())
            }
            try? await waitUntil("the end") { if case .ended = election.state { true } else { false } }
        }
        #expect(contest.servers.leader(of: "web") == nil)
    }

    @Test("an election without work leads until the shutdown") func withoutWork() async throws {
        let contest = Contest()
        let election = try contest.election()
        let group = makeGroup(ElectionService(election))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            try await waitUntil("the election") { election.isLeader }
            await contest.clock.advance(by: .seconds(60))
            #expect(election.isLeader)
            await group.triggerGracefulShutdown()
            try await waitUntil("the release") { contest.servers.leader(of: "web") == nil }
            try await tasks.waitForAll()
        }
    }

    @Test("the service is named after its election") func description() throws {
        #expect("\(ElectionService(try Contest().election()))" == "election web")
    }
}
