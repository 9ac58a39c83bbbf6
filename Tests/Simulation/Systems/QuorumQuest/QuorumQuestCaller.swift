import GRPCCore
import QQCore
import QQGRPC
import Support

@testable import QQQuorumQuest

/// The calls of one process to one server, as `GRPCEndpoint` makes them: over one connection, and again over a new one if a connection that has worked
/// before is broken.
final class QuorumQuestCaller: QuorumQuestCalling, @unchecked Sendable {
    // Used on the world's thread only.
    private static let acquires = RequestKind("TryAcquireLock", writes: true, alone: true)
    private static let releases = RequestKind("ReleaseLock", writes: true, alone: true)
    private static let keeps = RequestKind("KeepAlive", writes: true, alone: true)
    /// The age at which the server ends a connection.
    private static let age: ClosedRange<Nanoseconds> = .seconds(27)...(.seconds(33))

    let host: ServerURL.Host
    private let model: QuorumQuestModel
    private let process: SimProcess
    private let place: Int
    /// When the server ends the connection; nil if there is none that an answer has come over.
    private var connectionEnds: BootInstant?

    init(_ model: QuorumQuestModel, _ process: SimProcess, _ place: Int) {
        self.model = model
        self.process = process
        self.place = place
        host = ServerURL.Host(name: model.machine(place).name, port: 5050)
    }

    /// The key of an election at the servers.
    static func key(of election: String) -> String { QuorumQuestTable.key(election, ElectionName.defaultDomain) }

    static func coordinator(of model: QuorumQuestModel, for process: SimProcess) -> QuorumQuestCoordinator {
        // The order of servers is that of the URL, which need not be the same everywhere.
        let first = Int(process.random.below(Int64(model.serverCount)))
        let callers = (0..<model.serverCount).map { QuorumQuestCaller(model, process, (first + $0) % model.serverCount) }
        guard let url = try? ServerURL.parse("qq://" + callers.map(\.host.description).joined(separator: ","), as: [.quorumQuest]) else {
            preconditionFailure("the names of the servers do not fit in a URL")
        }
        return QuorumQuestCoordinator(
            server: url, endpoints: callers, clock: process.clock, requestTimeout: .seconds(5),
            random: { process.random.fraction() }, wallTime: { process.host.wall },
            otherIdentity: { "\($0)+\(process.random.below(1_000_000))" },
            saved: { _ in nil })
    }

    // MARK: Calls

    func prepare() {}

    func tryAcquire(_ name: ElectionName, _ identity: String, ttl: Int32, timeout: Duration) async throws(GRPCFailure) -> Bool {
        try await call(Self.acquires, .acquire(ttl: ttl), name, identity, timeout)
    }

    func release(_ name: ElectionName, _ identity: String, timeout: Duration) async throws(GRPCFailure) {
        _ = try await call(Self.releases, .release, name, identity, timeout)
    }

    func keepAlive(_ name: ElectionName, _ identity: String, ttl: Int32, timeout: Duration) async throws(GRPCFailure) -> Duration? {
        try await call(Self.keeps, .keepAlive(ttl: ttl), name, identity, timeout) ? .seconds(Int64(ttl)) : nil
    }

    func services(timeout: Duration) async throws(GRPCFailure) -> [String] { [QuorumQuestService.name] }

    func inARow<Value: Sendable>(
        _ calls: @Sendable () async throws(GRPCFailure) -> Value
    ) async throws(GRPCFailure) -> Value {
        try await calls()
    }

    private func call(
        _ kind: RequestKind, _ command: QuorumQuestTable.Command, _ name: ElectionName, _ id: String, _ timeout: Duration
    ) async throws(GRPCFailure) -> Bool {
        let key = QuorumQuestTable.key(name.service, name.domain)
        let deadline = process.clock.now() + timeout
        while true {
            let wasProven = connectionEnds != nil
            // A request that meets the end of its connection is ignored in silence, until the connection ends.
            let isIgnored = connectionEnds.map { process.clock.now() >= $0 } ?? false && process.random.chance(100_000)
            if let end = connectionEnds, process.clock.now() >= end { connectionEnds = nil }
            let patience = deadline.duration(since: process.clock.now())
            do throws(CallFailure) {
                let isDone: Bool = try await process.call(kind, at: model.machine(place), patience: patience) { [model, place] reply in
                    if isIgnored { reply.hangUp() } else { model.serve(command, key, id, at: place, reply) }
                }
                if connectionEnds == nil {
                    connectionEnds = process.clock.now() + .nanoseconds(process.random.within(Self.age))
                }
                return isDone
            } catch {
                connectionEnds = nil
                let isBroken = error.kind == .broken || error.kind == .refused || error.kind == .unreachable
                guard wasProven, isBroken, process.clock.now() < deadline else { throw failure(error) }
            }
        }
    }

    private func failure(_ failure: CallFailure) -> GRPCFailure {
        let code: RPCError.Code =
            switch failure.kind {
            case .refused, .unreachable, .broken: .unavailable
            case .timedOut: .deadlineExceeded
            case .cancelled: .cancelled
            }
        return GRPCFailure(code, failure.kind.rawValue, at: host.description, wasSent: failure.wasSent, isAnswer: false)
    }
}
