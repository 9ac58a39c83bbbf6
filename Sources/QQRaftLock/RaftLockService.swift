import QQCore
import QQGRPC
import SwiftProtobuf
import Synchronization

/// The calls to a RaftLock cluster: writes and reads of a lock go to the Raft leader, wherever that is, and the rest to any node.
final class RaftLockService: Sendable {
    let endpoints: [any LockServer]
    let clock: any LeaseClock
    private let connect: @Sendable (ServerURL.Host) -> any LockServer
    private let executor: any TaskExecutor
    private let followsRedirects: Bool
    private let redirected: (@Sendable () -> Void)?
    private let writeQueue: WriteQueue
    let state: Mutex<State>

    struct State {
        var directory: LeaderDirectory
        var health = WriteHealth()
        /// Raft leaders outside the configured endpoints, by address.
        var strangers: [String: any LockServer] = [:]
        /// The address among these that last did something that only the leader does.
        var strangeLeader: String?
        var clocks: [Int: Measured] = [:]

        /// A node outside the configured endpoints did something that only the Raft leader does.
        mutating func found(_ address: String) { strangeLeader = strangers.first { $0.value.host.description == address }?.key }
    }

    /// When an endpoint's clock was read, and the result.
    struct Measured {
        var clock: ServerClock?
        var at: BootInstant
    }

    /// - Parameters:
    ///   - connect: makes the server at an address.
    ///   - writeQueue: the queue that all writes of this process to the cluster go through.
    init(
        _ hosts: [ServerURL.Host], connect: @escaping @Sendable (ServerURL.Host) -> any LockServer, writeQueue: WriteQueue,
        clock: any LeaseClock, executor: any TaskExecutor, followsRedirects: Bool, redirected: (@Sendable () -> Void)?
    ) {
        self.connect = connect
        self.writeQueue = writeQueue
        self.clock = clock
        self.executor = executor
        self.followsRedirects = followsRedirects
        self.redirected = redirected
        endpoints = hosts.map(connect)
        state = Mutex(State(directory: LeaderDirectory(hosts.map(\.description))))
    }

    var directory: LeaderDirectory { state.withLock { $0.directory } }

    // MARK: One call

