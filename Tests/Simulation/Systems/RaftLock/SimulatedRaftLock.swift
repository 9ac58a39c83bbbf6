import GRPCCore
import QQCore
import QQGRPC
import QQRaftLock
import SwiftProtobuf

/// A node as a process of a world calls it, in the place of gRPC.
struct SimulatedRaftLock: LockServer {
    let host: ServerURL.Host
    let node: Int
    let server: RaftLockServer
    let process: SimProcess

    private static let writes = RequestKind("write to RaftLock", writes: true, alone: true)
    private static let reads = RequestKind("read from RaftLock", writes: false)

    func prepare() {}

    func call<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ call: LockCall<Request, Response>, timeout: Duration
    ) async throws(GRPCFailure) -> Response {
        let answer: RaftLockServer.Answer
        do throws(CallFailure) {
            answer = try await process.call(
                call.operation.isWrite ? Self.writes : Self.reads, at: server.hosts[node], patience: timeout
            ) { [server, node, process] reply in
                server.serve(call.request, on: node, by: process) { reply.send($0) }
            }
        } catch { throw failure(error) }
        guard let response = try answer.get() as? Response else {
            throw GRPCFailure(.dataLoss, "the server's answer cannot be decoded", at: host.description, wasSent: true)
        }
        return response
    }

    /// As `GRPCEndpoint` tells of it.
    private func failure(_ failure: CallFailure) -> GRPCFailure {
        switch failure.kind {
        case .timedOut: own(.deadlineExceeded, "no answer in time", failure.wasSent)
        case .cancelled: own(.cancelled, "interrupted", failure.wasSent)
        case .broken: own(.unavailable, "the connection was lost", failure.wasSent)
        case .refused: own(.unavailable, "connection refused", failure.wasSent)
        case .unreachable: own(.deadlineExceeded, "no answer in time", failure.wasSent)
        }
    }

    private func own(_ code: RPCError.Code, _ message: String, _ wasSent: Bool) -> GRPCFailure {
        GRPCFailure(code, message, at: host.description, wasSent: wasSent, isAnswer: false)
    }
}

extension SimulatedRaftLock {
    private static let port = 5051
    private static let url = "raftlock://r1,r2,r3"

    static func address(of node: Int) -> String { "r\(node + 1):\(port)" }

    /// The real coordinator, as `qq` makes it.
    static func coordinator(for process: SimProcess, identity: String, at server: RaftLockServer) -> any Campaigning {
        guard let url = try? ServerURL.parse(url, as: [.raftLock]) else {
            process.world.fail(.model, "the URL cannot be parsed")
            preconditionFailure("the URL cannot be parsed")
        }
        var surroundings = RaftLockCoordinator.Surroundings(
            connect: { host in
                let node = server.hosts.firstIndex { $0.name == host.name } ?? 0
                return SimulatedRaftLock(host: host, node: node, server: server, process: process)
            }, writeQueue: WriteQueue())
        surroundings.wallClock = { process.host.wall }
        surroundings.random = { process.random.fraction() }
        // A deputy has the identity of the process in whose place it acts.
        surroundings.isOurAlone = { $0 == process.name }
        return RaftLockCoordinator(
            server: url, surroundings: surroundings, clock: process.clock, executor: process.executor, requestTimeout: .seconds(5),
            priority: 0, followsRedirects: false)
    }
}

extension SimulatedSystem {
    /// RaftLock, a cluster of three nodes.
    public static let raftLock: SimulatedSystem = {
        var system = SimulatedSystem(name: "raftlock") { world, setting in RaftLockServer(world, setting) }
        system.canKeepIdentity = true
        // Reading before a request, the request, and reading after it.
        system.patience = .seconds(12)
        // The queue grants to a waiter that has died, for 30 s, and an election of a Raft leader takes up to 11 s.
        system.slack = .seconds(60)
        system.retry = RetryPolicy(
            initial: .milliseconds(100), maximum: .seconds(5), jitter: 0.1, codes: LockErrorCode.usuallyRetried)
        system.faults = RaftLockFault.allCases.map(\.fault)
        return system
    }()
}
