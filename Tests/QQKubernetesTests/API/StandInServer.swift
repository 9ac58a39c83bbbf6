import NIOCore
import NIOHTTP1
import NIOPosix
import QQCore
import QQHTTP
import Synchronization

@testable import QQKubernetes

/// An HTTP/1.1 server without TLS whose answers a test gives.
final class StandInServer: Sendable {
    struct Request: Sendable {
        var method: String
        var target: String
        var fields: [HTTPRequest.Field]
        var body: String
        /// The number of the connection, from 1.
        var connection: Int

        func field(_ name: String) -> String? { fields.first { $0.name.lowercased() == name.lowercased() }?.value }
    }

    struct Answer: Sendable {
        var status = 200
        var fields: [HTTPRequest.Field] = []
        var body = "{}"
        /// Whether the answer stays open after the body.
        var isOpen = false
    }

    private struct State: Sendable {
        var requests: [Request] = []
        var connections = 0
    }

    let port: Int
    private let channel: any Channel
    private let state: StateBox

    private final class StateBox: Sendable {
        let value = Mutex(State())
    }

    static func start(_ answer: @escaping @Sendable (Request) -> Answer) async throws -> StandInServer {
        let state = StateBox()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                let number = state.value.withLock { state in
                    state.connections += 1
                    return state.connections
                }
                return channel.pipeline.configureHTTPServerPipeline().flatMapThrowing {
                    try channel.pipeline.syncOperations.addHandler(Handler(number, state, answer))
                }
            }.bind(host: "127.0.0.1", port: 0).get()
        return StandInServer(channel, state)
    }

    private init(_ channel: any Channel, _ state: StateBox) {
        self.channel = channel
        self.state = state
        port = channel.localAddress?.port ?? 0
    }

    var requests: [Request] { state.value.withLock { $0.requests } }

    func stop() async throws { try await channel.close() }

    /// Answers the requests of one connection.
    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let number: Int
        private let state: StateBox
        private let answer: @Sendable (Request) -> Answer
        private var request: Request?

        init(_ number: Int, _ state: StateBox, _ answer: @escaping @Sendable (Request) -> Answer) {
            self.number = number
            self.state = state
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head):
                request = Request(
                    method: head.method.rawValue, target: head.uri, fields: head.headers.map { .init($0.name, $0.value) }, body: "",
                    connection: number)
            case .body(let bytes): request?.body += String(buffer: bytes)
            case .end:
                guard let request else { return }
                state.value.withLock { $0.requests.append(request) }
                let answer = answer(request)
                var headers = HTTPHeaders(answer.fields.map { ($0.name, $0.value) })
                if answer.isOpen {
                    headers.add(name: "Transfer-Encoding", value: "chunked")
                } else {
                    headers.add(name: "Content-Length", value: "\(answer.body.utf8.count)")
                }
                let head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: answer.status), headers: headers)
                context.write(wrapOutboundOut(.head(head)), promise: nil)
                context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: answer.body)))), promise: nil)
                if !answer.isOpen { context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil) }
            }
        }
    }
}
