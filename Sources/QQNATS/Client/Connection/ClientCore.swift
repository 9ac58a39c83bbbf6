import NIOCore
import NIOPosix
import QQCore

/// Carries out the actions of `ClientState`. Confined to the event loop.
final class ClientCore {
    private let options: NATSOptions
    private let eventLoop: any EventLoop
    private let clock: any LeaseClock
    private let events: @Sendable (NATSEvent) -> Void
    private var state: ClientState
    private var channel: (any Channel)?
    private var handler: ConnectionHandler?
    private var timer: Scheduled<Void>?
    private var connectLimit: Scheduled<Void>?
    /// Encoded operations that are not written yet. All operations of one turn of the loop are sent in a single write.
    private var outgoing: [UInt8] = []
    private var isFlushScheduled = false
    private var requests: [UInt64: PendingRequest] = [:]
    private var subscriptions: [UInt64: Receiver] = [:]

    /// Called on the event loop with each delivery of a subscription. Returns false once the subscriber has stopped reading.
    typealias Receiver = @Sendable (NATSDelivery) -> Bool
    typealias Completion = @Sendable (Result<NATSMessage, NATSError>) -> Void

    private struct PendingRequest {
        var completion: Completion
        var timeout: Scheduled<Void>
    }

    init(
        _ options: NATSOptions, inbox: String, on eventLoop: any EventLoop, clock: any LeaseClock,
        events: @escaping @Sendable (NATSEvent) -> Void
    ) {
        self.options = options
        self.eventLoop = eventLoop
        self.clock = clock
        self.events = events
        state = ClientState(options, inbox: inbox)
    }

    var info: ServerInfo? { state.info }
    var server: NATSOptions.Address? { state.server }

    // MARK: Calls of the client

    func wake() { perform(state.wake(at: clock.now())) }

    func seekAnotherServer() { perform(state.seekAnotherServer(at: clock.now())) }

    func request(_ request: ClientState.Request, timeout: Duration, completion: @escaping Completion) {
        let id = request.id
        let half = Self.timeAmount(timeout / 2)
        let task = eventLoop.assumeIsolated().scheduleTask(in: half) { [self] in
            perform(state.requestIsSlow(id, at: clock.now()))
            requests[id]?.timeout = eventLoop.assumeIsolated().scheduleTask(in: half) { [self] in
                perform(state.requestTimedOut(id, at: clock.now()))
            }
        }
        requests[id] = PendingRequest(completion: completion, timeout: task)
        perform(state.request(request, at: clock.now()))
    }

    func forget(_ id: UInt64) { perform(state.forget(id, at: clock.now())) }

    func subscribe(_ sid: UInt64, _ subscription: ClientState.Subscription, _ receiver: @escaping Receiver) {
        subscriptions[sid] = receiver
        perform(state.subscribe(sid, subscription, at: clock.now()))
    }

    func unsubscribe(_ sid: UInt64) {
        subscriptions[sid] = nil
        perform(state.unsubscribe(sid))
    }

    func publish(_ message: NATSMessage) { perform(state.publish(message)) }

    func close() {
        flush()
        perform(state.close())
        timer?.cancel()
        for receiver in subscriptions.values { _ = receiver(.failed(NATSError(.disconnected, "the client was closed"))) }
        subscriptions = [:]
    }

    // MARK: Actions

    private func perform(_ actions: [ClientState.Action]) {
        for action in actions {
            switch action {
            case .connect(let address): connect(to: address)
            case .send(let operation): send(operation)
            case .disconnect: disconnect()
            case .complete(let id, let result):
                guard let request = requests.removeValue(forKey: id) else { continue }
                request.timeout.cancel()
                request.completion(result)
            case .deliver(let sid, let delivery): deliver(delivery, to: sid)
            case .timer(let instant):
                timer?.cancel()
                let pause = max(instant.duration(since: clock.now()), .zero)
                timer = eventLoop.assumeIsolated().scheduleTask(in: Self.timeAmount(pause)) { [self] in
                    perform(state.timer(at: clock.now()))
                }
            case .report(let event): events(event)
            }
        }
    }

    private func deliver(_ delivery: NATSDelivery, to sid: UInt64) {
        guard let receiver = subscriptions[sid] else { return }
        if case .failed = delivery { subscriptions[sid] = nil }
        if !receiver(delivery) { unsubscribe(sid) }
    }

    func report(_ event: NATSEvent) { events(event) }

    /// Calls `body` on the event loop after `pause`.
    func schedule(in pause: Duration, _ body: @escaping @Sendable () -> Void) -> Scheduled<Void> {
        eventLoop.scheduleTask(in: Self.timeAmount(pause), body)
    }

    private func send(_ operation: ClientOperation) {
        do throws(NATSError) { try operation.encode(into: &outgoing) } catch {
            // Subjects and headers are checked when the caller passes them in; this reports any that slipped through.
            events(.complaint("not sent: \(error.reason)"))
            return
        }
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        eventLoop.assumeIsolated().execute { [self] in flush() }
    }

    private func flush() {
        isFlushScheduled = false
        guard !outgoing.isEmpty, let channel else {
            outgoing.removeAll(keepingCapacity: true)
            return
        }
        channel.writeAndFlush(ByteBuffer(bytes: outgoing), promise: nil)
        outgoing.removeAll(keepingCapacity: true)
    }

    private func disconnect() {
        flush()
        connectLimit?.cancel()
        handler?.silence()
        handler = nil
        channel?.close(promise: nil)
        channel = nil
    }

    // MARK: Connecting

    private func connect(to address: NATSOptions.Address) {
        let handler = ConnectionHandler(options, address) { [unowned self] report in self.handle(report) }
        self.handler = handler
        let bound = NIOLoopBound(handler, eventLoop: eventLoop)
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(Self.timeAmount(options.connectTimeout))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(bound.value) }
            }
        // An IP address needs no resolver, which would start a thread of its own.
        let connected =
            (try? SocketAddress(ipAddress: address.host, port: address.port)).map { bootstrap.connect(to: $0) }
            ?? bootstrap.connect(host: address.host, port: address.port)
        connectLimit = eventLoop.assumeIsolated().scheduleTask(in: Self.timeAmount(options.connectTimeout)) { [self] in
            guard self.handler === handler else { return }
            let hint = handler.silenceHint
            disconnect()
            perform(
                state.connectFailed(NATSError(.disconnected, "no answer in time", at: address.description, hint: hint), at: clock.now()))
        }
        connected.assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let channel) where self.handler === handler: self.channel = channel
            case .success(let channel): channel.close(promise: nil)
            case .failure(let error):
                guard self.handler === handler else { return }
                self.handler = nil
                connectLimit?.cancel()
                perform(state.connectFailed(ConnectionHandler.plain(error), at: clock.now()))
            }
        }
    }

    private func handle(_ report: ConnectionHandler.Report) {
        let now = clock.now()
        switch report {
        case .ready(let info):
            connectLimit?.cancel()
            perform(state.ready(info, at: now))
        case .received: state.received(at: now)
        case .operation(let operation): perform(state.operation(operation, at: now))
        case .pause: flush()
        case .ended(let error):
            connectLimit?.cancel()
            handler = nil
            channel = nil
            perform(state.cut(error, at: now))
        }
    }

    private static func timeAmount(_ duration: Duration) -> TimeAmount { .nanoseconds(duration.nanoseconds) }
}
