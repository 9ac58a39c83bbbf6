import QQCore

/// The calls of a connection to NATS that elections need. `NATSClient` is the connection of a process; a simulation has one in a world of its own.
package protocol NATSCalling: Sendable {
    func request(
        _ subject: String, headers: NATSHeaders, payload: [UInt8], isRepeatable: Bool, isLocal: Bool, timeout: Duration
    ) async throws(NATSError) -> NATSMessage

    /// Sends a request and calls `completion` on the event loop, never before this returns.
    func request(
        _ subject: String, payload: [UInt8], isRepeatable: Bool, timeout: Duration,
        completion: @escaping @Sendable (Result<NATSMessage, NATSError>) -> Void)

    func publish(_ subject: String, reply: String?, headers: NATSHeaders, payload: [UInt8])

    /// Calls `receiver` on the event loop, never before this returns. It returns false once the subscriber has stopped reading.
    func subscribe(_ subject: String, queue: String?, receiver: @escaping @Sendable (NATSDelivery) -> Bool) -> UInt64
    func unsubscribe(_ sid: UInt64)

    /// A new, unique subject for answers.
    func newInbox() -> String

    /// The answers of all subscribers of `subject`.
    func collect(_ subject: String, pause: Duration, timeout: Duration) async throws(NATSError) -> [NATSMessage]

    /// Starts connecting, unless that has happened already.
    func connect()
    /// Moves to another server, if there is one.
    func seekAnotherServer()
    func close() async

    // MARK: The event loop

    /// Runs `body` on the event loop, in the order of the calls, never before this returns.
    func execute(_ body: @escaping @Sendable () -> Void)
    /// Runs `body` on the event loop after `pause`.
    /// - Returns: what prevents that; to be called on the event loop.
    func schedule(in pause: Duration, _ body: @escaping @Sendable () -> Void) -> @Sendable () -> Void
}

extension NATSCalling {
    func request(_ subject: String, isRepeatable: Bool, timeout: Duration) async throws(NATSError) -> NATSMessage {
        try await request(subject, headers: NATSHeaders(), payload: [], isRepeatable: isRepeatable, isLocal: false, timeout: timeout)
    }

    func publish(_ subject: String, reply: String? = nil, payload: [UInt8] = []) {
        publish(subject, reply: reply, headers: NATSHeaders(), payload: payload)
    }

    func subscribe(_ subject: String, receiver: @escaping @Sendable (NATSDelivery) -> Bool) -> UInt64 {
        subscribe(subject, queue: nil, receiver: receiver)
    }
}
