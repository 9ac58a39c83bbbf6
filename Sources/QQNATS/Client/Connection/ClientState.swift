import QQCore

/// The client without its sockets: its server, requests and subscriptions. Pure: every method takes an event and returns the actions to carry out. The caller
/// keeps the deadlines of requests and reports when they pass.
package struct ClientState: Sendable {
    package enum Action: Sendable {
        case connect(NATSOptions.Address)
        case send(ClientOperation)
        /// Cut the connection; none of its later events must be handed in.
        case disconnect
        case complete(id: UInt64, Result<NATSMessage, NATSError>)
        case deliver(sid: UInt64, NATSDelivery)
        /// Call `timer` at this moment, in place of the moment set before.
        case timer(BootInstant)
        case report(NATSEvent)
    }

    package struct Request: Sendable {
        package var id: UInt64
        var subject: String
        var headers: NATSHeaders
        var payload: [UInt8]
        /// Whether the request changes nothing and can therefore be sent again after a cut.
        var isRepeatable: Bool
        /// Whether the connected server can answer alone, even if it is cut off from its cluster.
        var isLocal = false
        var sentAt: BootInstant?

        package init(id: UInt64, subject: String, headers: NATSHeaders, payload: [UInt8], isRepeatable: Bool, isLocal: Bool = false) {
            self.id = id
            self.subject = subject
            self.headers = headers
            self.payload = payload
            self.isRepeatable = isRepeatable
            self.isLocal = isLocal
        }
    }

    package struct Subscription: Sendable {
        var subject: String
        var queue: String?

        package init(subject: String, queue: String? = nil) {
            self.subject = subject
            self.queue = queue
        }
    }

    private enum Phase: Sendable {
        case idle
        case connecting(NATSOptions.Address)
        /// Between two rounds of connection attempts.
        case pausing(since: BootInstant, until: BootInstant)
        case connected(NATSOptions.Address)
        /// The server is shutting down: requests in flight are allowed to finish, and no new ones are sent.
        case draining(NATSOptions.Address, until: BootInstant)
        case closed
    }

    /// Subscription on which the answers to requests arrive.
    package static let inboxSID: UInt64 = 1

    private let options: NATSOptions
    private let inbox: String
    private let random: @Sendable () -> Double
    private var phase = Phase.idle
    private(set) var info: ServerInfo?
    private var pool: ServerPool
    /// Rounds in which no server could be reached, since the last connection that lasted.
    private var failedRounds = 0
    /// Connections in a row that did not last.
    private var shortConnections = 0
    private var connectedAt = BootInstant(nanoseconds: 0)
    private var queued: [Request] = []
    private var inFlight: [UInt64: Request] = [:]
    private var subscriptions: [UInt64: Subscription] = [:]
    private var hasInbox = false
    private var lastReceived = BootInstant(nanoseconds: 0)
    /// Time of the last answer that the connected server could not have given alone.
    private var lastAnswered = BootInstant(nanoseconds: 0)
    /// Time of the last such answer to a request that changes something.
    private var lastChanged = BootInstant(nanoseconds: 0)
    private var unansweredPings = 0
    private var hasReportedLeaving = false
    private var pingDue = BootInstant.distantFuture

    package init(
        _ options: NATSOptions, inbox: String, pool: ServerPool? = nil,
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }
    ) {
        self.options = options
        self.inbox = inbox
        self.random = random
        self.pool = pool ?? ServerPool(options.servers)
    }

    var server: NATSOptions.Address? {
        switch phase {
        case .connected(let address), .draining(let address, _): address
        case .idle, .connecting, .pausing, .closed: nil
        }
    }

    // MARK: Connecting

    /// Starts connecting, unless that has happened already.
    package mutating func wake(at now: BootInstant) -> [Action] {
        guard case .idle = phase else { return [] }
        return nextServer(at: now)
    }

    private mutating func nextServer(at now: BootInstant) -> [Action] {
        if let address = pool.next() {
            phase = .connecting(address)
            return [.connect(address)]
        }
        // The round ended without a connection: the waiting requests fail now.
        let failure = pool.failure
        failedRounds += 1
        let pause = pause
        phase = .pausing(since: now, until: now + pause)
        let waiting = queued
        queued = []
        return waiting.map { .complete(id: $0.id, .failure(failure)) } + [
            .report(.unreachable(failure, retryAfter: pause)), .timer(now + pause),
        ]
    }

    /// Pause before the next round. Doubles from round to round, and is shortened at random by up to half, to keep all clients from reaching a restarted server
    /// together.
    private var pause: Duration {
        let factor = Double(UInt64(1) << UInt64(min(failedRounds - 1, 16)))
        let full = min(options.reconnectWait.seconds * factor, options.reconnectWaitMaximum.seconds)
        return .seconds(full * (1 - random() / 2))
    }

    package mutating func connectFailed(_ error: NATSError, at now: BootInstant) -> [Action] {
        guard case .connecting(let address) = phase else { return [] }
        pool.failed(address, error)
        return nextServer(at: now)
    }

    package mutating func ready(_ info: ServerInfo, at now: BootInstant) -> [Action] {
        guard case .connecting(let address) = phase else { return [] }
        phase = .connected(address)
        self.info = info
        connectedAt = now
        pool.connected(to: address)
        lastReceived = now
        unansweredPings = 0
        hasReportedLeaving = false
        pingDue = now + options.pingInterval
        var actions: [Action] = [.report(.connected(address, version: info.version)), .timer(pingDue)] + announced(info)
        hasInbox = false
        for (sid, subscription) in subscriptions.sorted(by: { $0.key < $1.key }) {
            actions.append(.send(.subscribe(subject: subscription.subject, queue: subscription.queue, sid: sid)))
            actions.append(.deliver(sid: sid, .reconnected))
        }
        let waiting = queued
        queued = []
        for request in waiting { actions += send(request, at: now) }
        return actions
    }

    private mutating func announced(_ info: ServerInfo) -> [Action] {
        let new = pool.announce(info.connectURLs, current: server)
        return new.isEmpty ? [] : [.report(.discovered(new))]
    }

    /// The connection has ended or must be ended.
    package mutating func cut(_ error: NATSError, at now: BootInstant) -> [Action] {
        guard let address = server else { return connectFailed(error, at: now) }
        var actions: [Action] = [.disconnect, .report(.disconnected(NATSError(error.kind, error.reason, at: address.description)))]
        for request in inFlight.values.sorted(by: { $0.id < $1.id }) {
            if request.isRepeatable {
                queued.append(request)
            } else {
                actions.append(
                    .complete(id: request.id, .failure(NATSError(.disconnected, error.reason, at: address.description, isUncertain: true))))
            }
        }
        inFlight = [:]
        for sid in subscriptions.keys.sorted() { actions.append(.deliver(sid: sid, .disconnected)) }
        if now.duration(since: connectedAt) >= Self.lastingConnection {
            (failedRounds, shortConnections) = (0, 0)
        } else {
            shortConnections += 1
        }
        // The next round starts without a pause, but not time after time if servers accept connections and drop them soon.
        if shortConnections <= 1 { pool.beginRound(after: address) }
        pool.failed(address, error)
        return actions + nextServer(at: now)
    }

    /// The server answers but cannot do its work: it might be cut off from the rest of its cluster, while another server is not. In case all servers are in
    /// this state, none is left before `lastingConnection` has passed.
    package mutating func seekAnotherServer(at now: BootInstant) -> [Action] {
        guard case .connected(let address) = phase, pool.hasOther(than: address), now >= connectedAt + Self.lastingConnection else {
            return []
        }
        return cut(NATSError(.disconnected, "JetStream is not available through this server"), at: now)
    }

    /// A connection that is cut sooner than this does not end a series of failures.
    static let lastingConnection: Duration = .seconds(1)

    package mutating func close() -> [Action] {
        phase = .closed
        let open = queued + inFlight.values
        let failures = open.map { request in
            Action.complete(
                id: request.id,
                .failure(NATSError(.disconnected, "the client was closed", isUncertain: request.sentAt != nil && !request.isRepeatable)))
        }
        (queued, inFlight, subscriptions) = ([], [:], [:])
        return [.disconnect] + failures
    }

    // MARK: Input from the server

    /// Bytes of any kind arrived.
    package mutating func received(at now: BootInstant) {
        lastReceived = now
        unansweredPings = 0
    }

    package mutating func operation(_ operation: ServerOperation, at now: BootInstant) -> [Action] {
        guard server != nil else { return [] }
        switch operation {
        case .ping: return [.send(.pong)]
        case .pong, .ok: return []
        case .info(let info): return updated(info, at: now)
        case .error(let text): return complained(ServerComplaint(text), at: now)
        case .message(Self.inboxSID, let message): return answered(message, at: now)
        case .message(let sid, let message): return subscriptions[sid] == nil ? [] : [.deliver(sid: sid, .message(message))]
        }
    }

    private mutating func updated(_ info: ServerInfo, at now: BootInstant) -> [Action] {
        self.info = info
        let actions = announced(info)
        guard info.isLameDuck, case .connected(let address) = phase else { return actions }
        pool.isLeaving(address)
        guard pool.hasOther(than: address) else {
            // The server might announce this repeatedly; report it once.
            defer { hasReportedLeaving = true }
            return actions + (hasReportedLeaving ? [] : [.report(.leaving(address))])
        }
        let until = now + Self.drainTime
        phase = .draining(address, until: until)
        return actions + [.report(.leaving(address))] + (inFlight.isEmpty ? drained(at: now) : [.timer(until)])
    }

    /// How long requests in flight can take to finish when a server is shutting down.
    static let drainTime: Duration = .seconds(1)

    private mutating func drained(at now: BootInstant) -> [Action] {
        cut(NATSError(.disconnected, "the server is shutting down"), at: now)
    }

    private mutating func complained(_ complaint: ServerComplaint, at now: BootInstant) -> [Action] {
        if let subject = complaint.forbiddenPublish {
            let denied = inFlight.values.filter { $0.subject == subject }.map(\.id).sorted()
            guard !denied.isEmpty else { return [.report(.complaint(complaint.text))] }
            return denied.flatMap { id in
                finish(
                    id, .failure(NATSError(.denied, "not allowed to publish to \(Printable.text(subject))", at: server?.description)),
                    at: now)
            }
        }
        if let subject = complaint.forbiddenSubscription {
            let error = NATSError(.denied, "not allowed to subscribe to \(Printable.text(subject))", at: server?.description)
            if subject == inbox + ".*" {
                hasInbox = false
                return inFlight.keys.sorted().flatMap { finish($0, .failure(error), at: now) }
            }
            let sids = subscriptions.filter { $0.value.subject == subject }.map(\.key).sorted()
            for sid in sids { subscriptions[sid] = nil }
            return sids.map { .deliver(sid: $0, .failed(error)) }
        }
        // After any other complaint the server closes the connection itself. Cut it without waiting for that.
        return cut(complaint.refusal, at: now)
    }

    // MARK: Requests

    package mutating func request(_ request: Request, at now: BootInstant) -> [Action] {
        switch phase {
        case .connected: return send(request, at: now)
        case .closed: return [.complete(id: request.id, .failure(NATSError(.disconnected, "the client was closed")))]
        case .pausing(let since, let until):
            // A request waits, perhaps for a lease that expires soon: shorten the pause.
            queued.append(request)
            let sooner = max(since + Self.longestPauseForRequest, now)
            guard sooner < until else { return [] }
            phase = .pausing(since: since, until: sooner)
            return [.timer(sooner)]
        case .idle, .connecting, .draining:
            queued.append(request)
            return wake(at: now)
        }
    }

    /// Longest pause before failed servers are tried again for a request. Callers that repeat a request make their own pauses.
    static let longestPauseForRequest: Duration = .milliseconds(250)

    private mutating func send(_ request: Request, at now: BootInstant) -> [Action] {
        if let limit = info?.maxPayload, request.payload.count > limit {
            let error = NATSError(
                .tooLarge, "\(request.payload.count) bytes are more than the server's limit of \(limit)", at: server?.description)
            return [.complete(id: request.id, .failure(error))]
        }
        var actions: [Action] = []
        if !hasInbox {
            hasInbox = true
            actions.append(.send(.subscribe(subject: inbox + ".*", queue: nil, sid: Self.inboxSID)))
        }
        var sent = request
        sent.sentAt = now
        inFlight[request.id] = sent
        actions.append(
            .send(
                .publish(
                    subject: request.subject, reply: inbox + "." + String(request.id, radix: 36), headers: request.headers,
                    payload: request.payload)))
        return actions
    }

    private mutating func answered(_ message: NATSMessage, at now: BootInstant) -> [Action] {
        let subject = message.subject
        let start = subject.utf8.lastIndex(of: UInt8(ascii: ".")).map { subject.utf8.index(after: $0) } ?? subject.startIndex
        guard let id = UInt64(subject[start...], radix: 36), let request = inFlight[id] else { return [] }
        if message.headers.status == 503, message.payload.isEmpty {
            return finish(id, .failure(NATSError(.noResponders, "nothing listens on \(request.subject)", at: server?.description)), at: now)
        }
        if !request.isLocal { lastAnswered = now }
        if !request.isLocal, !request.isRepeatable { lastChanged = now }
        return finish(id, .success(message), at: now)
    }

    private mutating func finish(_ id: UInt64, _ result: Result<NATSMessage, NATSError>, at now: BootInstant) -> [Action] {
        guard inFlight.removeValue(forKey: id) != nil else { return [] }
        let done = [Action.complete(id: id, result)]
        if case .draining = phase, inFlight.isEmpty { return done + drained(at: now) }
        return done
    }

    /// Half of a request's time is over. If nothing has arrived on the connection since the request was sent, the server is pinged.
    package mutating func requestIsSlow(_ id: UInt64, at now: BootInstant) -> [Action] {
        guard let sentAt = inFlight[id]?.sentAt, lastReceived <= sentAt else { return [] }
        return [.send(.ping)]
    }

    /// A request's time is over.
    package mutating func requestTimedOut(_ id: UInt64, at now: BootInstant) -> [Action] {
        if let index = queued.firstIndex(where: { $0.id == id }) {
            queued.remove(at: index)
            return [.complete(id: id, .failure(pool.failure))]
        }
        guard let request = inFlight[id] else { return [] }
        let sentAt = request.sentAt ?? now
        let isSilent = lastReceived <= sentAt
        let error = NATSError(
            .timedOut, isSilent ? "the server is silent" : "no answer in time", at: server?.description, isUncertain: !request.isRepeatable)
        let actions = finish(id, .failure(error), at: now)
        // A request that was resent over a new connection with little of its time left is no evidence against that connection.
        guard let server, sentAt > connectedAt || now >= sentAt + Self.fairTime else { return actions }
        // Not even the ping was answered: do not trust this connection with the next request.
        if isSilent { return actions + cut(NATSError(.disconnected, "the server is silent"), at: now) }
        // The server lives, but nothing behind it answers: it might be cut off from the rest of its cluster, while another server is not. A server that was the
        // cluster's Raft leader still answers requests that change nothing for a while.
        if (request.isRepeatable ? lastAnswered : lastChanged) <= sentAt, pool.hasOther(than: server) {
            return actions + cut(NATSError(.disconnected, "no request is answered through this server"), at: now)
        }
        return actions
    }

    /// Time that a new connection gets to answer a request that had waited for it.
    static let fairTime: Duration = .milliseconds(250)

    /// The caller has stopped waiting.
    package mutating func forget(_ id: UInt64, at now: BootInstant) -> [Action] {
        if let index = queued.firstIndex(where: { $0.id == id }) {
            queued.remove(at: index)
            return [.complete(id: id, .failure(NATSError(.disconnected, "interrupted")))]
        }
        return finish(id, .failure(NATSError(.disconnected, "interrupted", isUncertain: true)), at: now)
    }

    // MARK: Subscriptions and messages

    package mutating func subscribe(_ sid: UInt64, _ subscription: Subscription, at now: BootInstant) -> [Action] {
        subscriptions[sid] = subscription
        guard server != nil else { return wake(at: now) }
        return [.send(.subscribe(subject: subscription.subject, queue: subscription.queue, sid: sid))]
    }

    package mutating func unsubscribe(_ sid: UInt64) -> [Action] {
        guard subscriptions.removeValue(forKey: sid) != nil, server != nil else { return [] }
        return [.send(.unsubscribe(sid: sid, max: nil))]
    }

    /// Publishes a message without expecting an answer. Dropped while there is no connection, since NATS delivers at most once.
    package mutating func publish(_ message: NATSMessage) -> [Action] {
        guard server != nil else { return [] }
        return [.send(.publish(subject: message.subject, reply: message.reply, headers: message.headers, payload: message.payload))]
    }

    // MARK: Time

    package mutating func timer(at now: BootInstant) -> [Action] {
        switch phase {
        case .pausing(_, let until):
            guard now >= until else { return [.timer(until)] }
            pool.beginRound(after: nil)
            return nextServer(at: now)
        case .draining(_, let until): return now >= until ? drained(at: now) : [.timer(until)]
        case .connected:
            guard now >= pingDue else { return [.timer(pingDue)] }
            if unansweredPings >= 2 { return cut(NATSError(.disconnected, "the server is silent"), at: now) }
            pingDue = now + options.pingInterval
            if lastReceived + options.pingInterval > now { return [.timer(pingDue)] }
            unansweredPings += 1
            return [.send(.ping), .timer(pingDue)]
        case .idle, .connecting, .closed: return []
        }
    }
}
