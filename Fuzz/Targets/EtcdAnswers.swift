import GRPCCore
import QQCore
import QQGRPC
import SwiftProtobuf
import Synchronization

@testable import QQEtcd

/// Any answers of etcd's members: they become the states and terms of elections, and changes of watched keys.
func fuzzEtcdAnswer(_ data: [UInt8]) {
    guard let kind = data.first else { return }
    let bytes = Array(data.dropFirst())
    switch kind {
    case UInt8(ascii: "e"): checkRefusal(bytes)
    case UInt8(ascii: "k"): checkKeepAlives(bytes)
    case UInt8(ascii: "w"): checkWatch(bytes)
    default:
        guard let server = try? ServerURL.parse("etcd://h1,h2/qq", as: [.etcd]) else { return }
        let (clock, executor) = (HastyClock(), InlineExecutor())
        let coordinator = EtcdCoordinator(
            server: server, api: PlayedEtcd(bytes), requestTimeout: .seconds(5), clock: clock, executor: executor)
        play(kind, of: "web", coordinator, ttl: .seconds(15), clock, executor)
    }
}

/// The ways in which a server answers with an error, by their digit after `!`.
private let codes: [RPCError.Code] = [
    .unknown, .unavailable, .notFound, .failedPrecondition, .resourceExhausted, .unauthenticated, .permissionDenied, .invalidArgument,
    .unimplemented, .cancelled,
]

private func failure(_ text: some Collection<UInt8>) -> EtcdFailure {
    let code = text.first.flatMap { $0 >= 48 && $0 < 58 ? codes[Int($0) - 48] : nil }
    let words = String(decoding: text.dropFirst(code == nil ? 0 : 1), as: UTF8.self)
    return EtcdFailure(GRPCFailure(code ?? .unknown, words, at: "h1:2379", wasSent: true))
}

private func checkRefusal(_ bytes: [UInt8]) {
    for part in Playback.split(bytes) {
        let cancelled = EtcdFailure(watchRefusal: String(decoding: part, as: UTF8.self), at: "h1:2379")
        for failure in [failure(part), cancelled] {
            for isChange in [false, true] {
                var attempts = CallAttempts(first: 0, count: 2, isChange: isChange)
                for _ in 0..<4 { if case .giveUp = attempts.failed(failure, canLogIn: true, wasLate: false) { break } }
                let told = attempts.final(failure).told("cannot acquire x", isChange: isChange)
                if told.description.unicodeScalars.contains(where: { $0.value < 0x20 }) { fail("writes to the terminal", bytes) }
            }
        }
    }
}

/// Answers to keep-alives of three leases, two at a time each: no request is answered twice, nor before an older one of its lease.
private func checkKeepAlives(_ bytes: [UInt8]) {
    var table = KeepAliveTable()
    var sent: [Int64: [KeepAliveTable.RequestID]] = [:]
    for lease in [Int64(1), 2, .max, 1, 2, .max] { sent[lease, default: []].append(table.sent(lease)) }
    for part in Playback.split(bytes) {
        guard let answer = message(part, Etcdserverpb_LeaseKeepAliveResponse.self) else { continue }
        if case .renewed(let seconds, _) = EtcdRenewal(answer) {
            let ttl = LeaseTime.granted(seconds)
            if ttl <= .zero || StandingClock.moment + ttl <= StandingClock.moment { fail("renews for \(ttl)", bytes) }
        }
        guard let request = table.answered(answer.id) else { continue }
        if sent[answer.id]?.first != request { fail("answers request \(request) of \(sent)", bytes) }
        sent[answer.id]?.removeFirst()
    }
    if table.count != sent.values.map(\.count).reduce(0, +) { fail("counts \(table.count) requests", bytes) }
}

/// Answers on a stream of watches: a stream that is opened afterwards misses no revision that was not reported, and repeats none.
private func checkWatch(_ bytes: [UInt8]) {
    var table = WatchTable()
    let first: Int64 = 5
    _ = table.subscribe([.one(Array("a".utf8)), .one(Array("b".utf8))], from: first, isOpen: true)
    _ = table.subscribe([.below(Array("qq/".utf8))], from: 0, isOpen: true)
    var reported: Int64 = 0
    for part in Playback.split(bytes) {
        guard let answer = message(part, Etcdserverpb_WatchResponse.self) else { continue }
        for action in table.received(answer, at: "h1:2379") {
            guard case .deliver(.changed(let changes), _) = action else { continue }
            for change in changes {
                switch change {
                case .put(let key):
                    _ = (Contender(key, of: "web", naming), naming.name(of: key), StepDownRequest(key.value))
                case .deleted: break
                }
            }
            reported = max(reported, answer.events.last?.kv.modRevision ?? 0)
        }
    }
    for action in table.opened() {
        guard case .send(let request) = action else { continue }
        let start = request.createRequest.startRevision
        if request.createRequest.watchID <= 2, start < first { fail("watches from \(start), not from \(first)", bytes) }
    }
    _ = table.failed(EtcdFailure(.unavailable, "x"))
    if !table.isEmpty { fail("watches without a stream", bytes) }
}

