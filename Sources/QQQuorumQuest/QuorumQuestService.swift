import QQCore
import QQGRPC
import Synchronization

/// The three calls of Quorum Quest, to whichever of its endpoints answers.
final class QuorumQuestService: Sendable {
    static let name = "quorum.quest.api.v1.LeaderElectionService"

    let endpoints: [any QuorumQuestCalling]
    /// Index of the endpoint that answered last.
    private let preferred = Mutex(0)
    private let clock: any LeaseClock

    init(_ endpoints: [any QuorumQuestCalling], clock: any LeaseClock) {
        self.endpoints = endpoints
        self.clock = clock
    }

    /// Connects to the endpoint that is asked first.
    func prepare() { first.prepare() }

    private var first: any QuorumQuestCalling { endpoints[preferred.withLock { $0 }] }

    func inARow<Value: Sendable>(
        _ calls: @Sendable () async throws(GRPCFailure) -> Value
    ) async throws(GRPCFailure) -> Value {
        try await first.inARow(calls)
    }

    func tryAcquire(_ name: ElectionName, _ identity: String, ttl: Int32, timeout: Duration) async throws(GRPCFailure) -> Bool {
        try await ask(timeout) { (endpoint, share) async throws(GRPCFailure) in
            try await endpoint.tryAcquire(name, identity, ttl: ttl, timeout: share)
        }
    }

    func release(_ name: ElectionName, _ identity: String, timeout: Duration) async throws(GRPCFailure) {
        try await ask(timeout) { (endpoint, share) async throws(GRPCFailure) in
            try await endpoint.release(name, identity, timeout: share)
        }
    }

    func keepAlive(_ name: ElectionName, _ identity: String, ttl: Int32, timeout: Duration) async throws(GRPCFailure) -> Duration? {
        try await ask(timeout) { (endpoint, share) async throws(GRPCFailure) in
            try await endpoint.keepAlive(name, identity, ttl: ttl, timeout: share)
        }
    }

    /// Asks the endpoint that answered last, and then the others, as long as no endpoint can be reached.
    private func ask<Answer: Sendable>(
        _ timeout: Duration, _ call: @Sendable (any QuorumQuestCalling, Duration) async throws(GRPCFailure) -> Answer
    ) async throws(GRPCFailure) -> Answer {
        let deadline = clock.now() + timeout
        let first = preferred.withLock { $0 }
        var failure: GRPCFailure?
        for offset in endpoints.indices {
            let index = (first + offset) % endpoints.count
            let left = deadline.duration(since: clock.now())
            if left <= .zero { break }
            // An endpoint that does not answer must leave time for the others.
            let share = left / (endpoints.count - offset)
            do throws(GRPCFailure) {
                let answer = try await call(endpoints[index], share)
                preferred.withLock { $0 = index }
                return answer
            } catch {
                if error.isAnswer, error.code != .unavailable { throw error }
                // A request whose outcome is uncertain stays uncertain, whatever another endpoint answered.
                failure = failure.map { $0.wasSent ? $0 : error } ?? error
                if error.code == .cancelled { break }
            }
        }
        throw failure
            ?? GRPCFailure(.deadlineExceeded, "no answer in time", at: endpoints[first].host.description, wasSent: false, isAnswer: false)
    }
}
