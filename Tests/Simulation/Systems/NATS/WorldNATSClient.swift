import QQCore
import QQNATS

/// The connection of a simulated process to NATS: the real `ClientState`. Its actions are carried out in the world as `ClientCore` does it with sockets.
final class WorldNATSClient: Pending, NATSCalling, @unchecked Sendable {
    // Used on the world's thread only.
    private typealias Completion = @Sendable (Result<NATSMessage, NATSError>) -> Void

    /// The next thing that a timer does; one that is replaced does nothing.
    private final class Timer: @unchecked Sendable { var isCancelled = false }

    private let process: SimProcess
    private unowned let servers: NATSServers
    private let options: NATSOptions
    private var state: ClientState
    private var connection: NATSConnection?
    private var isReady = false
    private var timer = 0
    private var lastNumber = ClientState.inboxSID
    private var requests: [(id: UInt64, completion: Completion)] = []
    private var receivers: [(sid: UInt64, receive: @Sendable (NATSDelivery) -> Bool)] = []
    private var isClosed = false

    private static let reads = RequestKind("read", writes: false)
    private static let writes = RequestKind("write to a bucket", writes: true)

    init(_ process: SimProcess, _ servers: NATSServers, _ options: NATSOptions, number: Int) {
        self.process = process
        self.servers = servers
        self.options = options
        // Clients try the servers in an order that each draws for itself.
        let addresses = options.servers
        let first = Int(process.random.below(Int64(max(addresses.count, 1))))
        let pool = ServerPool(addresses, shuffled: { Array($0[first...]) + Array($0[..<first]) })
        state = ClientState(
            options, inbox: "_INBOX.c\(process.number)x\(number)", pool: pool, random: { [unowned process] in process.random.fraction() })
        super.init()
        if !process.isDead { process.add(self) }
    }

    private var now: BootInstant { process.host.boot }

    private func nextNumber() -> UInt64 {
        lastNumber += 1
        return lastNumber
    }

    // MARK: The event loop

    func execute(_ body: @escaping @Sendable () -> Void) { process.post(body) }

    func schedule(in pause: Duration, _ body: @escaping @Sendable () -> Void) -> @Sendable () -> Void {
        let timer = Timer()
        process.at(now + pause) { if !timer.isCancelled { body() } }
        return { timer.isCancelled = true }
    }

    private func onLoop(_ body: @escaping (WorldNATSClient) -> Void) {
        process.post { [weak self] in
            guard let self, !isClosed else { return }
            body(self)
        }
    }

    // MARK: Calls

    func connect() { onLoop { $0.perform($0.state.wake(at: $0.now)) } }
    func seekAnotherServer() { onLoop { $0.perform($0.state.seekAnotherServer(at: $0.now)) } }

