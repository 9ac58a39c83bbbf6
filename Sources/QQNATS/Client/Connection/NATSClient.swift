import NIOCore
import NIOPosix
import QQCore
import Synchronization

/// A connection to a NATS system. Finds a server, reconnects after cuts, and carries requests, messages and subscriptions.
///
/// The protocol is NATS' own (docs.nats.io, "Client protocol"). One thread serves all clients of the process; it starts with the first client.
public final class NATSClient: NATSCalling {
    public let options: NATSOptions
    let eventLoop: any EventLoop
    private let core: NIOLoopBoundBox<ClientCore>
    private let numbers = Atomic<UInt64>(ClientState.inboxSID)

    private static let threads = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    /// The client connects when it is first used.
    /// - Parameter events: called on the event loop with each event of the connection.
    public init(_ options: NATSOptions, clock: any LeaseClock, events: @escaping @Sendable (NATSEvent) -> Void = { _ in }) {
        self.options = options
        let eventLoop = Self.threads.next()
        self.eventLoop = eventLoop
        core = .makeBoxSendingValue(
            ClientCore(options, inbox: options.inboxPrefix + "." + NUID.next(), on: eventLoop, clock: clock, events: events),
            eventLoop: eventLoop)
    }

    package func execute(_ body: @escaping @Sendable () -> Void) { eventLoop.execute(body) }

    package func schedule(in pause: Duration, _ body: @escaping @Sendable () -> Void) -> @Sendable () -> Void {
        let scheduled = eventLoop.scheduleTask(in: .nanoseconds(pause.nanoseconds), body)
        return { scheduled.cancel() }
    }

    /// Runs `body` on the event loop, in the order of the calls.
    private func onLoop(_ body: @escaping @Sendable (ClientCore) -> Void) {
        let core = core
        eventLoop.execute { body(core.value) }
    }

    private func nextNumber() -> UInt64 { numbers.add(1, ordering: .relaxed).newValue }

    /// Moves to another server, if there is one, because the connected server answers but cannot do its work.
    package func seekAnotherServer() { onLoop { $0.seekAnotherServer() } }

    /// Starts connecting, unless that has happened already.
    public func connect() { onLoop { $0.wake() } }

    /// The connected server's INFO and address; nil while there is no connection.
    func connectedServer() async -> (info: ServerInfo, address: NATSOptions.Address)? {
        await withCheckedContinuation { continuation in
            onLoop { core in
                guard let info = core.info, let address = core.server else { return continuation.resume(returning: nil) }
                continuation.resume(returning: (info, address))
            }
        }
    }

    // MARK: Requests

    /// Sends a request and waits for one answer. Connects first if there is no connection.
    ///
    /// - Parameters:
    ///   - isRepeatable: whether the request changes nothing and can therefore be sent again if the connection is cut before the answer.
    ///   - isLocal: whether any server can answer from its own data.
    ///   - timeout: for connecting, waiting and the answer together.
    /// - Throws: `NATSError`, with `isUncertain` if the request was sent and might have been carried out although no answer came.
    public func request(
        _ subject: String, headers: NATSHeaders = NATSHeaders(), payload: [UInt8] = [], isRepeatable: Bool = false, isLocal: Bool = false,
        timeout: Duration
    ) async throws(NATSError) -> NATSMessage {
        try Subject.check(subject)
        let id = nextNumber()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Result<NATSMessage, NATSError>, Never>) in
                let request = ClientState.Request(
                    id: id, subject: subject, headers: headers, payload: payload, isRepeatable: isRepeatable, isLocal: isLocal)
                onLoop { core in core.request(request, timeout: timeout) { continuation.resume(returning: $0) } }
            }
        } onCancel: {
            onLoop { $0.forget(id) }
        }
        return try result.get()
    }

    /// Publishes a message without expecting an answer: delivered at most once, and dropped while there is no connection.
    public func publish(_ subject: String, reply: String? = nil, headers: NATSHeaders = NATSHeaders(), payload: [UInt8] = []) {
        let message = NATSMessage(subject: subject, reply: reply, headers: headers, payload: payload)
        onLoop { $0.publish(message) }
    }

    // MARK: Subscriptions

    /// Subscribes and calls `receiver` on the event loop, where it must not block. The subscription survives cuts of the connection.
    /// - Parameter queue: the queue group. Each message reaches one member of the group.
    package func subscribe(_ subject: String, queue: String? = nil, receiver: @escaping @Sendable (NATSDelivery) -> Bool) -> UInt64 {
        let sid = nextNumber()
        onLoop { $0.subscribe(sid, ClientState.Subscription(subject: subject, queue: queue), receiver) }
        return sid
    }

    package func unsubscribe(_ sid: UInt64) { onLoop { $0.unsubscribe(sid) } }

    /// Sends a request and calls `completion` on the event loop.
    package func request(
        _ subject: String, payload: [UInt8], isRepeatable: Bool, timeout: Duration,
        completion: @escaping @Sendable (Result<NATSMessage, NATSError>) -> Void
    ) {
        let request = ClientState.Request(
            id: nextNumber(), subject: subject, headers: NATSHeaders(), payload: payload, isRepeatable: isRepeatable)
        onLoop { $0.request(request, timeout: timeout, completion: completion) }
    }

    /// A new, unique subject for answers.
    public func newInbox() -> String { options.inboxPrefix + "." + NUID.next() }

    /// Returns once the server has answered a request without subscribers, which costs it nothing.
    func roundTrip(timeout: Duration) async throws(NATSError) {
        do throws(NATSError) { _ = try await request(newInbox(), isRepeatable: true, timeout: timeout) } catch {
            if error.kind != .noResponders { throw error }
        }
    }

    /// Sends a request to all subscribers of `subject`, and collects answers until none has come for `pause`, until `timeout`, or until there are too many.
    package func collect(_ subject: String, pause: Duration, timeout: Duration) async throws(NATSError) -> [NATSMessage] {
        // A message published without a connection would be lost.
        try await roundTrip(timeout: timeout)
        let inbox = newInbox()
        let (collected, post) = AsyncStream.makeStream(of: [NATSMessage].self, bufferingPolicy: .bufferingNewest(1))
        let answers = NIOLoopBoundBox.makeBoxSendingValue(
            Answers(pause: pause) {
                post.yield($0)
                post.finish()
            }, eventLoop: eventLoop)
        let sid = subscribe(inbox) { delivery in
            guard case .message(let message) = delivery, message.headers.status != 503 else {
                answers.value.end()
                return false
            }
            return answers.value.add(message, answers)
        }
        publish(subject, reply: inbox)
        let limit = eventLoop.scheduleTask(in: .nanoseconds(timeout.nanoseconds)) { answers.value.end() }
        var found: [NATSMessage] = []
        for await answers in collected { found = answers }
        limit.cancel()
        unsubscribe(sid)
        return found
    }

    /// Cuts the connection; requests in flight fail.
    public func close() async {
        await withCheckedContinuation { continuation in
            onLoop { core in
                core.close()
                continuation.resume()
            }
        }
    }
}
