import QQCore
import QQGRPC
import Synchronization
import Testing

@testable import QQQuorumQuest

@Suite("The pauses between a waiter's requests to Quorum Quest") struct AskPaceTests {
    private func pauses(_ pace: AskPace) -> [Duration] { [0, 0.25, 0.5, 0.75, 0.999].map { pace.pause(random: $0) } }

    @Test("a waiter asks 10 to 16 times a second at first") func first() {
        for waited in [Duration.zero, .seconds(1), .milliseconds(2400), .seconds(-1)] {
            #expect(pauses(AskPace(waited: waited)).allSatisfy { $0 >= .microseconds(63_999) && $0 <= .milliseconds(96) })
        }
    }

    @Test("the pause is at most a twenty-fifth of the time waited, and at most two seconds", arguments: [3.0, 10, 30, 59, 100, 100_000])
    func grows(waited: Double) {
        let pace = AskPace(waited: .seconds(waited))
        #expect(pauses(pace).allSatisfy { $0 <= min(.seconds(waited / 25), .seconds(2)) })
        #expect(pauses(pace).allSatisfy { $0 > min(.seconds(waited / 40), .milliseconds(1300)) })
    }

    @Test("a request is under way for at most a fifth of the time, up to two seconds") func slow() {
        #expect(pauses(AskPace(waited: .zero, answerTook: .milliseconds(1))) == pauses(AskPace(waited: .zero)))
        #expect(pauses(AskPace(waited: .zero, answerTook: .milliseconds(100))).allSatisfy { $0 >= .microseconds(399_999) })
        #expect(pauses(AskPace(waited: .zero, answerTook: .seconds(60))).allSatisfy { $0 <= .seconds(2) })
    }

    @Test(
        "a process that waits for many elections asks at most 63 times a second, or once every 1.3 seconds for each",
        arguments: [1, 5, 60, 1000])
    func many(elections: Int) {
        let shortest = pauses(AskPace(waited: .zero, elections: elections)).min() ?? .zero
        #expect(Double(elections) / shortest.seconds <= max(63, Double(elections) / 1.3))
    }
}

@Suite("Waiting on Quorum Quest, by a clock on which only sleep and requests take time") struct WaitingTests {
    /// A server with one election, which its holder releases at some time.
    final class Server: QuorumQuestCalling, LeaseClock {
        private struct State {
            var now: Duration = .zero
            var isFreeAt: Duration
            var answerTakes: Duration = .zero
            /// The times of requests for the election.
            var requests: [Duration] = []
        }

        let host = ServerURL.Host(name: "quest", port: 5050)
        private let state: Mutex<State>
        private static let began = BootInstant(nanoseconds: 1_000_000_000_000)

        init(freeAfter time: Duration, answerTakes: Duration = .zero) { state = Mutex(State(isFreeAt: time, answerTakes: answerTakes)) }

        func now() -> BootInstant { state.withLock { Self.began + $0.now } }
        func sleep(until deadline: BootInstant) async throws {
            state.withLock { $0.now = max($0.now, deadline.duration(since: Self.began)) }
        }
        var passed: Duration { state.withLock(\.now) }
        var requests: [Duration] { state.withLock(\.requests) }
        func isFree(at time: Duration) { state.withLock { $0.isFreeAt = time } }

        func prepare() {}
        func tryAcquire(_ name: ElectionName, _ identity: String, ttl: Int32, timeout: Duration) async throws(GRPCFailure) -> Bool {
            state.withLock { state in
                state.requests.append(state.now)
                state.now += state.answerTakes
                return state.now >= state.isFreeAt
            }
        }
        func release(_ name: ElectionName, _ identity: String, timeout: Duration) async throws(GRPCFailure) {}
        func keepAlive(
            _ name: ElectionName, _ identity: String, ttl: Int32, timeout: Duration
        ) async throws(GRPCFailure) -> Duration? { nil }
        func services(timeout: Duration) async throws(GRPCFailure) -> [String] { [] }
        func inARow<Value: Sendable>(
            _ calls: @Sendable () async throws(GRPCFailure) -> Value
        ) async throws(GRPCFailure) -> Value { try await calls() }
    }

    private let request = AcquireRequest(name: "x", identity: "me", ttl: .seconds(300))

    private func coordinator(_ server: Server, random: Double = 0.5) throws -> QuorumQuestCoordinator {
        QuorumQuestCoordinator(
            server: try ServerURL.parse("qq://quest", as: [.quorumQuest]), endpoints: [server], clock: server, requestTimeout: .seconds(5),
            random: { random }, otherIdentity: { _ in nil }, saved: { _ in nil })
    }

    /// Asks and waits until the election is granted, or for some time.
    private func campaign(_ qq: QuorumQuestCoordinator, on server: Server, atMost limit: Duration = .seconds(10_000)) async throws {
        let end = server.now() + limit
        while server.now() < end {
            guard case .refused(let blocker) = try await qq.acquire(request) else { return }
            try await qq.waitForTurn(request, behind: blocker, until: end)
        }
    }

    @Test(
        "an election that gets free is granted after at most 100 ms, or a twenty-fifth of the wait", arguments: [0, 0.5, 0.999],
        [0.3, 1, 3, 20])
    func late(random: Double, held: Double) async throws {
        let server = Server(freeAfter: .seconds(held))
        try await campaign(try coordinator(server, random: random), on: server)
        #expect(server.passed - .seconds(held) <= .seconds(max(0.1, held / 25)))
    }

    @Test("a long wait is not asked about often") func long() async throws {
        let server = Server(freeAfter: .seconds(3600))
        try await campaign(try coordinator(server), on: server)
        let requests = server.requests
        #expect(requests.count { $0 < .seconds(1) } <= 16)
        #expect(requests.count { $0 < .seconds(60) } <= 160, "\(requests.count)")
        #expect(requests.count <= 160 + 3600)
    }

    @Test("a waiter asks a server that takes 100 ms to answer less often") func slow() async throws {
        let server = Server(freeAfter: .seconds(3600), answerTakes: .milliseconds(100))
        try await campaign(try coordinator(server), on: server, atMost: .seconds(6))
        #expect(server.requests.count <= 11)
    }

    @Test("a new wait begins as the first one did, after a grant and after the queue was left", arguments: [true, false])
    func again(isGranted: Bool) async throws {
        let server = Server(freeAfter: .seconds(isGranted ? 60 : 3600))
        let qq = try coordinator(server)
        try await campaign(qq, on: server, atMost: .seconds(90))
        if !isGranted { _ = await qq.leaveQueue(request) }
        let began = server.passed
        server.isFree(at: .seconds(7200))
        let before = server.requests.count
        try await campaign(qq, on: server, atMost: .seconds(1))
        #expect(server.passed == began + .seconds(1))
        #expect(server.requests.count - before >= 10)
    }

    @Test("a wait ends at its limit") func limit() async throws {
        let server = Server(freeAfter: .seconds(3600))
        let qq = try coordinator(server)
        let end = server.now() + .milliseconds(50)
        try await qq.waitForTurn(request, behind: ElectionState(name: "x", phase: .unknown), until: end)
        #expect(server.now() == end)
    }
}
