import GRPCCore
import QQCore
import QQGRPC
import SwiftProtobuf

@testable import QQQuorumQuest
@testable import QQRaftLock

/// Parses a message from its text form, which can be read and mutated, or from its wire form.
func message<Content: SwiftProtobuf.Message>(_ bytes: [UInt8], _ type: Content.Type) -> Content? {
    if let text = String(validating: bytes, as: UTF8.self), let content = try? Content(textFormatString: text) { return content }
    return try? Content(serializedBytes: bytes)
}

/// Any answer of a RaftLock node: it becomes the state of a lock or a node, which can be shown.
func fuzzRaftLockAnswer(_ data: [UInt8]) {
    guard let kind = data.first else { return }
    let bytes = Array(data.dropFirst())
    switch kind {
    case UInt8(ascii: "a"): checkAdvice(bytes)
    case UInt8(ascii: "e"): checkError(bytes)
    case UInt8(ascii: "n"): checkNode(bytes)
    default: checkLocks(bytes)
    }
}

private func checkLocks(_ bytes: [UInt8]) {
    let page = message(bytes, Raftlock_GetLocksResponse.self)
    guard let locks = page?.locks ?? message(bytes, Raftlock_LockInfo.self).map({ [$0] }) else { return }
    let readings = locks.prefix(20).map { LockSnapshot($0) }
    let now = StandingClock.moment
    var shown: Set<ElectionState> = []
    for wall in [WallTime.goZero, .now(), .latest] {
        for clock in [nil, ServerClock(time: wall, readAt: now), ServerClock(time: .goZero, readAt: .distantFuture)] {
            let states = readings.map { $0.state(at: now, wall: wall, clock: clock) }
            shown.formUnion(states)
            for (snapshot, state) in zip(readings, states) {
                if let left = state.remaining, left < .zero { fail("ends before now: \(left)", bytes) }
                if let length = snapshot.length { _ = DurationText.format(length) }
                _ = (snapshot.hasTTLOffset, snapshot.isUntouched)
                var pace = PollPace()
                let pause = pace.pause(random: 0.999, remaining: state.remaining)
                if pause < .zero || pause > .seconds(2) { fail("pauses for \(pause)", bytes) }
            }
        }
    }
    checkShown(Array(shown), at: now)
    if let lock = message(bytes, Raftlock_Lock.self) { _ = (lock.length, lock.began) }
}

private func checkAdvice(_ bytes: [UInt8]) {
    guard let advice = message(bytes, Raftlock_BackoffAdvice.self).map({ BackoffAdvice($0) }) else { return }
    var pace = PollPace(advice)
    for _ in 0..<70 {
        let pause = pace.pause(random: 0.5, remaining: advice.maximum)
        if pause <= .zero || pause > .seconds(2) { fail("pauses for \(pause)", bytes) }
    }
    checkShown([ElectionState(name: "x", phase: .held)], advice: advice, at: StandingClock.moment)
}

private func checkError(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    var failures = [RPCError.Code.internalError, .failedPrecondition, .unavailable, .resourceExhausted, .unknown].map {
        GRPCFailure($0, text, at: "n1:5051", wasSent: true)
    }
    if let detail = message(bytes, Raftlock_ErrorDetail.self) { failures.append(GRPCFailure(detail, at: "n1:5051")) }
    for failure in failures {
        _ = (LockRefusal(failure), failure.errorCode)
        let told = failure.told("cannot acquire x", isChange: true, wedged: nil)
        if told.description.unicodeScalars.contains(where: { $0.value < 0x20 }) { fail("writes to the terminal", of: told.description) }
    }
}

/// A status, a health and a lock, separated by lines of dashes.
private func checkNode(_ bytes: [UInt8]) {
    var snapshots: [RaftLockCoordinator.NodeSnapshot] = []
    for part in String(decoding: bytes, as: UTF8.self).split(separator: "\n---\n", omittingEmptySubsequences: false).prefix(6) {
        var snapshot = RaftLockCoordinator.NodeSnapshot()
        snapshot.status = message(Array(part.utf8), Raftlock_RaftStatus.self)
        snapshot.health = message(Array(part.utf8), Raftlock_HealthResponse.self)
        snapshot.readsAsLeader = snapshot.status.map { $0.role == "Leader" }
        snapshot.listsLocks = snapshot.status != nil
        snapshots.append(snapshot)
    }
    checkShown(ClusterReport(endpoints: snapshots.map { RaftLockCoordinator.status(of: $0, at: "n1:5051", among: snapshots) }))
}

/// Any answer of a Quorum Quest server: it becomes a lease of some length, which can be shown.
func fuzzQuorumQuestAnswer(_ data: [UInt8]) {
    guard let kind = data.first else { return }
    let bytes = Array(data.dropFirst())
    let now = StandingClock.moment
    if kind == UInt8(ascii: "e") {
        let text = String(decoding: bytes, as: UTF8.self)
        checkShown(ClusterReport(endpoints: [EndpointStatus(endpoint: text, isReachable: false, canGrant: false, problem: text)]))
        return
    }
    guard let length = message(bytes, Quorum_Quest_Api_V1_KeepAliveResponse.self)?.length else { return }
    if length <= .zero { fail("is a lease of \(length)", bytes) }
    for asked in [Duration.seconds(1), .seconds(15), .seconds(Int64(Int32.max))] {
        let ttl = min(length, asked)
        let grant = Grant(
            name: "x", identity: "us", token: nil, ttl: ttl, deadline: now + ttl, acquiredAt: .now(), expiresAt: .now() + length)
        checkShown(grant, at: now)
    }
}
