import GRPCCore
import QQCore
import QQGRPC
import Support
import SwiftProtobuf
import Synchronization
import Testing

@testable import QQRaftLock

@Suite("Waiting for a RaftLock lock, by a clock on which only sleep takes time") struct WaitingTests {
    /// A server with one lock, which its holder releases at some time.
    final class Server: LockServer, LeaseClock {
        private struct State {
            var table = LockTable(defaultTTL: 30_000_000_000)
            var index: Int64 = 0
            var now: Duration = .zero
            var releases: Duration
            var calls: [LockOperation: [Duration]] = [:]

            /// Nanoseconds since 1970.
            var wall: Int64 { Server.wall.seconds * 1_000_000_000 + now.nanoseconds }
        }

        let host = ServerURL.Host(name: "r1", port: 5051)
        private let state: Mutex<State>
        private static let began = BootInstant(nanoseconds: 1_000_000_000_000)
        private static let wall = WallTime(seconds: 1_800_000_000, nanoseconds: 0)

        init(releasesAfter releases: Duration, behind waiters: Int = 0) throws {
            state = Mutex(State(releases: releases))
            _ = try state.withLock { try Self.perform(.acquire("web", by: "holder", ttl: 300_000_000_000), &$0) }
            for number in 0..<waiters {
                _ = try state.withLock {
                    try Self.perform(.enqueue("web", by: "w\(number)", priority: 0, timeout: 600_000_000_000), &$0)
                }
            }
        }

        func now() -> BootInstant { state.withLock { Self.began + $0.now } }
        var wallTime: WallTime { state.withLock { Self.wall + $0.now } }
        var passed: Duration { state.withLock(\.now) }
        /// The times of calls.
        func calls(_ operation: LockOperation) -> [Duration] { state.withLock { $0.calls[operation] ?? [] } }

        func sleep(until deadline: BootInstant) async throws {
            try Task.checkCancellation()
            try state.withLock { state in
                state.now = max(state.now, deadline.duration(since: Self.began))
                guard state.now >= state.releases, let lock = state.table.locks["web"], lock.owner == "holder" else { return }
                _ = try Self.perform(.release("web", by: "holder", version: lock.version), &state)
            }
        }

        private static func perform(_ command: LockTable.Command, _ state: inout State) throws(LockTable.Failure) -> LockTable.Outcome {
            state.index += 1
            return try state.table.apply(command, index: state.index, now: state.wall)
        }

        func prepare() {}

        func call<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
            _ call: LockCall<Request, Response>, timeout: Duration
        ) async throws(GRPCFailure) -> Response {
            let answer: (any SwiftProtobuf.Message)? = state.withLock { state in
                state.calls[call.operation, default: []].append(state.now)
                switch call.request {
                case let request as Raftlock_EnqueueWaiterRequest:
                    let place = try? Self.perform(
                        .enqueue(request.lockID, by: request.clientID, priority: request.priority, timeout: 15_000_000_000), &state)
                    return place.map { place in
                        Raftlock_EnqueueWaiterResponse.with { ($0.enqueued, $0.position) = (true, Int32(place.position)) }
                    }
                case let request as Raftlock_GetLockInfoRequest:
                    return state.table.locks[request.lockID].map { lock in
                        Raftlock_GetLockInfoResponse.with { $0.lockInfo = Raftlock_LockInfo(request.lockID, lock) }
                    }
                case is Raftlock_BackoffAdviceRequest:
                    let (lock, wall) = (state.table.locks["web"], state.wall)
                    return Raftlock_BackoffAdviceResponse.with { $0.advice = Raftlock_BackoffAdvice(lock, wall) }
                default: return nil
                }
            }
            guard let answer = answer as? Response else {
                throw GRPCFailure(.unimplemented, "not in this test", at: host.description, wasSent: true)
            }
            return answer
        }
    }

    private let me = Identity.generated()

    /// Waits until the turn has come, or for some time.
    private func wait(on server: Server, random: Double, atMost limit: Duration = .seconds(1000)) async throws {
        var surroundings = RaftLockCoordinator.Surroundings(connect: { _ in server }, writeQueue: WriteQueue())
        surroundings.wallClock = { server.wallTime }
        surroundings.random = { random }
        let qq = RaftLockCoordinator(
            server: try ServerURL.parse("raftlock://r1", as: [.raftLock]), surroundings: surroundings, clock: server,
            executor: globalConcurrentExecutor, requestTimeout: .seconds(5), priority: 0, followsRedirects: false)
        let request = AcquireRequest(name: "web", identity: me, ttl: .seconds(15))
        var blocker = ElectionState(name: "web", phase: .held)
        blocker.leader = "holder"
        // The first wait takes the place, and lets the lock be requested once more.
        let end = server.now() + limit
        try await qq.waitForTurn(request, behind: blocker, until: end)
        try await qq.waitForTurn(request, behind: blocker, until: end)
    }

    @Test("the first waiter sees its turn within 120 ms, with about ten reads a second", arguments: [0, 0.3, 0.999], [0.5, 3.01, 60.07])
    func first(random: Double, held: Double) async throws {
        let server = try Server(releasesAfter: .seconds(held))
        try await wait(on: server, random: random)
        #expect(server.passed >= .seconds(held) && server.passed <= .seconds(held) + .milliseconds(120))
        let reads = Double(server.calls(.getLockInfo).count)
        #expect(reads <= 3 + held * 12.5, "\(reads) reads")
        // No more writes than are needed to keep the place.
        #expect(Double(server.calls(.enqueueWaiter).count) <= 1 + held / 5)
    }

    @Test("a waiter behind many others reads about once a second") func last() async throws {
        let server = try Server(releasesAfter: .seconds(1000), behind: 98)
        try await wait(on: server, random: 0.5, atMost: .seconds(15))
        #expect(server.calls(.getLockInfo).count <= 20)
    }
}
