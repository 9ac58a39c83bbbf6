import QQCore
import QQGRPC
import SwiftProtobuf

// Calls that change nothing.
extension RaftLockService {
    /// Reads a lock. Only the Raft leader can answer; other nodes return INTERNAL without a reason, so this also finds the leader.
    /// - Returns: the lock, and the endpoint that answered; nil if the leader is not among the configured endpoints.
    func lockInfo(_ name: String, until deadline: BootInstant) async throws(GRPCFailure) -> (snapshot: LockSnapshot, endpoint: Int?) {
        var failure: GRPCFailure?
        let all: [(index: Int?, endpoint: any LockServer)] = state.withLock { state in
            let own: [(Int?, any LockServer)] = state.directory.order.map { ($0, endpoints[$0]) }
            // A node that was the leader before can be so again.
            let (leader, others) = (state.strangeLeader, state.strangers.sorted { $0.key < $1.key }.prefix(Self.mostStrangers))
            return others.filter { $0.key == leader }.map { (nil, $0.value) } + own
                + others.filter { $0.key != leader }.map { (nil, $0.value) }
        }
        for (position, (index, endpoint)) in all.enumerated() {
            let left = deadline.duration(since: clock.now())
            if left <= .zero { break }
            do throws(GRPCFailure) {
                let response = try await ask(LockCalls.lockInfo(name), at: endpoint, timeout: left / (all.count - position))
                answered(index, .getLockInfo, endpoint.host.description)
                if response.hasError, LockRefusal(response.error) != .notFound {
                    throw GRPCFailure(response.error, at: endpoint.host.description)
                }
                return (response.hasLockInfo ? LockSnapshot(response.lockInfo) : LockSnapshot(unknown: name), index)
            } catch {
                switch LockRefusal(error) {
                case .unexpected, .notLeader, .noLeader, nil: break
                case .some: throw error
                }
                if error.code == .cancelled { throw error }
                state.withLock { state in
                    if let index { state.directory.lost(at: index) } else { state.strangeLeader = nil }
                }
                // A missing answer is more informative than the answer of a follower.
                failure = failure.map { $0.isAnswer && !error.isAnswer ? error : $0 } ?? error
            }
        }
        guard var failure else { throw noTime }
        if LockRefusal(failure) == .unexpected {
            failure = GRPCFailure(.unavailable, "no node answers as the leader does", at: failure.endpoint, wasSent: true)
        }
        throw failure
    }

    /// The number of Raft leaders outside the configured endpoints that are asked for a read.
    private static let mostStrangers = 5

    /// Asks the endpoints until one answers, the leader first: the others can be behind.
    func askAny<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ call: LockCall<Request, Response>, until deadline: BootInstant
    ) async throws(GRPCFailure) -> (response: Response, endpoint: Int) {
        var failure: GRPCFailure?
        let order = directory.order
        for (position, index) in order.enumerated() {
            let left = deadline.duration(since: clock.now())
            if left <= .zero { break }
            do throws(GRPCFailure) {
                return (try await ask(call, at: endpoints[index], timeout: left / (order.count - position)), index)
            } catch {
                if LockRefusal(error) == .invalidArgument || error.code == .cancelled { throw error }
                failure = failure ?? error
            }
        }
        throw failure ?? noTime
    }

    /// Finds the Raft leader, if it is not known: lists of other nodes can lack the last changes, our own among them. Without a leader
    /// nothing happens.
    func findLeader(until deadline: BootInstant) async {
        guard directory.leader == nil else { return }
        // Only the leader answers, whether or not the lock exists.
        _ = try? await lockInfo("leader", until: deadline)
    }

    // MARK: Time

    private static let clockLasts: Duration = .seconds(60)
    private static let clockTimeout: Duration = .milliseconds(500)

    /// The clock of an endpoint, read with Health; nil if it does not answer soon.
    func serverClock(at index: Int?) async -> ServerClock? {
        guard let index else { return nil }
        let now = clock.now()
        if let known = state.withLock({ $0.clocks[index] }) {
            // An endpoint that hangs is not waited for every time.
            let lasts = known.clock == nil ? Self.clockLasts / 10 : Self.clockLasts
            if now.duration(since: known.at) < lasts { return known.clock }
        }
        let response = try? await ask(LockCalls.health(), at: endpoints[index], timeout: Self.clockTimeout)
        let serverClock = response.flatMap { self.serverClock($0, askedAt: now, answeredAt: clock.now()) }
        state.withLock { $0.clocks[index] = Measured(clock: serverClock, at: now) }
        return serverClock
    }

    /// The server's clock from the time of its health check, which the server makes on request.
    func serverClock(_ response: Raftlock_HealthResponse, askedAt: BootInstant, answeredAt: BootInstant) -> ServerClock? {
        guard response.healthInfo.hasLastHealthCheckAt, let time = response.healthInfo.lastHealthCheckAt.wallTime else { return nil }
        return ServerClock(time: time, readAt: askedAt + answeredAt.duration(since: askedAt) / 2)
    }
}
