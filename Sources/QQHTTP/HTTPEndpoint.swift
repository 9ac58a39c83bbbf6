import QQCore
import QQNetwork
import Synchronization

/// Requests to one HTTP server, over HTTP/2 if the server offers it (ALPN), otherwise over HTTP/1.1.
///
/// Connections are made when they are needed, shared by all calls, and made again when they have ended. A server can end connections at any time,
/// with or without announcing it. A request that was certainly not processed is then sent again over a new connection.
public final class HTTPEndpoint: Sendable {
    public let server: HTTPServer
    private let settings: HTTPSettings
    private let clock: any LeaseClock
    private let deadlines: Deadlines
    private let calls: ConnectionPool
    /// Streams have connections of their own: a server limits the streams of a connection, and no call should wait for one of them to end.
    private let streams: ConnectionPool
    /// Whether the network thread has been used.
    private let isUsed = Atomic(false)

    /// How often a request is sent if the server refuses it again and again, or ends each connection.
    private static let maximumTries = 4

    /// Makes no connection yet, and starts no thread.
    public init(_ server: HTTPServer, _ settings: HTTPSettings = HTTPSettings(), clock: any LeaseClock) {
        self.server = server
        self.settings = settings
        self.clock = clock
        deadlines = Deadlines(clock, on: { NetworkThread.executor })
        let connector = Connector(server: server, settings: settings)
        calls = ConnectionPool(connector, maximum: settings.maximumConnections)
        streams = ConnectionPool(connector, maximum: settings.maximumStreamConnections, maximumStreams: settings.maximumStreams)
    }

    deinit { close() }

    /// Runs consecutive calls on the thread that receives their answers, so that they are not handed from thread to thread in between.
    public static func inARow<Value: Sendable, Failure: Error>(
        _ calls: @Sendable () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        try await withTaskExecutorPreference(NetworkThread.executor) { () async throws(Failure) in try await calls() }
    }

    /// Begins to connect, so that the first call finds a connection. Errors are reported by the first call.
    public func prepare() { onThread { [calls] in calls.prepare() } }

    /// Sends a request, and waits for the answer, whatever its status. Redirects are answers like others, and are not followed.
    ///
    /// The target is put after the server's path, and `Host` and `Content-Length` are added.
    /// - Parameters:
    ///   - isRepeatable: whether the request can be carried out twice. It is then sent again over a new connection if the old one was cut.
    ///   - deadline: for connecting and the whole answer together.
    public func call(
        _ request: HTTPRequest, isRepeatable: Bool, until deadline: BootInstant
    ) async throws(HTTPFailure) -> HTTPAnswer {
        let request = try PreparedRequest(request, to: server)
        return try await repeating(isRepeatable, until: deadline) { () async -> Call.Outcome in
            let call = Call(request, endpoint: server.endpoint, limit: settings.maximumAnswer)
            return await run(call, in: calls, until: deadline) { call.resume($0) }
        }
    }

    /// Sends a request whose answer is read while it comes, and waits for the head of the answer. The request can be sent again over a new
    /// connection if the old one was cut.
    /// - Parameter headDeadline: for connecting and the head together. The rest of the answer has no deadline.
    public func stream(_ request: HTTPRequest, until headDeadline: BootInstant) async throws(HTTPFailure) -> HTTPStream {
        let request = try PreparedRequest(request, to: server)
        return try await repeating(true, until: headDeadline) { () async -> Result<HTTPStream, ExchangeFailure> in
            let answer = StreamedAnswer(request, endpoint: server.endpoint, maximumLine: settings.maximumLine)
            let head = await run(answer, in: streams, until: headDeadline) { answer.resumeWithHead($0) }
            let reading = HTTPLines.Reading(answer, streams, deadlines, limit: settings.maximumLine)
            return head.map { HTTPStream($0, HTTPLines(reading)) }
        }
    }

    /// Ends the connections once their requests are answered. Calls after this make new ones.
    public func close() {
        guard isUsed.load(ordering: .relaxed) else { return }
        onThread { [calls, streams] in
            calls.close()
            streams.close()
        }
    }

    private func onThread(_ body: @escaping @Sendable () -> Void) {
        isUsed.store(true, ordering: .relaxed)
        NetworkThread.run(body)
    }

    // MARK: Tries

    /// Tries until there is an outcome that should not be followed by another try.
    private func repeating<Value>(
        _ isRepeatable: Bool, until deadline: BootInstant, _ attempt: () async -> Result<Value, ExchangeFailure>
    ) async throws(HTTPFailure) -> Value {
        var tries = 0
        var wasSent = false
        while true {
            tries += 1
            switch await attempt() {
            case .success(let value): return value
            case .failure(var error):
                wasSent = wasSent || error.failure.wasSent
                error.failure.wasSent = wasSent
                let isFutile =
                    switch error.repetition {
                    case .never: true
                    case .ifRepeatable: !isRepeatable
                    case .always: false
                    }
                guard !isFutile, tries < Self.maximumTries, clock.now() < deadline, !Task.isCancelled else { throw error.failure }
            }
        }
    }

    /// Runs one try until there is an outcome, the deadline comes, or the task is cancelled.
    private func run<Outcome: Sendable>(
        _ exchange: Exchange, in pool: ConnectionPool, until deadline: BootInstant,
        _ resume: @escaping @Sendable (CheckedContinuation<Outcome, Never>) -> Void
    ) async -> Outcome {
        isUsed.store(true, ordering: .relaxed)
        let watch = deadlines.watch(until: deadline) {
            NetworkThread.run { if !exchange.hasAnswered { pool.stop(exchange, .timedOut, "no answer in time") } }
        }
        defer { deadlines.forget(watch) }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                NetworkThread.run {
                    resume(continuation)
                    pool.start(exchange)
                }
            }
        } onCancel: {
            NetworkThread.run { pool.stop(exchange, .cancelled, "interrupted") }
        }
    }
}
