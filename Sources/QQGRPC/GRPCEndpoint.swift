import GRPCCore
import GRPCNIOTransportHTTP2Posix
import NIOCore
import QQCore
import QQNetwork
import SwiftProtobuf
import Synchronization

/// Calls to one gRPC server over one connection at a time, which is made when it is needed, and made again when it has ended.
///
/// A server can end connections at any time, with or without announcing it (GOAWAY, RFC 9113, section 6.8). A call that was not sent by
/// then goes over a new connection.
public final class GRPCEndpoint: Sendable {
    public let host: ServerURL.Host
    let settings: GRPCSettings
    let clock: any LeaseClock
    let deadlines: Deadlines
    private let current = Mutex<Connection?>(nil)

    typealias Transport = HTTP2ClientTransport.Posix

    /// The library's transport, which holds one connection. The library's client adds streams of messages and repeated calls, which one
    /// request with one answer would pass through for nothing.
    final class Connection: Sendable {
        let transport: Transport
        let tls: TLSGuard?
        /// Whether a call over this connection has been answered.
        let isProven = Atomic(false)

        init(_ transport: Transport, _ tls: TLSGuard?) {
            self.transport = transport
            self.tls = tls
        }

        /// The failure of a call over this connection.
        func failure(_ error: any Error, at endpoint: String, wasSent: Bool) -> GRPCFailure {
            GRPCFailure(
                error, at: endpoint, wasSent: wasSent, tls: tls?.failure, isOverTLS: tls != nil, isProven: isProven.load(ordering: .relaxed)
            )
        }
    }

    public init(_ host: ServerURL.Host, _ settings: GRPCSettings, clock: any LeaseClock) {
        self.host = host
        self.settings = settings
        self.clock = clock
        // This must not start the thread, because a guarded run forks after it.
        deadlines = Deadlines(clock, on: { NetworkThread.executor })
    }

    /// Without this, the library would keep reconnecting for no one.
    deinit { close() }

    /// Runs consecutive calls on the thread that receives their answers, so that they are not handed from thread to thread in between.
    public static func inARow<Value: Sendable>(
        _ calls: @Sendable () async throws(GRPCFailure) -> Value
    ) async throws(GRPCFailure) -> Value {
        try await withTaskExecutorPreference(NetworkThread.executor) { () async throws(GRPCFailure) in try await calls() }
    }

    /// Begins to connect, so that the first call finds a connection. Errors are reported by the first call.
    public func prepare() { _ = try? connection() }

