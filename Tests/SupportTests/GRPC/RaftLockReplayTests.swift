import QQGRPC
import QQRaftLock
import Support
import SwiftProtobuf
import Testing

@Suite("Recording of a real RaftLock cluster") struct RaftLockReplayTests {
    private static let service = "raftlock.RaftLock"

    /// Codes, messages, ids and versions must be the same. Not compared are ports, times (only the differences between times are), the fractions of a
    /// second that a wait depends on, and the order of lists that the server orders and of the fields in the details' maps.
    @Test("the test cluster answers like the recorded RaftLock cluster, call by call")
    func replay() async throws {
        try await inSandbox { box in
            var settings = RaftLockCluster.Settings()
            settings.leader = 1
            // Followers learn of a command with the next one: the recording has a follower that has not seen the last command.
            settings.heartbeat = nil
            settings.shufflesLists = false
            settings.timeStands = true
            let cluster = try await RaftLockCluster.start(settings, in: box)
            let nodes = try cluster.ports.map { try RawGRPC($0, in: box) }
            // As happened before the recording began.
            cluster.acquire("warm-up", by: "recorder", for: .seconds(30))
            for line in try GRPCRecording("raftlock").lines {
                guard let method = line.method, let role = line.node else {
                    try await takeOver(cluster, nodes[1], line)
                    continue
                }
                let node = try #require(["follower1": 0, "leader": 1, "follower2": 2][role], "\(line)")
                let answer = try await nodes[node].call(Self.service, method, line.request)
                #expect(answer.code == line.code, "\(line)")
                #expect(withoutPort(answer.message) == withoutPort(line.message), "\(line)")
                #expect(try details(answer.details) == details(line.details), "\(line)")
                if line.code == "OK" { try compare(method, answer.bytes, line) }
            }
        }
    }

