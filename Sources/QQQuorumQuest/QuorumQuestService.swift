import GRPCCore
import QQCore
import QQGRPC
import SwiftProtobuf
import Synchronization

/// The three calls of Quorum Quest, to whichever of its endpoints answers. All of them can be made twice, because they carry the same id.
final class QuorumQuestService: Sendable {
    let endpoints: [GRPCEndpoint]
    /// Index of the endpoint that answered last.
    private let preferred = Mutex(0)
    private let clock: any LeaseClock

    static let name = "quorum.quest.api.v1.LeaderElectionService"
    private static let tryAcquire = MethodDescriptor(fullyQualifiedService: name, method: "TryAcquireLock", type: .unary)
    private static let release = MethodDescriptor(fullyQualifiedService: name, method: "ReleaseLock", type: .unary)
    private static let keepAlive = MethodDescriptor(fullyQualifiedService: name, method: "KeepAlive", type: .unary)

    init(_ endpoints: [GRPCEndpoint], clock: any LeaseClock) {
        self.endpoints = endpoints
        self.clock = clock
    }

    /// Connects to the endpoint that is asked first.
    func prepare() { endpoints[preferred.withLock { $0 }].prepare() }

    /// - Returns: false if another id leads, or the store failed.
    func tryAcquire(_ name: ElectionName, _ identity: String, ttl: Int32, timeout: Duration) async throws(GRPCFailure) -> Bool {
        var request = Quorum_Quest_Api_V1_TryAcquireLockRequest()
        (request.service, request.domain, request.clientID, request.ttl) = (name.service, name.domain, identity, ttl)
        let response: Quorum_Quest_Api_V1_TryAcquireLockResponse = try await call(Self.tryAcquire, request, timeout)
        return response.isLeader
    }

    func release(_ name: ElectionName, _ identity: String, timeout: Duration) async throws(GRPCFailure) {
        var request = Quorum_Quest_Api_V1_ReleaseLockRequest()
        (request.service, request.domain, request.clientID) = (name.service, name.domain, identity)
        let _: Quorum_Quest_Api_V1_ReleaseLockResponse = try await call(Self.release, request, timeout)
    }

    /// - Returns: the time that the lease lasts from now; nil if this id does not lead, or the store failed.
    func keepAlive(_ name: ElectionName, _ identity: String, ttl: Int32, timeout: Duration) async throws(GRPCFailure) -> Duration? {
        var request = Quorum_Quest_Api_V1_KeepAliveRequest()
        (request.service, request.domain, request.clientID, request.ttl) = (name.service, name.domain, identity, ttl)
        let response: Quorum_Quest_Api_V1_KeepAliveResponse = try await call(Self.keepAlive, request, timeout)
        return response.length
    }

    /// Asks the endpoint that answered last, and then the others, as long as no endpoint can be reached.
    private func call<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ method: MethodDescriptor, _ request: Request, _ timeout: Duration
    ) async throws(GRPCFailure) -> Response {
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
                let response: Response = try await endpoints[index].call(method, request, isRepeatable: true, timeout: share)
                preferred.withLock { $0 = index }
                return response
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

extension Quorum_Quest_Api_V1_KeepAliveResponse {
    /// The time that the lease lasts; nil for none. Limited to what fits in nanoseconds, because a server can send any number.
    var length: Duration? {
        let length = Duration.seconds(saturating: leaseLength.seconds, nanoseconds: Int64(leaseLength.nanos))
        return length > .zero ? length : nil
    }
}
