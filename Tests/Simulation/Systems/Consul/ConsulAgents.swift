import QQConsul
import QQCore
import QQHTTP
import Support

/// The calls of one process to the agents, over the network of the world.
final class ConsulAgents: ConsulCalling, @unchecked Sendable {
    // Used on the world's thread only.
    let endpoints: [String]
    // The world's, which outlives its processes, and knows them.
    private unowned let cluster: ConsulCluster
    let process: SimProcess
    /// World time of the last request that failed or took long, or of the process's last pause as it was seen.
    private var troubledAt: Nanoseconds = 0
    private var stops: (Nanoseconds, Int) = (0, 0)
    private var underWay: [Nanoseconds] = []
    private var isShared = false
    /// The places of the agents of its URL.
    private let places: [Int]
    private let rotation: AgentRotation

    private static let creates = RequestKind("create a session", writes: true)
    private static let renews = RequestKind("renew", writes: true, canRepeat: true)
    private static let destroys = RequestKind("destroy a session", writes: true, canRepeat: true)
    private static let transacts = RequestKind("transact", writes: true, alone: true)
    private static let reads = RequestKind("read", writes: false, canRepeat: true)

    init(_ cluster: ConsulCluster, _ process: SimProcess) {
        self.cluster = cluster
        self.process = process
        let first = Int(process.random.below(3))
        // Some know one agent only.
        let count = process.random.chance(700_000) ? 3 : 1
        places = (0..<count).map { (first + $0) % 3 }
        endpoints = places.map { ConsulCluster.names[$0] + ":8500" }
        rotation = AgentRotation(endpoints, clock: process.clock)
        cluster.agents.removeAll { $0.process.isDead }
        cluster.agents.append(self)
    }

    func prepare() {}
    func close() async {}

    func call(_ request: ConsulRequest, until deadline: BootInstant) async throws(ConsulFailure) -> ConsulAnswer {
        try await rotation.call(request, until: deadline) { [self] (place, limit) throws(ConsulFailure) in
            try await call(request, at: place, until: limit)
        }
    }

    func call(_ request: ConsulRequest, at endpoint: Int, until deadline: BootInstant) async throws(ConsulFailure) -> ConsulAnswer {
        let began = process.world.now
        if !request.isBlocking { underWay.append(began) }
        defer {
            if let index = underWay.firstIndex(of: began), !request.isBlocking { underWay.remove(at: index) }
            if !request.isBlocking, process.world.now - began > Self.quick { troubledAt = process.world.now }
        }
        do throws(ConsulFailure) { return try await ask(request, at: endpoint, until: deadline) } catch {
            troubledAt = process.world.now
            throw error
        }
    }

    /// A request that takes longer than this is no sign of health.
    private static let quick = Nanoseconds.milliseconds(500)

    /// Whether its process does not run, or something went wrong with its requests.
    func isTroubled(within span: Nanoseconds) -> Bool {
        let now = process.world.now
        if !process.isRunning || process.pausedFor != stops.0 || process.host.stopCount != stops.1 {
            stops = (process.pausedFor, process.host.stopCount)
            troubledAt = now
        }
        return isShared || now - troubledAt <= span || underWay.contains { now - $0 > Self.quick }
    }

    /// Another process might go on with its term.
    func handsOver() { isShared = true }

    private func ask(_ request: ConsulRequest, at endpoint: Int, until deadline: BootInstant) async throws(ConsulFailure) -> ConsulAnswer {
        let name = endpoints[endpoint]
        let reply: ConsulReply
        do throws(CallFailure) { reply = try await send(request, at: places[endpoint], until: deadline) } catch {
            let kind: HTTPFailure.Kind =
                switch error.kind {
                case .refused, .unreachable: .notConnected
                case .broken: .disconnected
                case .timedOut: .timedOut
                case .cancelled: .cancelled
                }
            throw ConsulFailure(HTTPFailure(kind, error.kind.rawValue, at: name, wasSent: error.wasSent))
        }
        let fields = reply.index.map { [HTTPRequest.Field("X-Consul-Index", String($0))] } ?? []
        let answer = ConsulAnswer(HTTPAnswer(status: reply.status, fields: fields, body: reply.body), from: name)
        if let failure = ConsulFailure(answer) { throw failure }
        return answer
    }

    private func send(_ request: ConsulRequest, at place: Int, until deadline: BootInstant) async throws(CallFailure) -> ConsulReply {
        let sent = ConsulStore.Request(
            request.method.rawValue, request.target, body: request.body.map { JSONWriter.bytes($0) } ?? [])
        let kind = Self.kind(sent.operation)
        check(request, sent.operation)
        // As HTTPEndpoint: what can be repeated is sent again if the connection breaks.
        var tries = request.isRepeatable ? 2 : 1
        while true {
            tries -= 1
            do throws(CallFailure) {
                return try await process.call(
                    kind, at: cluster.hosts[place], patience: deadline.duration(since: process.clock.now())
                ) { [cluster] in cluster.receive(sent, at: place, $0) }
            } catch { if tries == 0 || error.kind != .broken { throw error } }
        }
    }

    /// What must never be sent: it would end another's lock without a lock-delay, or would never end.
    private func check(_ request: ConsulRequest, _ operation: ConsulStore.Operation) {
        func fail(_ words: String) { process.world.fail(.model, "\(process.name) \(words)") }
        switch operation {
        case .create:
            if request.body?["TTL"]?.stringValue == nil { fail("makes a session without a TTL") }
            if request.body?["LockDelay"]?.stringValue == nil { fail("makes a session without a lock-delay of its own") }
        case .transaction:
            for step in request.body?.arrayValue ?? [] where step["KV"]?["Key"]?.stringValue == cluster.key {
                let verb = step["KV"]?["Verb"]?.stringValue ?? ""
                if !["check-index", "check-not-exists", "check-session", "lock", "unlock", "get"].contains(verb) {
                    fail("writes the key of the election past its lock: \(verb)")
                }
            }
        case .acquire, .release, .put, .delete: fail("writes a key without looking at its version")
        case .destroy:
            // After this long it is no answer that came too late, and with nothing left alive the key is given up without a delay.
            let session = String(request.path.split(separator: "/").last ?? "")
            cluster.lookAtLock()
            guard cluster.terms.lock?.session == session, process.world.now - cluster.terms.lockedAt > .seconds(6),
                cluster.terms.maker(of: session) === self, !isShared, !process.host.works.contains(where: { $0.group.qq === process })
            else { return }
            fail("ends the session of its lock, and makes the next one wait for a lock-delay")
        case .renew, .sessionRead, .read, .blockingRead, .other: break
        }
    }

    private static func kind(_ operation: ConsulStore.Operation) -> RequestKind {
        switch operation {
        case .create: creates
        case .renew: renews
        case .destroy: destroys
        case .transaction, .acquire, .release, .put, .delete: transacts
        case .sessionRead, .read, .blockingRead, .other: reads
        }
    }
}