    /// `alice` was granted the lock for 1 s.
    private func takeOver(_ cluster: RaftLockCluster, _ leader: RawGRPC, _ line: GRPCRecording.Line) async throws {
        #expect(line.note == "1 s lease of alice taken over by bob, polling every 20 ms")
        var request = Raftlock_AcquireRequest()
        (request.lockID, request.clientID, request.ttl) = ("short", "bob", Google_Protobuf_Duration(seconds: 10))
        func isAcquired() async throws -> Bool {
            let answer = try await leader.call(Self.service, "Acquire", request.serializedBytes())
            return try Raftlock_AcquireResponse(serializedBytes: answer.bytes).acquired
        }
        cluster.pass(.milliseconds(990))
        #expect(try await !isAcquired())
        cluster.pass(.milliseconds(20))
        // The cluster checks expiry once a second.
        let deadline = ContinuousClock.now + waitingTime
        while try await !isAcquired() {
            try #require(.now < deadline, "the lock is not granted to bob")
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    // MARK: Comparison

    private func compare(_ method: String, _ bytes: [UInt8], _ line: GRPCRecording.Line) throws {
        switch method {
        case "Acquire":
            try same(Raftlock_AcquireResponse.self, bytes, line) { ours, theirs in
                // Accessing an absent field would make it present.
                if ours.hasLock, theirs.hasLock { align(&ours.lock, &theirs.lock) }
                if ours.hasBackoffAdvice, theirs.hasBackoffAdvice { align(&ours.backoffAdvice, &theirs.backoffAdvice) }
            }
        case "Release": try same(Raftlock_ReleaseResponse.self, bytes, line)
        case "GetLockInfo":
            try same(Raftlock_GetLockInfoResponse.self, bytes, line) { ours, theirs in
                if ours.hasLockInfo, theirs.hasLockInfo { align(&ours.lockInfo, &theirs.lockInfo) }
            }
        case "GetLocks":
            try same(Raftlock_GetLocksResponse.self, bytes, line) { ours, theirs in
                ours.locks.sort { $0.lockID < $1.lockID }
                theirs.locks.sort { $0.lockID < $1.lockID }
                for place in ours.locks.indices where place < theirs.locks.count { align(&ours.locks[place], &theirs.locks[place]) }
            }
        case "EnqueueWaiter": try same(Raftlock_EnqueueWaiterResponse.self, bytes, line)
        case "CancelWait": try same(Raftlock_CancelWaitResponse.self, bytes, line)
        case "GetBackoffAdvice":
            try same(Raftlock_BackoffAdviceResponse.self, bytes, line) { align(&$0.advice, &$1.advice) }
        case "GetStatus": try same(Raftlock_GetStatusResponse.self, bytes, line)
        case "Health":
            try same(Raftlock_HealthResponse.self, bytes, line) { ours, theirs in
                // Both fields must be present, whatever their values.
                guard ours.healthInfo.hasUptime, ours.healthInfo.hasLastHealthCheckAt else { return }
                ours.healthInfo.uptime = theirs.healthInfo.uptime
                ours.healthInfo.lastHealthCheckAt = theirs.healthInfo.lastHealthCheckAt
            }
        default: Issue.record("not compared: \(line)")
        }
    }

    /// - Parameter align: makes fields equal that are allowed to differ.
    private func same<Response: Message & Equatable>(
        _ type: Response.Type, _ bytes: [UInt8], _ line: GRPCRecording.Line, _ align: (inout Response, inout Response) -> Void = { _, _ in }
    ) throws {
        var (ours, theirs) = (try Response(serializedBytes: bytes), try Response(serializedBytes: line.response))
        align(&ours, &theirs)
        #expect(ours == theirs, "\(line)")
    }

    private func withoutPort(_ text: String) -> String {
        guard let address = text.range(of: "127.0.0.1:") ?? text.range(of: "127.0.0.2:") else { return text }
        return text[..<address.lowerBound] + "ADDRESS" + text[address.upperBound...].drop { $0.isNumber }
    }

    private struct Details: Hashable {
        var code: Int32
        var message: String
        var details: [Raftlock_ErrorDetail]
    }

    private func details(_ bytes: [UInt8]?) throws -> Details? {
        guard let bytes else { return nil }
        let status = try Google_Rpc_Status(serializedBytes: bytes)
        let details = try status.details.map { packed in
            #expect(packed.typeURL == "type.googleapis.com/raftlock.ErrorDetail")
            var detail = try Raftlock_ErrorDetail(unpackingAny: packed)
            detail.message = withoutPort(detail.message)
            if let address = detail.details["leader_address"] {
                #expect(status.message.hasSuffix(" at \(address)"))
                detail.details["leader_address"] = withoutPort(address)
            }
            return detail
        }
        return Details(code: status.code, message: withoutPort(status.message), details: details)
    }
}

// MARK: Allowed differences

/// Largest allowed difference, in seconds, between two durations: as long as the recorded calls took.
private let tolerance = 0.8

private func seconds(_ from: Google_Protobuf_Timestamp, _ to: Google_Protobuf_Timestamp) -> Double {
    Double(to.seconds - from.seconds) + Double(to.nanos - from.nanos) / 1e9
}

private func align(_ ours: inout Raftlock_Lock, _ theirs: inout Raftlock_Lock) {
    guard abs(seconds(ours.acquiredAt, ours.expiresAt) - seconds(theirs.acquiredAt, theirs.expiresAt)) < tolerance else { return }
    (ours.acquiredAt, ours.expiresAt) = (theirs.acquiredAt, theirs.expiresAt)
}

private func align(_ ours: inout Raftlock_LockInfo, _ theirs: inout Raftlock_LockInfo) {
    guard abs(seconds(ours.acquiredAt, ours.expiresAt) - seconds(theirs.acquiredAt, theirs.expiresAt)) < tolerance,
        abs(seconds(ours.acquiredAt, ours.lastModifiedAt) - seconds(theirs.acquiredAt, theirs.lastModifiedAt)) < tolerance
    else { return }
    (ours.acquiredAt, ours.expiresAt, ours.lastModifiedAt) = (theirs.acquiredAt, theirs.expiresAt, theirs.lastModifiedAt)
}

private func align(_ ours: inout Raftlock_BackoffAdvice, _ theirs: inout Raftlock_BackoffAdvice) {
    func length(_ duration: Google_Protobuf_Duration) -> Double { Double(duration.seconds) + Double(duration.nanos) / 1e9 }
    // The initial backoff is a fixed fraction of the maximum.
    guard abs(length(ours.maxBackoff) - length(theirs.maxBackoff)) < tolerance,
        abs(length(ours.initialBackoff) / length(ours.maxBackoff) - length(theirs.initialBackoff) / length(theirs.maxBackoff)) < 0.001
    else { return }
    (ours.initialBackoff, ours.maxBackoff) = (theirs.initialBackoff, theirs.maxBackoff)
}
