import GRPCCore
import GRPCNIOTransportHTTP2Posix
import GRPCProtobuf
import NIOCore
import NIOPosix
import QQCore
import SwiftProtobuf
import Synchronization

/// Calls to one gRPC server, over one connection at a time, which is made when it is needed and made anew when it has gone.
///
/// A server may end connections at any time, and announce it or not (GOAWAY, RFC 9113, section 6.8): a call that had not left us goes over a new one.
public final class GRPCEndpoint: Sendable {
    public let host: ServerURL.Host
    private let settings: GRPCSettings
    private let clock: any LeaseClock
    private let executor: any TaskExecutor
    private let current = Mutex<Line?>(nil)

    private typealias Client = GRPCClient<HTTP2ClientTransport.Posix>

    /// One thread serves all connections of the process; it starts with the first of them.
    private static let threads = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    /// A client, which holds one connection.
    private final class Line: Sendable {
        let client: Client
        let tls: TLSGuard?
        /// Whether a call got through over it.
        let isProven = Atomic(false)

        init(_ client: Client, _ tls: TLSGuard?) {
            self.client = client
            self.tls = tls
        }
    }

    /// - Parameter executor: what carries the library's own tasks.
    public init(_ host: ServerURL.Host, _ settings: GRPCSettings, clock: any LeaseClock, executor: any TaskExecutor) {
        self.host = host
        self.settings = settings
        self.clock = clock
        self.executor = executor
    }

    /// Asks, and waits for the answer.
    ///
    /// - Parameters:
    ///   - isRepeatable: whether the call may be carried out twice: then it is made again over a new connection where the old one was cut.
    ///   - timeout: for connecting and the answer together.
    public func call<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ method: MethodDescriptor, _ request: Request, isRepeatable: Bool, timeout: Duration
    ) async throws(GRPCFailure) -> Response {
        let deadline = clock.now() + timeout
        while true {
            let line = try line()
            let wasProven = line.isProven.load(ordering: .relaxed)
            do throws(GRPCFailure) {
                let response: Response = try await call(method, request, over: line, timeout: deadline.duration(since: clock.now()))
                line.isProven.store(true, ordering: .relaxed)
                return response
            } catch {
                if error.isAnswer {
                    line.isProven.store(true, ordering: .relaxed)
                    throw error
                }
                // Whatever is wrong with the connection, nothing is asked over it any more.
                drop(line)
                // It was good, and has gone meanwhile: that is no reason to fail.
                guard wasProven, error.code == .unavailable, !error.wasSent || isRepeatable, clock.now() < deadline else { throw error }
            }
        }
    }

    private func call<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ method: MethodDescriptor, _ request: Request, over line: Line, timeout: Duration
    ) async throws(GRPCFailure) -> Response {
        let sent = SentMark()
        var options = CallOptions.defaults
        options.timeout = max(timeout, .milliseconds(1))
        options.maxRequestMessageBytes = settings.maximumMessage
        options.maxResponseMessageBytes = settings.maximumMessage
        let stream = StreamingClientRequest(of: Request.self) { writer in
            sent.set()
            try await writer.write(request)
        }
        do {
            return try await line.client.bidirectionalStreaming(
                request: stream, descriptor: method, serializer: ProtobufSerializer<Request>(),
                deserializer: ProtobufDeserializer<Response>(), options: options
            ) { response in
                var message: Response?
                for try await part in try response.accepted.get().bodyParts {
                    if case .message(let part) = part { message = part }
                }
                guard let message else { throw RPCError(code: .dataLoss, message: "the server answered without a message") }
                return message
            }
        } catch { throw GRPCFailure(error, at: host.description, wasSent: sent.isSet, tls: line.tls?.failure) }
    }

    private final class SentMark: Sendable {
        private let mark = Atomic(false)
        var isSet: Bool { mark.load(ordering: .relaxed) }
        func set() { mark.store(true, ordering: .relaxed) }
    }

    // MARK: The connection

    private func line() throws(GRPCFailure) -> Line {
        do {
            return try current.withLock { current in
                if let current { return current }
                let made = try connect()
                current = made
                return made
            }
        } catch { throw GRPCFailure(error, at: host.description, wasSent: false, tls: nil) }
    }

    private func connect() throws -> Line {
        let tls = settings.tls.map { TLSGuard($0, host: host.name) }
        let transport = try HTTP2ClientTransport.Posix(
            target: .dns(host: host.name, port: host.port ?? 443),
            transportSecurity: tls == nil ? .plaintext : .customSecure,
            config: .defaults { config in
                if let tls { config.channelDebuggingCallbacks.onCreateTCPConnection = { tls.secure($0) } }
                // Waiting for more to send would only delay a lone call.
                config.connection.flushCoalescing = nil
            },
            eventLoopGroup: Self.threads)
        let client = Client(transport: transport)
        Task(executorPreference: executor) { try? await client.runConnections() }
        return Line(client, tls)
    }

    /// Calls under way over it go on to their end.
    private func drop(_ line: Line) {
        current.withLock { current in if current === line { current = nil } }
        line.client.beginGracefulShutdown()
    }

    /// Ends the connection.
    public func close() {
        let line = current.withLock { current in
            defer { current = nil }
            return current
        }
        line?.client.beginGracefulShutdown()
    }
}
