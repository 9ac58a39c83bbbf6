import Foundation
import QQCore
import QQGRPC
import Support
import SwiftProtobuf
import Synchronization
import Testing

@testable import QQEtcd

/// Time for coordinators and the store. It moves only when a test moves it.
final class StoreClock: LeaseClock {
    private struct State {
        var now = BootInstant(nanoseconds: 1_000_000_000_000)
        var sleepers: [UInt64: BootInstant] = [:]
        var lastSleeper: UInt64 = 0
    }

    private let state = Mutex(State())

    func now() -> BootInstant { state.withLock { $0.now } }

    func pass(_ time: Duration) { state.withLock { $0.now = $0.now + time } }

    /// Advances to the time at which the next sleeper wakes. Waits for sleepers that are due, so that a slow one does not miss times of its own.
    func passToNextDeadline() {
        state.withLock { state in if let next = state.sleepers.values.min(), next > state.now { state.now = next } }
    }

    func sleep(until deadline: BootInstant) async throws {
        let id = state.withLock { state in
            state.lastSleeper += 1
            state.sleepers[state.lastSleeper] = deadline
            return state.lastSleeper
        }
        defer { state.withLock { $0.sleepers[id] = nil } }
        while now() < deadline { try await Task.sleep(for: .milliseconds(1)) }
    }
}

/// The calls to a store in memory, without a network.
final class StoreCluster: EtcdCalling {
    private struct State {
        var store: EtcdStore
        /// Readers of watches, by the store's stream.
        var readers: [Int: AsyncStream<EtcdWatch.Event>.Continuation] = [:]
    }

    let clock: StoreClock
    private let state: Mutex<State>
    /// Called after each answer to a read.
    let afterRange = Mutex<(@Sendable () -> Void)?>(nil)

    init(_ version: EtcdVersion = .v34, clock: StoreClock = StoreClock()) {
        self.clock = clock
        state = Mutex(State(store: EtcdStore(version, now: Int64(clock.now().nanoseconds))))
    }

