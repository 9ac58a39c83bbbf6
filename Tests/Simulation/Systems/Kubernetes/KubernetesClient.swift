import QQCore
import QQHTTP
import QQKubernetes
import Support

/// The calls of one `qq` to the API servers of a simulated cluster: one connection to one of the servers, and to another when that is gone.
final class KubernetesClient: APICalling, @unchecked Sendable {
    // Used on the world's thread only.
    let endpoint = "https://cluster:6443"
    private static let credential = "the token of the service account"
    private let cluster: KubernetesCluster
    private let process: SimProcess
    /// The place of its server.
    private var place: Int
    /// Those that are open, or were.
    private var watches: [AsyncThrowingStream<JSONValue, any Error>.Continuation] = []

    init(_ cluster: KubernetesCluster, _ process: SimProcess) {
        self.cluster = cluster
        self.process = process
        place = Int(process.random.below(Int64(cluster.servers.count)))
    }

    /// What the end of the process does.
    func endWatches() {
        for watch in watches { watch.finish() }
        watches = []
    }

    func prepare() {}

    func close() async {}

    static let reads = RequestKind("read the lease", writes: false)
    static let watches = RequestKind("watch the lease", writes: false)
    static let creates = RequestKind("create the lease", writes: true, alone: true)
    /// One write at a time: what comes of a write is found out before the next.
    static let replaces = RequestKind("write the lease", writes: true, alone: true)

    func call(_ request: APIRequest, until deadline: BootInstant) async throws(APIFailure) -> APIAnswer {
        let kind =
            switch request.method {
            case .post: Self.creates
            case .put: Self.replaces
            case .get, .delete: Self.reads
            }
        check(request)
        let (server, wanted) = (cluster.servers[place], raw(request))
        let reaction: ClusterServer.Reaction
        do throws(CallFailure) {
            let patience = deadline.duration(since: process.clock.now())
            reaction = try await process.call(kind, at: server.host, patience: patience) { server.take(wanted, $0) }
        } catch { throw unanswered(error) }
        guard case .answer(let answer, let date) = reaction, (200..<300).contains(answer.status) else { throw failure(reaction) }
        return APIAnswer(status: answer.status, body: answer.json ?? .null, text: answer.text, date: date)
    }

    /// The page's rule for PUT: the uid goes back, always, or the write brings a deleted lease back.
    private func check(_ request: APIRequest) {
        guard request.method == .put, let metadata = request.body?["metadata"] else { return }
        guard metadata["uid"] == nil, metadata["resourceVersion"] != nil else { return }
        process.world.fail(.model, "\(process.name) writes a lease without its uid")
    }

    func stream(_ request: APIRequest, until deadline: BootInstant) async throws(APIFailure) -> AsyncThrowingStream<JSONValue, any Error> {
        let (server, wanted) = (cluster.servers[place], raw(request))
        let (stream, continuation) = AsyncThrowingStream<JSONValue, any Error>.makeStream()
        let pipe = Pipe(process, server.host)
        watches = watches.suffix(3) + [continuation]
        let broken = unanswered(CallFailure(.broken, wasSent: true), moves: false)
        pipe.onBreak = { continuation.finish(throwing: broken) }
        continuation.onTermination = { _ in pipe.close() }
        let listener = ClusterServer.Listener {
            continuation.yield($0)
        } end: { end in
            if end == .orderly { continuation.finish() } else { continuation.finish(throwing: broken) }
        }
        let reaction: ClusterServer.Reaction
        do throws(CallFailure) {
            let patience = deadline.duration(since: process.clock.now())
            reaction = try await process.call(Self.watches, at: server.host, patience: patience) {
                server.watch(wanted, $0, pipe, listener)
            }
        } catch {
            pipe.close()
            throw unanswered(error)
        }
        guard case .opened = reaction else {
            pipe.close()
            throw failure(reaction)
        }
        return stream
    }

    private func raw(_ request: APIRequest) -> LeaseAPI.Request {
        LeaseAPI.Request(
            request.method.rawValue, request.path, query: request.query.map { ($0.name, $0.value) },
            headers: [("content-type", "application/json"), ("user-agent", "qq/1")], body: request.body.map { JSONWriter.bytes($0) } ?? [],
            certificate: KubernetesCluster.user)
    }

    // MARK: Failures

    /// - Parameter moves: whether the next request goes to another server.
    private func unanswered(_ failure: CallFailure, moves: Bool = true) -> APIFailure {
        let kind: HTTPFailure.Kind =
            switch failure.kind {
            case .refused, .unreachable: .notConnected
            case .broken: .disconnected
            case .timedOut: .timedOut
            case .cancelled: .cancelled
            }
        if moves, failure.kind != .cancelled { place = Int(process.random.below(Int64(cluster.servers.count))) }
        let transport = HTTPFailure(kind, failure.kind.rawValue, at: endpoint, wasSent: failure.wasSent)
        return APIFailure(message: failure.kind.rawValue, transport: transport, endpoint: endpoint, credential: Self.credential)
    }

    private func failure(_ reaction: ClusterServer.Reaction) -> APIFailure {
        guard case .answer(let answer, _) = reaction else { return unanswered(CallFailure(.broken, wasSent: true)) }
        return APIFailure(
            HTTPAnswer(status: answer.status, fields: answer.headers.map { .init($0.name, $0.value) }, body: answer.body),
            endpoint: endpoint, credential: Self.credential)
    }
}
