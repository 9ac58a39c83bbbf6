import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import QQCore
import Synchronization

/// Where a peer finds the API server, and as whom.
public struct PeerServer: Sendable, Hashable {
    /// The server's port on 127.0.0.1, or a proxy's.
    public var port: UInt16
    /// PEM file of the authority of the server's certificate.
    public var authority: String
    public var token: String

    public init(port: UInt16, authority: String, token: String) {
        self.port = port
        self.authority = authority
        self.token = token
    }

    func context() throws -> NIOSSLContext {
        var settings = TLSConfiguration.makeClientConfiguration()
        settings.trustRoots = .file(authority)
        settings.applicationProtocols = ["http/1.1"]
        return try NIOSSLContext(configuration: settings)
    }
}

/// A connection to an API server over TLS and HTTP/1.1, for one thread, which it blocks. It shares nothing with the product's client.
final class PeerClient {
    /// Whether the caller has to give a call up; called every millisecond. It can block, as a stopped process does.
    typealias IsGivenUp = () -> Bool

    private let server: PeerServer
    /// Whether 429 and 5xx with Retry-After, and GET after a broken connection, are repeated, as by client-go.
    private let repeats: Bool
    private let context: NIOSSLContext
    private var channel: (any Channel)?

    init(_ server: PeerServer, _ context: NIOSSLContext, repeats: Bool) {
        self.server = server
        self.repeats = repeats
        self.context = context
    }

    func perform(_ call: PeerCall, isGivenUp: IsGivenUp) -> PeerOutcome {
        for attempt in 0... {
            let answer = once(call, isGivenUp: isGivenUp)
            let pause: Duration
            switch answer {
            case .whole(let head, let body):
                let asked = head.headers.first(name: "Retry-After").flatMap { Int64($0) }
                guard repeats, attempt < 10, head.status == .tooManyRequests || head.status.code >= 500, let asked else {
                    return .answer(status: Int(head.status.code), body: (try? JSONValue.parse(body)) ?? .null)
                }
                pause = .seconds(asked)
            case .broken:
                guard repeats, attempt < 10, call.method == .get else { return .failed }
                pause = .seconds(1)
            case .givenUp, .notConnected: return .failed
            }
            guard wait(until: SystemClock().now() + pause, call, isGivenUp) else { return .failed }
        }
        return .failed
    }

    func close() {
        channel?.close(promise: nil)
        channel = nil
    }

    // MARK: One attempt

    private enum Attempt {
        case whole(HTTPResponseHead, [UInt8])
        /// The connection ended before the answer was complete.
        case broken
        case notConnected
        case givenUp
    }

    private func once(_ call: PeerCall, isGivenUp: IsGivenUp) -> Attempt {
        guard !isOver(call, isGivenUp) else { return .givenUp }
        let answer = Answer()
        guard let channel = connected(call, isGivenUp) else { return isOver(call, isGivenUp) ? .givenUp : .notConnected }
        channel.pipeline.fireUserInboundEventTriggered(answer)
        let body = call.body.map { JSONWriter.bytes($0) }
        var head = HTTPRequestHead(version: .http1_1, method: HTTPMethod(rawValue: call.method.rawValue), uri: call.target)
        head.headers.add(name: "Host", value: "localhost:\(server.port)")
        head.headers.add(name: "Accept", value: "application/json")
        head.headers.add(name: "Authorization", value: "Bearer " + server.token)
        if let body {
            head.headers.add(name: "Content-Type", value: "application/json")
            head.headers.add(name: "Content-Length", value: "\(body.count)")
        }
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        if let body { channel.write(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: body))), promise: nil) }
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        while !isOver(call, isGivenUp) {
            switch answer.state.withLock({ $0 }) {
            case .complete(let head, let body):
                if !head.isKeepAlive { close() }
                return .whole(head, body)
            case .ended:
                close()
                return .broken
            case .waiting: usleep(1000)
            }
        }
        // Go closes the connection of an HTTP/1.1 request that is given up.
        close()
        return .givenUp
    }

    private func connected(_ call: PeerCall, _ isGivenUp: IsGivenUp) -> (any Channel)? {
        if let channel, channel.isActive { return channel }
        close()
        let connecting = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(ChannelOptions.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { [context] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: context, serverHostname: "localhost"))
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(AnswerHandler())
                }
            }.connect(host: "127.0.0.1", port: Int(server.port))
        let arrival = Arrival()
        connecting.whenComplete { result in arrival.result.withLock { $0 = result } }
        while !isOver(call, isGivenUp) {
            if let result = arrival.result.withLock({ $0 }) {
                channel = try? result.get()
                return channel
            }
            usleep(1000)
        }
        connecting.whenSuccess { $0.close(promise: nil) }
        return nil
    }

    private func isOver(_ call: PeerCall, _ isGivenUp: IsGivenUp) -> Bool {
        isGivenUp() || call.deadline.map { SystemClock().now() >= $0 } ?? false
    }

    /// Returns: false if the call was given up first.
    private func wait(until end: BootInstant, _ call: PeerCall, _ isGivenUp: IsGivenUp) -> Bool {
        while SystemClock().now() < end {
            if isOver(call, isGivenUp) { return false }
            usleep(1000)
        }
        return true
    }
}

/// A connection that is being made.
private final class Arrival: Sendable {
    let result = Mutex<Result<any Channel, any Error>?>(nil)
}

/// An answer that is being received.
private final class Answer: Sendable {
    enum State: Sendable {
        case waiting
        case complete(HTTPResponseHead, [UInt8])
        case ended
    }

    let state = Mutex(State.waiting)
}

/// Collects the answer to the request that was announced last.
private final class AnswerHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private var answer: Answer?
    private var head: HTTPResponseHead?
    private var body: [UInt8] = []
    private var isEnded = false

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let announced = event as? Answer else { return context.fireUserInboundEventTriggered(event) }
        answer = announced
        if isEnded { finish(.ended) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let received):
            head = received
            body = []
        case .body(let part): body += part.readableBytesView
        case .end: if let head { finish(.complete(head, body)) }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        isEnded = true
        finish(.ended)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func finish(_ state: Answer.State) {
        answer?.state.withLock { $0 = state }
        answer = nil
    }
}