private let naming = ContenderNaming(prefix: "qq")

/// A cluster whose answers are given: the letter of the call (`Call`), and a message of the protocol, or an error after `!`. Several calls can be under way, so
/// each takes the first answer that has its letter. `%0` and `%1` stand for the latest lease, in hex and in decimal.
private final class PlayedEtcd: EtcdCalling {
    private let playback: Playback
    let endpoints: [ServerURL.Host] = [ServerURL.Host(name: "h1", port: 2379), ServerURL.Host(name: "h2", port: 2379)]

    init(_ bytes: [UInt8]) { playback = Playback(bytes) }

    private enum Call: Character {
        case range = "r"
        case transact = "t"
        case grant = "g"
        case revoke = "x"
        case lease = "l"
        case keepAlive = "k"
        case watch = "w"
        case members = "m"
        case status = "s"
        case alarms = "a"
    }

    private func part(_ call: Call) -> [UInt8]? {
        playback.next { $0.first == call.rawValue.asciiValue }.map { Array($0.dropFirst()) }
    }

    private func next<Answer: SwiftProtobuf.Message>(_ call: Call, _ type: Answer.Type) throws(EtcdFailure) -> Answer {
        guard let part = part(call) else { throw EtcdFailure(.unavailable, "no answer is left", at: "h1:2379") }
        if part.first == UInt8(ascii: "!") { throw failure(part.dropFirst()) }
        guard let answer = message(part, type) else {
            throw EtcdFailure(.mayHaveBeenApplied, "the answer cannot be decoded", at: "h1:2379", wasSent: true)
        }
        return answer
    }

    private func note(_ lease: Int64) {
        playback.note(0, LeaseID.text(lease))
        playback.note(1, "\(lease)")
    }

    func range(_ request: EtcdRange, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdRangeAnswer {
        EtcdRangeAnswer(try next(.range, Etcdserverpb_RangeResponse.self))
    }

    func transact(_ transaction: EtcdTransaction, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdTransactionAnswer {
        guard let answer = EtcdTransactionAnswer(try next(.transact, Etcdserverpb_TxnResponse.self), to: transaction) else {
            throw EtcdFailure(.mayHaveBeenApplied, "the answer does not fit the request", at: "h1:2379", wasSent: true)
        }
        return answer
    }

    func grantLease(_ id: Int64, seconds: Int64, by deadline: BootInstant) async throws(EtcdFailure) -> Int64 {
        note(id)
        return try next(.grant, Etcdserverpb_LeaseGrantResponse.self).ttl
    }

    func revokeLease(_ id: Int64, by deadline: BootInstant) async throws(EtcdFailure) {
        do throws(EtcdFailure) { _ = try next(.revoke, Etcdserverpb_LeaseRevokeResponse.self) } catch {
            if error.meaning != .leaseGone { throw error }
        }
    }

    func lease(_ id: Int64, withKeys: Bool, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdLease? {
        EtcdLease(try next(.lease, Etcdserverpb_LeaseTimeToLiveResponse.self), of: id)
    }

    func keepAlive(_ id: Int64, atLeast term: UInt64, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdRenewal {
        note(id)
        let renewal = EtcdRenewal(try next(.keepAlive, Etcdserverpb_LeaseKeepAliveResponse.self))
        if case .renewed(_, let answered) = renewal, answered < term {
            throw EtcdFailure(.notApplied(retry: .immediately), "the member is behind", at: "h1:2379", wasSent: true)
        }
        return renewal
    }

    /// Reports all answers to watches.
    func watch(_ keys: [EtcdKeys], from revision: Int64) -> EtcdWatch {
        var table = WatchTable()
        _ = table.subscribe(keys, from: revision, isOpen: true)
        let (stream, post) = AsyncStream.makeStream(of: EtcdWatch.Event.self, bufferingPolicy: .bufferingNewest(100))
        while let part = part(.watch) {
            guard let answer = message(part, Etcdserverpb_WatchResponse.self) else { continue }
            for action in table.received(answer, at: "h1:2379") {
                switch action {
                case .send, .logIn: break
                case .deliver(let event, _), .end(let event, _): post.yield(event)
                }
            }
        }
        post.finish()
        return EtcdWatch(stream)
    }

    func members(by deadline: BootInstant) async throws(EtcdFailure) -> [EtcdMember] {
        try next(.members, Etcdserverpb_MemberListResponse.self).members.map { EtcdMember($0) }
    }

    func status(of endpoint: ServerURL.Host, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdStatus {
        EtcdStatus(try next(.status, Etcdserverpb_StatusResponse.self))
    }

    func alarms(at endpoint: ServerURL.Host, by deadline: BootInstant) async throws(EtcdFailure) -> [EtcdAlarm] {
        try next(.alarms, Etcdserverpb_AlarmResponse.self).alarms.map { EtcdAlarm($0) }
    }
}