    /// Uses the store at the present time, and delivers what its watches have to tell.
    func with<Answer>(_ body: (inout EtcdStore) throws(EtcdServerError) -> Answer) throws(EtcdServerError) -> Answer {
        let now = Int64(clock.now().nanoseconds)
        let result = state.withLock { state -> Result<Answer, EtcdServerError> in
            state.store.advance(to: now)
            defer { Self.deliver(&state) }
            do throws(EtcdServerError) { return .success(try body(&state.store)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    private static func deliver(_ state: inout State) {
        for (number, reader) in state.readers {
            do throws(EtcdServerError) {
                for answer in try state.store.takeAnswers(number) {
                    if answer.compactRevision > 0 { reader.yield(.compacted(answer.compactRevision)) }
                    let changes = answer.events.compactMap { EtcdChange($0) }
                    if !changes.isEmpty { reader.yield(.changed(changes)) }
                }
            } catch { reader.yield(.lost(failure(error))) }
        }
    }

    private static func failure(_ error: EtcdServerError) -> EtcdFailure {
        EtcdFailure(GRPCFailure(error.code, error.message, at: "store:2379", wasSent: true))
    }

    private func call<Answer>(_ body: (inout EtcdStore) throws(EtcdServerError) -> Answer) throws(EtcdFailure) -> Answer {
        do throws(EtcdServerError) { return try with(body) } catch { throw Self.failure(error) }
    }

    // MARK: Calls

    func range(_ request: EtcdRange, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdRangeAnswer {
        let answer = try call { store throws(EtcdServerError) in try store.range(Etcdserverpb_RangeRequest(request)) }
        try check(answer)
        afterRange.withLock { $0 }?()
        return EtcdRangeAnswer(answer)
    }

    /// Refuses an answer as large as gRPC's limit.
    private func check(_ answer: some SwiftProtobuf.Message) throws(EtcdFailure) {
        let bytes: [UInt8]? = try? answer.serializedBytes()
        if (bytes?.count ?? 0) > 4 << 20 { throw EtcdFailure(.tooLarge, "the answer is too large", wasSent: true) }
    }

    func transact(_ transaction: EtcdTransaction, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdTransactionAnswer {
        let response = try call { store throws(EtcdServerError) in try store.transact(Etcdserverpb_TxnRequest(transaction)) }
        try check(response)
        guard let answer = EtcdTransactionAnswer(response, to: transaction) else { throw EtcdFailure(.unsupported, "does not fit") }
        return answer
    }

    func grantLease(_ id: Int64, seconds: Int64, by deadline: BootInstant) async throws(EtcdFailure) -> Int64 {
        try call { store throws(EtcdServerError) in
            try store.grant(Etcdserverpb_LeaseGrantRequest.with { ($0.id, $0.ttl) = (id, seconds) }).ttl
        }
    }

    func revokeLease(_ id: Int64, by deadline: BootInstant) async throws(EtcdFailure) {
        do throws(EtcdFailure) {
            _ = try call { store throws(EtcdServerError) in try store.revoke(Etcdserverpb_LeaseRevokeRequest.with { $0.id = id }) }
        } catch { if error.meaning != .leaseGone { throw error } }
    }

    func lease(_ id: Int64, withKeys: Bool, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdLease? {
        let found = try call { store throws(EtcdServerError) in
            try store.timeToLive(Etcdserverpb_LeaseTimeToLiveRequest.with { ($0.id, $0.keys) = (id, withKeys) })
        }
        guard found.ttl >= 0, found.grantedTtl > 0 else { return nil }
        return EtcdLease(id: id, secondsLeft: found.ttl, grantedSeconds: found.grantedTtl, keys: found.keys.map { Array($0) })
    }

    func keepAlive(_ id: Int64, atLeast term: UInt64, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdRenewal {
        for member in 0..<(try call { store throws(EtcdServerError) in store.members.count }) {
            let answer = try call { store throws(EtcdServerError) in
                try store.keepAlive(Etcdserverpb_LeaseKeepAliveRequest.with { $0.id = id }, EtcdStore.Caller(member: member))
            }
            guard let answer else { throw EtcdFailure(.mayHaveBeenApplied, "no answer in time", wasSent: true) }
            if answer.header.raftTerm >= term { return EtcdRenewal(answer) }
        }
        throw EtcdFailure(.notApplied(retry: .immediately), "no member knows of the new leader")
    }

    func watch(_ keys: [EtcdKeys], from revision: Int64) -> EtcdWatch {
        let (stream, reader) = AsyncStream.makeStream(of: EtcdWatch.Event.self, bufferingPolicy: .bufferingNewest(1_000))
        state.withLock { state in
            guard let number = try? state.store.openWatches() else { return reader.finish() }
            reader.onTermination = { [weak self] _ in self?.close(number) }
            for range in keys {
                let create = Etcdserverpb_WatchCreateRequest.with {
                    ($0.key, $0.rangeEnd, $0.startRevision) = (Data(range.key), Data(range.end), revision)
                }
                state.store.watch(.with { $0.createRequest = create }, on: number)
            }
            state.readers[number] = reader
            reader.yield(.began)
            Self.deliver(&state)
        }
        return EtcdWatch(stream)
    }

    private func close(_ number: Int) {
        // The reader can end while the store delivers to it.
        Task { [weak self] in
            self?.state.withLock { state in
                state.readers[number] = nil
                state.store.closeWatches(number)
            }
        }
    }

    func members(by deadline: BootInstant) async throws(EtcdFailure) -> [EtcdMember] {
        try call { store throws(EtcdServerError) in try store.memberList(Etcdserverpb_MemberListRequest()) }.members.map {
            EtcdMember(id: $0.id, name: $0.name, clientURLs: $0.clientUrls, isLearner: $0.isLearner)
        }
    }

    let endpoints = [ServerURL.Host(name: "store", port: 2379)]

    func status(of endpoint: ServerURL.Host, by deadline: BootInstant) async throws(EtcdFailure) -> EtcdStatus {
        EtcdStatus(try call { store throws(EtcdServerError) in try store.status(Etcdserverpb_StatusRequest()) })
    }

    func alarms(at endpoint: ServerURL.Host, by deadline: BootInstant) async throws(EtcdFailure) -> [EtcdAlarm] {
        try call { store throws(EtcdServerError) in try store.alarm(Etcdserverpb_AlarmRequest()) }.alarms.map { EtcdAlarm($0) }
    }

    // MARK: Other programs

    /// Puts a key as etcdctl does.
    /// - Parameter lease: made if it does not exist; 0 for none.
    func put(_ key: String, _ value: String = "", lease: Int64 = 0) throws {
        try with { store throws(EtcdServerError) in
            if lease != 0 { _ = try? store.grant(.with { ($0.id, $0.ttl) = (lease, 60) }) }
            _ = try store.put(.with { ($0.key, $0.value, $0.lease) = (Data(key.utf8), Data(value.utf8), lease) })
        }
    }

    func delete(_ key: String) throws {
        _ = try with { store throws(EtcdServerError) in try store.deleteRange(.with { $0.key = Data(key.utf8) }) }
    }

    func keys() throws -> [String] {
        try with { store throws(EtcdServerError) in try store.range(.with { ($0.key, $0.rangeEnd) = (Data([0]), Data([0])) }) }
            .kvs.map { String(decoding: $0.key, as: UTF8.self) }
    }

    /// Puts a key of another program, and discards all revisions before that.
    func compact() throws {
        try put("elsewhere")
        try with { store throws(EtcdServerError) in try store.compact(store.header(of: .init()).revision) }
    }

    /// The lease that a key is bound to, 0 for none; nil if there is no such key.
    func lease(of key: String) throws -> Int64? {
        try with { store throws(EtcdServerError) in try store.range(.with { $0.key = Data(key.utf8) }) }.kvs.first?.lease
    }

    /// The number of calls so far, by method.
    func calls() throws -> [String: Int] { try with { store throws(EtcdServerError) in store.faults.calls } }

    /// The number of leases.
    func leases() throws -> Int { try with { store throws(EtcdServerError) in try store.leaseList(.init()) }.leases.count }

    /// The next call of the method is answered with a failure.
    func fail(_ method: String, _ effect: EtcdFaults.Effect, _ failure: EtcdServerError = .timedOut) throws {
        try with { store throws(EtcdServerError) in store.faults.next[method, default: []].append(.init(failure, effect)) }
    }

    func node() throws -> EtcdCoordinator {
        let system = ServerURL.System(
            name: "etcd", schemes: [.init("etcd")], authority: .hosts(areRequired: true, loneUserIsToken: false, defaultPort: 2379),
            path: .prefix)
        return EtcdCoordinator(
            server: try ServerURL.parse("etcd://store/qq", as: [system]), api: self, requestTimeout: .seconds(5), clock: clock,
            executor: globalConcurrentExecutor)
    }
}

func request(_ identity: String, _ name: String = "web", ttl: Duration = .seconds(9), continuing: Grant? = nil) -> AcquireRequest {
    AcquireRequest(name: name, identity: identity, ttl: ttl, continuing: continuing)
}

extension AcquireAnswer {
    var grant: Grant? { if case .granted(let grant, _) = self { grant } else { nil } }
    var refusal: ElectionState? { if case .refused(let state) = self { state } else { nil } }
}

extension RenewAnswer {
    var grant: Grant? { if case .renewed(let grant) = self { grant } else { nil } }
}

func granted(_ node: EtcdCoordinator, _ request: AcquireRequest) async throws -> Grant {
    try #require(try await node.acquire(request).grant)
}

extension StoreCluster {
    /// A waiter behind the present leader.
    func waiter(_ node: EtcdCoordinator, _ identity: String) async throws -> Task<Void, any Error> {
        let refusal = try #require(try await node.acquire(request(identity)).refusal)
        let (clock, before) = (clock, try keys().count)
        let task = Task { try await node.waitForTurn(request(identity), behind: refusal, until: clock.now() + .seconds(600)) }
        try await waitUntil("\(identity) waits") { try self.keys().count > before }
        return task
    }
}
