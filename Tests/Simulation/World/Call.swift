import QQCore

/// Why a call has no answer.
public struct CallFailure: Error, Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable {
        /// Nothing listens there.
        case refused = "connection refused"
        /// There was no connection, and none could be made.
        case unreachable = "no connection in time"
        /// The connection ended before the answer came.
        case broken = "connection reset by peer"
        /// The caller's patience was over.
        case timedOut = "no answer in time"
        /// The task was cancelled, or its process has ended.
        case cancelled = "interrupted"
    }

    public var kind: Kind
    /// Whether the server might have got the request. It can still get it later.
    public var wasSent: Bool

    public init(_ kind: Kind, wasSent: Bool) {
        self.kind = kind
        self.wasSent = wasSent
    }
}

/// What a server answers with, once; later answers are dropped, as are those to callers that have given up.
public struct Reply<Answer: Sendable>: @unchecked Sendable {
    // Used on the world's thread only.
    fileprivate let call: Call<Answer>
    fileprivate let server: Host

    /// The process that asked. A server must not use more of it than who it is.
    public var caller: SimProcess { call.process }

    /// Whether nobody waits for an answer any more, as far as the server can know: the caller's connection has ended.
    public var isAbandoned: Bool { call.isOver }

    public func send(_ answer: Answer) {
        let call = call
        call.process.world.network.send(from: server, to: call.process.host) { call.finish(.success(answer)) }
    }

    /// Ends the connection in place of an answer.
    public func hangUp() {
        let call = call
        call.process.world.network.send(from: server, to: call.process.host) {
            call.finish(.failure(CallFailure(.broken, wasSent: true)))
        }
    }
}

/// What a request is, for the checker.
public struct RequestKind: Sendable {
    public var name: StaticString
    /// Whether the server can change something by it that another contender sees.
    public var writes: Bool
    /// Whether the same process must not send another one of this kind before this one has ended.
    public var alone: Bool
    /// Whether the network can deliver it twice. A connection of TCP does not; a client that sends requests again does.
    public var canRepeat: Bool

    public init(_ name: StaticString, writes: Bool, alone: Bool = false, canRepeat: Bool = false) {
        self.name = name
        self.writes = writes
        self.alone = alone
        self.canRepeat = canRepeat
    }
}

extension SimProcess {
    /// Asks a server over the network: `serve` is called at the server when the request comes, perhaps late, perhaps twice, perhaps after
    /// the caller has given up. It answers by its `Reply`, at once or later.
    /// - Parameter patience: after this long without an answer the call fails.
    public func call<Answer: Sendable>(
        _ kind: RequestKind, at server: Host, patience: Duration, _ serve: @escaping @Sendable (Reply<Answer>) -> Void
    ) async throws(CallFailure) -> Answer {
        if isDead || Task.isCancelled { throw CallFailure(.cancelled, wasSent: false) }
        let call = Call<Answer>(self, kind, server)
        let result = await withTaskCancellationHandler {
            await withUnsafeContinuation { call.begin($0, patience: patience, serve) }
        } onCancel: {
            call.finish(.failure(CallFailure(.cancelled, wasSent: true)))
        }
        return try result.get()
    }
}

/// A call under way, whatever its answer.
class AnyCall: Pending {
    let process: SimProcess

    init(_ process: SimProcess) { self.process = process }

    func fail(_ failure: CallFailure) {}
}

final class Call<Answer: Sendable>: AnyCall, @unchecked Sendable {
    // Used on the world's thread only.
    private let kind: RequestKind
    private let server: Host
    private var continuation: UnsafeContinuation<Result<Answer, CallFailure>, Never>?
    private(set) var isOver = false
    private var isCounted = false

    init(_ process: SimProcess, _ kind: RequestKind, _ server: Host) {
        self.kind = kind
        self.server = server
        super.init(process)
    }

    func begin(
        _ continuation: UnsafeContinuation<Result<Answer, CallFailure>, Never>, patience: Duration,
        _ serve: @escaping @Sendable (Reply<Answer>) -> Void
    ) {
        if isOver || process.isDead { return continuation.resume(returning: .failure(CallFailure(.cancelled, wasSent: false))) }
        self.continuation = continuation
        process.add(self)
        let world = process.world
        world.checker.requestBegan(kind, process)
        isCounted = kind.alone
        let patience = max(patience.nanoseconds, 1)
        let network = world.network!
        network.began(self, at: server)
        if network.isCut(from: process.host, to: server) || network.isCut(from: server, to: process.host), process.random.chance(500_000) {
            // There is no connection, and the link is cut: none can be made.
            return world.after(min(patience, .seconds(3))) { self.fail(CallFailure(.unreachable, wasSent: false)) }
        }
        let reply = Reply(call: self, server: server)
        network.send(from: process.host, to: server, canRepeat: kind.canRepeat) { [server, process] in
            guard server.isUp else {
                return network.send(from: server, to: process.host) { self.fail(CallFailure(.refused, wasSent: false)) }
            }
            serve(reply)
        }
        world.after(patience) { [self] in fail(CallFailure(.timedOut, wasSent: true)) }
    }

    func finish(_ result: Result<Answer, CallFailure>) {
        guard !isOver else { return }
        isOver = true
        process.remove(self)
        process.world.network.ended(self, at: server)
        if isCounted { process.world.checker.requestEnded(kind, process) }
        continuation?.resume(returning: result)
        continuation = nil
    }

    override func fail(_ failure: CallFailure) { finish(.failure(failure)) }

    override func processEnded() { finish(.failure(CallFailure(.cancelled, wasSent: true))) }
}