    /// Sends a request, and waits for the answer.
    ///
    /// - Parameters:
    ///   - isRepeatable: whether the call can be carried out twice. It is then made again over a new connection if the old one was cut.
    ///   - timeout: for connecting and the answer together.
    ///   - metadata: additional metadata of the call, such as a token.
    public func call<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ method: MethodDescriptor, _ request: Request, isRepeatable: Bool, timeout: Duration, metadata: Metadata = [:]
    ) async throws(GRPCFailure) -> Response {
        func failed(_ code: RPCError.Code, _ reason: String, wasSent: Bool) -> GRPCFailure {
            var failure = GRPCFailure(code, reason, at: host.description, wasSent: wasSent)
            failure.isInOurWords = true
            return failure
        }
        guard let question: [UInt8] = try? request.serializedBytes() else {
            throw failed(.internalError, "the request cannot be encoded", wasSent: false)
        }
        // The library limits only the messages that it receives.
        guard question.count <= settings.maximumMessage else {
            let reason = "the request has \(question.count) bytes, and the maximum is \(settings.maximumMessage)"
            throw failed(.resourceExhausted, reason, wasSent: false)
        }
        let answer = try await call(method, question, isRepeatable: isRepeatable, timeout: timeout, metadata)
        guard let response = try? Response(serializedBytes: answer) else {
            throw failed(.dataLoss, GRPCFailure.undecodable, wasSent: true)
        }
        return response
    }

    private func call(
        _ method: MethodDescriptor, _ request: [UInt8], isRepeatable: Bool, timeout: Duration, _ metadata: Metadata
    ) async throws(GRPCFailure) -> [UInt8] {
        let deadline = clock.now() + timeout
        var refusals = 0
        while true {
            let connection = try connection()
            let wasProven = connection.isProven.load(ordering: .relaxed)
            do throws(GRPCFailure) {
                let response = try await call(method, request, over: connection, until: deadline, metadata)
                connection.isProven.store(true, ordering: .relaxed)
                return response
            } catch {
                if error.isAnswer {
                    connection.isProven.store(true, ordering: .relaxed)
                    throw error
                }
                // Do not use this connection again, whatever is wrong with it.
                drop(connection)
                // A connection that worked and ended since then is no reason to fail.
                if error.isRefused { refusals += 1 }
                guard wasProven || (error.isRefused && refusals <= 3), error.code == .unavailable, !error.wasSent || isRepeatable,
                    clock.now() < deadline
                else { throw error }
            }
        }
    }

    private func call(
        _ method: MethodDescriptor, _ request: [UInt8], over connection: Connection, until deadline: BootInstant, _ additional: Metadata
    ) async throws(GRPCFailure) -> [UInt8] {
        let sent = Flag()
        var options = CallOptions.defaults
        options.maxRequestMessageBytes = settings.maximumMessage
        options.maxResponseMessageBytes = settings.maximumMessage
        let fixedOptions = options
        var all = additional
        all.addString(RequestTimeout.text(deadline.duration(since: clock.now())), forKey: RequestTimeout.key)
        let metadata = all
        // The library would use threads of its own for the time limit (`CallOptions.timeout`), and another clock. It also does not always
        // wake a call that is cancelled while waiting for its connection. The method therefore waits for the answer, the deadline or the
        // cancellation, whichever comes first.
        let answer = FirstAnswer<Result<[UInt8], any Error>>()
        let asking = Task(executorPreference: NetworkThread.executor) {
            do {
                try await connection.transport.withStream(descriptor: method, options: fixedOptions) { stream, _ in
                    // The answer is given before the stream is closed.
                    answer.give(.success(try await Self.ask(stream, [.metadata(metadata), .message(Transport.Bytes(request))], sent)))
                }
            } catch { answer.give(.failure(error)) }
        }
        let watch = deadlines.watch(until: deadline) {
            answer.give(.failure(RPCError(code: .deadlineExceeded, message: "no answer in time")))
        }
        let found = await withTaskCancellationHandler {
            await answer.wait()
        } onCancel: {
            answer.give(.failure(CancellationError()))
        }
        deadlines.forget(watch)
        do { return try found.get() } catch {
            asking.cancel()
            throw connection.failure(error, at: host.description, wasSent: sent.isSet)
        }
    }

    /// Writes a request, and reads the answering message.
    private static func ask(
        _ stream: RPCStream<Transport.Inbound, Transport.Outbound>, _ request: [RPCRequestPart<Transport.Bytes>], _ sent: Flag
    ) async throws -> [UInt8] {
        sent.set()
        do {
            try await stream.outbound.write(contentsOf: request)
            await stream.outbound.finish()
        } catch {
            // Nothing of the request was sent (NIOAsyncWriter). The stream may know the reason better.
            sent.clear()
            await stream.outbound.finish(throwing: error)
        }
        var message: [UInt8]?
        for try await part in stream.inbound {
            switch part {
            case .metadata: break
            case .message(let bytes): message = bytes.withUnsafeBytes { Array($0) }
            case .status(let status, let metadata): if let error = RPCError(status: status, metadata: metadata) { throw error }
            }
        }
        guard let message else { throw RPCError(code: .dataLoss, message: GRPCFailure.withoutMessage) }
        return message
    }

    final class Flag: Sendable {
        private let value = Atomic(false)
        var isSet: Bool { value.load(ordering: .relaxed) }
        func set() { value.store(true, ordering: .relaxed) }
        func clear() { value.store(false, ordering: .relaxed) }
    }

    // MARK: The connection

    func connection() throws(GRPCFailure) -> Connection {
        do {
            return try current.withLock { current in
                if let current { return current }
                let made = try connect()
                current = made
                return made
            }
        } catch { throw GRPCFailure(error, at: host.description, wasSent: false, tls: nil) }
    }

    private func connect() throws -> Connection {
        let tls = settings.tls.map { Self.security($0, host: host.name, hint: settings.plainTextHint) }
        let transport = try HTTP2ClientTransport.Posix(
            target: target, transportSecurity: tls == nil ? .plaintext : .customSecure,
            config: .defaults { config in
                if let tls { config.channelDebuggingCallbacks.onCreateTCPConnection = { tls.secure($0) } }
                // Waiting for more to send would only delay a single call.
                config.connection.flushCoalescing = nil
                config.connection.keepalive = settings.keepalive.map {
                    .init(time: $0.interval, timeout: $0.timeout, allowWithoutCalls: true)
                }
            },
            eventLoopGroup: NetworkThread.eventLoop)
        Task(executorPreference: NetworkThread.executor) { try? await transport.connect() }
        return Connection(transport, tls)
    }

    private static func security(_ options: TLSOptions, host: String, hint: String) -> TLSGuard {
        // The protocol's name in ALPN (RFC 9113, section 3.2).
        TLSGuard(options, host: host, protocols: ["h2"], hint: hint)
    }

    /// An IP address is used as it is, because resolving takes threads of its own.
    private var target: any ResolvableTarget {
        let port = host.port ?? 443
        return switch try? NIOCore.SocketAddress(ipAddress: host.name, port: port) {
        case .v4: .ipv4(address: host.name, port: port)
        case .v6: .ipv6(address: host.name, port: port)
        default: .dns(host: host.name, port: port)
        }
    }

    /// Stops using a connection. Calls that are under way continue to their end.
    func drop(_ connection: Connection) {
        current.withLock { current in if current === connection { current = nil } }
        connection.transport.beginGracefulShutdown()
    }

    /// Ends the connection.
    public func close() {
        let connection = current.withLock { current in
            defer { current = nil }
            return current
        }
        connection?.transport.beginGracefulShutdown()
    }
}