    /// Makes one call to one server.
    func ask<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ call: LockCall<Request, Response>, at endpoint: any LockServer, timeout: Duration
    ) async throws(GRPCFailure) -> Response {
        do throws(GRPCFailure) { return try await endpoint.call(call, timeout: timeout) } catch {
            if case .notLeader = LockRefusal(error) { redirected?() }
            throw error
        }
    }

    // MARK: Writes

    /// Sends a write to the Raft leader as soon as no other write of this process is under way. Once it is sent, its answer is awaited even if the task is
    /// cancelled: the next write must not overtake it.
    func write<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ call: LockCall<Request, Response>, until deadline: BootInstant
    ) async throws(GRPCFailure) -> Response {
        try await enterWriteQueue(until: deadline)
        return try await send(call, until: deadline)
    }

    /// - Parameter beginBy: until when the read that the write is based on is valid; nil for no limit.
    /// - Returns: nil if its turn came after that, and it was not sent.
    func write<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ call: LockCall<Request, Response>, until deadline: BootInstant, beginBy: BootInstant?
    ) async throws(GRPCFailure) -> Response? {
        try await enterWriteQueue(until: deadline)
        if let beginBy, clock.now() > beginBy {
            writeQueue.leave()
            return nil
        }
        return try await send(call, until: deadline)
    }

    private func enterWriteQueue(until deadline: BootInstant) async throws(GRPCFailure) {
        guard await writeQueue.enter(until: deadline, clock) else {
            let place = endpoints.first?.host.description ?? ""
            if Task.isCancelled { throw GRPCFailure(.cancelled, "interrupted", at: place, wasSent: false, isAnswer: false) }
            throw GRPCFailure(
                .deadlineExceeded, "other requests of this process took all the available time", at: place, wasSent: false, isAnswer: false)
        }
    }

    /// Sends for a caller that has entered the write queue, and leaves the queue.
    private func send<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ call: LockCall<Request, Response>, until deadline: BootInstant
    ) async throws(GRPCFailure) -> Response {
        let writeQueue = writeQueue
        let task = Task(executorPreference: executor) { () async -> Result<Response, GRPCFailure> in
            defer { writeQueue.leave() }
            do throws(GRPCFailure) { return .success(try await self.toLeader(call, until: deadline)) } catch { return .failure(error) }
        }
        return try await task.value.get()
    }

    private func toLeader<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ call: LockCall<Request, Response>, until deadline: BootInstant
    ) async throws(GRPCFailure) -> Response {
        var search = LeaderSearch(followsRedirects: followsRedirects)
        var step = search.begin(directory)
        var failure: GRPCFailure?
        while true {
            let asked: Int?
            let endpoint: any LockServer
            switch step {
            case .ask(let index): (asked, endpoint) = (index, endpoints[index])
            case .askStranger(let address):
                guard let stranger = stranger(address) else {
                    step = search.next(after: .unreachable, from: nil, directory)
                    continue
                }
                (asked, endpoint) = (nil, stranger)
            case .identify:
                await identify(until: deadline)
                step = search.identified(directory)
                continue
            case .giveUp: throw noLeaderFound(search, failure)
            }
            let left = deadline.duration(since: clock.now())
            guard left > .zero else { throw failure ?? noLeaderFound(search, nil) }
            // An unreachable endpoint must leave time for the others.
            let known = [directory.leader, search.pointer.flatMap { directory.endpoint(of: $0) }]
            let isKnown = asked.map { known.contains($0) } ?? false
            let share = isKnown ? left : left / (1 + search.left(of: directory))
            do throws(GRPCFailure) {
                let response = try await ask(call, at: endpoint, timeout: share)
                answered(asked, call.operation, endpoint.host.description)
                return response
            } catch {
                guard let answer = meaning(error, of: call.operation, from: asked) else {
                    await identify(asked, after: error)
                    throw error
                }
                failure = failure.map { LockRefusal($0) == nil ? error : $0 } ?? error
                step = search.next(after: answer, from: asked, directory)
            }
        }
    }

    func answered(_ index: Int?, _ operation: LockOperation, _ endpoint: String) {
        state.withLock { state in
            if let index {
                state.directory.served(at: index)
                state.strangeLeader = nil
            } else {
                state.found(endpoint)
            }
            if operation.isWrite { state.health.wrote(at: endpoint) } else { state.health.didRead(at: endpoint) }
        }
    }

    /// Notes what a failed write shows about the endpoint.
    /// - Returns: why another endpoint must be asked; nil if the failure is the answer.
    private func meaning(_ failure: GRPCFailure, of operation: LockOperation, from index: Int?) -> LeaderSearch.Answer? {
        let refusal = LockRefusal(failure)
        return state.withLock { state in
            func lost() { if let index { state.directory.lost(at: index) } }
            switch refusal {
            case .notLeader(let pointer):
                lost()
                return .notLeader(pointer)
            case .noLeader:
                lost()
                return .noLeader
            case .unexpected:
                // Renewals end with this even if all is well: their caller reads the lock and reports with `resolved`.
                if operation != .renew { state.health.failed(at: failure.endpoint) }
                // A node that is not the Raft leader redirects writes instead.
                if let index { state.directory.served(at: index) } else { state.found(failure.endpoint) }
                return nil
            // Any node answers this, without regard to the leader.
            case .invalidArgument, .denied, .rateLimited: return nil
            case .some:
                if let index { state.directory.served(at: index) } else { state.found(failure.endpoint) }
                state.health.wrote(at: failure.endpoint)
                return nil
            case nil:
                lost()
                if failure.code == .unimplemented { return .unreachable }
                if !failure.wasSent, failure.code != .cancelled { return .unreachable }
                if failure.code == .deadlineExceeded, operation != .renew { state.health.failed(at: failure.endpoint, wasHeard: false) }
                return nil
            }
        }
    }

    private func noLeaderFound(_ search: LeaderSearch, _ failure: GRPCFailure?) -> GRPCFailure {
        var told = failure ?? noTime
        guard let pointer = search.pointer, case .notLeader = LockRefusal(told) else { return told }
        let node = [pointer.nodeID, pointer.address.map { "at \($0)" }].compactMap(\.self).joined(separator: " ")
        guard !node.isEmpty else { return told }
        told.message =
            directory.endpoint(of: pointer) == nil && directory.isComplete
            ? "the leader is \(node), which is not among the given endpoints"
            : "the leader is reported to be \(node), which does not lead or cannot be reached"
        return told
    }

    private static let mostStrangers = 16

    private func stranger(_ address: String) -> (any LockServer)? {
        guard let colon = address.lastIndex(of: ":"), let port = Int(address[address.index(after: colon)...]), (1...65535).contains(port)
        else { return nil }
        var name = String(address[..<colon])
        if name.hasPrefix("["), name.hasSuffix("]") { name = String(name.dropFirst().dropLast()) }
        guard !name.isEmpty else { return nil }
        return state.withLock { state in
            if let known = state.strangers[address] { return known }
            // A node can name another leader each time.
            if state.strangers.count >= Self.mostStrangers, let other = state.strangers.keys.first(where: { $0 != state.strangeLeader }) {
                state.strangers[other] = nil
            }
            let made = connect(.init(name: name, port: port))
            state.strangers[address] = made
            return made
        }
    }

    // MARK: Node ids

    /// Asks the endpoints for the ids of their nodes.
    private func identify(until deadline: BootInstant) async {
        let limit = min(.seconds(1), deadline.duration(since: clock.now()) / 2)
        guard limit > .zero else { return }
        await withTaskGroup(of: Void.self) { group in
            for index in endpoints.indices {
                group.addTask {
                    let status = try? await self.ask(LockCalls.status(), at: self.endpoints[index], timeout: limit)
                    if let status { self.identified(status.raftStatus.nodeID, at: index) }
                }
            }
        }
    }

    /// Asks the endpoint of a failed write for the id of its node, until it is known: if it fails again, the message names the node.
    private func identify(_ index: Int?, after failure: GRPCFailure) async {
        guard let index, LockRefusal(failure) == .unexpected || failure.code == .deadlineExceeded,
            directory.nodeID(at: index) == nil
        else { return }
        let status = try? await ask(LockCalls.status(), at: endpoints[index], timeout: .milliseconds(500))
        if let status { identified(status.raftStatus.nodeID, at: index) }
    }

    func identified(_ nodeID: String, at index: Int) { state.withLock { $0.directory.identified(nodeID, at: index) } }

    /// The node that answers reads but carries out no writes, if the failure shows that.
    func wedged(_ failure: GRPCFailure) -> (node: String, sign: WriteHealth.Sign)? {
        guard failure.wasSent, LockRefusal(failure) == .unexpected || failure.code == .deadlineExceeded else { return nil }
        return state.withLock { state in
            guard let sign = state.health.sign(at: failure.endpoint) else { return nil }
            let index = endpoints.firstIndex { $0.host.description == failure.endpoint }
            return (index.flatMap { state.directory.nodeID(at: $0) } ?? failure.endpoint, sign)
        }
    }

    /// The outcome of a renewal that the endpoint did not confirm.
    enum Renewal: Sendable, Hashable {
        case carriedOut
        /// There was no longer a lease to renew.
        case refused
        /// The renewal had no effect; the server answered that it failed, or did not answer.
        case ignored(wasHeard: Bool)
    }

    func resolved(_ renewal: Renewal, at endpoint: String) {
        state.withLock { state in
            switch renewal {
            case .carriedOut, .refused: state.health.wrote(at: endpoint)
            case .ignored(let wasHeard): state.health.failed(at: endpoint, wasHeard: wasHeard)
            }
        }
    }

    var noTime: GRPCFailure {
        GRPCFailure(
            .deadlineExceeded, "no answer in time", at: endpoints.first?.host.description ?? "", wasSent: false, isAnswer: false)
    }
}