    func request(
        _ subject: String, headers: NATSHeaders, payload: [UInt8], isRepeatable: Bool, isLocal: Bool, timeout: Duration
    ) async throws(NATSError) -> NATSMessage {
        let id = nextNumber()
        let request = ClientState.Request(
            id: id, subject: subject, headers: headers, payload: payload, isRepeatable: isRepeatable, isLocal: isLocal)
        let result = await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Result<NATSMessage, NATSError>, Never>) in
                begin(request, timeout: timeout) { continuation.resume(returning: $0) }
            }
        } onCancel: {
            onLoop { $0.perform($0.state.forget(id, at: $0.now)) }
        }
        return try result.get()
    }

    func request(
        _ subject: String, payload: [UInt8], isRepeatable: Bool, timeout: Duration,
        completion: @escaping @Sendable (Result<NATSMessage, NATSError>) -> Void
    ) {
        let request = ClientState.Request(
            id: nextNumber(), subject: subject, headers: NATSHeaders(), payload: payload, isRepeatable: isRepeatable)
        // A dead process's callbacks are not called any more.
        if !process.isDead { begin(request, timeout: timeout, completion: completion) }
    }

    private func begin(_ request: ClientState.Request, timeout: Duration, completion: @escaping Completion) {
        if process.isDead || isClosed { return completion(.failure(NATSError(.disconnected, "interrupted"))) }
        let id = request.id
        requests.append((id, completion))
        onLoop { client in
            let half = timeout / 2
            client.process.at(client.now + half) { [weak client] in
                guard let client, client.requests.contains(where: { $0.id == id }) else { return }
                client.perform(client.state.requestIsSlow(id, at: client.now))
                client.process.at(client.now + half) { [weak client] in
                    guard let client, client.requests.contains(where: { $0.id == id }) else { return }
                    client.perform(client.state.requestTimedOut(id, at: client.now))
                }
            }
            client.perform(client.state.request(request, at: client.now))
        }
    }

    func publish(_ subject: String, reply: String?, headers: NATSHeaders, payload: [UInt8]) {
        let message = NATSMessage(subject: subject, reply: reply, headers: headers, payload: payload)
        onLoop { $0.perform($0.state.publish(message)) }
    }

    func subscribe(_ subject: String, queue: String?, receiver: @escaping @Sendable (NATSDelivery) -> Bool) -> UInt64 {
        let sid = nextNumber()
        onLoop { client in
            client.receivers.append((sid, receiver))
            client.perform(client.state.subscribe(sid, ClientState.Subscription(subject: subject, queue: queue), at: client.now))
        }
        return sid
    }

    func unsubscribe(_ sid: UInt64) {
        onLoop { client in
            client.receivers.removeAll { $0.sid == sid }
            client.perform(client.state.unsubscribe(sid))
        }
    }

    func newInbox() -> String { "_INBOX.p\(process.number)x\(nextNumber())" }

    /// Nothing in a world lists the members of a cluster.
    func collect(_ subject: String, pause: Duration, timeout: Duration) async throws(NATSError) -> [NATSMessage] { [] }

    func close() async {
        guard !isClosed else { return }
        perform(state.close())
        isClosed = true
        receivers = []
        process.remove(self)
    }

    override func processEnded() {
        isClosed = true
        connection = nil
        receivers = []
        let open = requests
        requests = []
        for request in open { request.completion(.failure(NATSError(.disconnected, "interrupted", isUncertain: true))) }
    }

    // MARK: Actions

    private func perform(_ actions: [ClientState.Action]) {
        for action in actions {
            switch action {
            case .connect(let address): connect(to: address)
            case .send(let operation): send(operation)
            case .disconnect: disconnect()
            case .complete(let id, let result):
                guard let index = requests.firstIndex(where: { $0.id == id }) else { continue }
                requests.remove(at: index).completion(result)
            case .deliver(let sid, let delivery): deliver(delivery, to: sid)
            case .timer(let instant):
                timer += 1
                let number = timer
                process.at(max(instant, now)) { [weak self] in
                    guard let self, timer == number, !isClosed else { return }
                    perform(state.timer(at: now))
                }
            case .report: break
            }
        }
    }

    private func deliver(_ delivery: NATSDelivery, to sid: UInt64) {
        guard let index = receivers.firstIndex(where: { $0.sid == sid }) else { return }
        let receive = receivers[index].receive
        if case .failed = delivery { receivers.remove(at: index) }
        if !receive(delivery) { unsubscribe(sid) }
    }

    private func send(_ operation: ClientOperation) {
        if case .publish(let subject, _, _, _) = operation {
            let isWrite = subject.hasPrefix("$KV.") || subject.hasPrefix("$JS.API.STREAM.CREATE.")
            process.world.checker.requestBegan(isWrite ? Self.writes : Self.reads, process)
        }
        connection?.send(operation)
    }

    private func disconnect() {
        let old = connection
        connection = nil
        isReady = false
        old?.pipe.onBreak = {}
        old?.pipe.close()
    }

    private func connect(to address: NATSOptions.Address) {
        let made = NATSConnection(process, servers, address)
        connection = made
        isReady = false
        made.receive = { [weak self, weak made] operation in
            guard let self, let made, connection === made, !isClosed else { return }
            state.received(at: now)
            perform(state.operation(operation, at: now))
        }
        made.pipe.onBreak = { [weak self, weak made] in
            guard let self, let made, connection === made, !isClosed else { return }
            connection = nil
            let error = NATSError(.disconnected, isReady ? "Connection reset by peer" : "Connection refused")
            perform(isReady ? state.cut(error, at: now) : state.connectFailed(error, at: now))
        }
        made.open { [weak self, weak made] info in
            guard let self, let made, connection === made, !isClosed, !isReady else { return }
            isReady = true
            perform(state.ready(info, at: now))
        }
        process.at(now + options.connectTimeout) { [weak self, weak made] in
            guard let self, let made, connection === made, !isReady, !isClosed else { return }
            disconnect()
            perform(state.connectFailed(NATSError(.disconnected, "no answer in time"), at: now))
        }
    }
}
