import NIOCore
import NIOHTTP1
import QQCore

/// The requests of a connection to an agent, one after the other. On its event loop only.
final class ConsulConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let server: ConsulServer
    private let front: ConnectionFront
    private var context: ChannelHandlerContext?
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []
    /// The blocking query that waits.
    private var query: ConsulStore.BlockedQuery?

    /// More of a body than the store refuses is not kept.
    private static let maximumBody = 2 << 20

    init(_ server: ConsulServer, _ front: ConnectionFront) { (self.server, self.front) = (server, front) }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelInactive(context: ChannelHandlerContext) {
        query = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): (self.head, body) = (head, [])
        case .body(let part): if body.count <= Self.maximumBody { body += part.readableBytesView }
        case .end:
            guard let head, !server.isSilent else { return }
            let request = ConsulStore.Request(
                head.method.rawValue, head.uri, headers: head.headers.map { ($0.name, $0.value) }, body: body)
            act(server.store.handle(request, at: server.agent))
        }
    }

    /// Answers the blocking query if it need not wait any longer.
    func poll() {
        guard let query, let outcome = server.store.poll(query) else { return }
        self.query = nil
        act(outcome)
    }

    /// Closes the connection without any farewell, also of TLS.
    func cut() { front.cut() }

    private func act(_ outcome: ConsulStore.Outcome) {
        switch outcome {
        case .blocked(let query): self.query = query
        case .silence: break
        case .closed, .refused: cut()
        case .answer(let answer):
            guard answer.after > .zero, let context else { return write(answer) }
            context.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(answer.after.nanoseconds)) { [self] in write(answer) }
        }
    }

    private func write(_ answer: ConsulStore.Answer) {
        guard let context, let head else { return }
        self.head = nil
        var headers = HTTPHeaders(answer.headers.map { ($0.name, $0.value) })
        headers.add(name: "content-length", value: "\(answer.body.count)")
        if !head.isKeepAlive { headers.add(name: "connection", value: "close") }
        let start = HTTPResponseHead(version: head.version, status: HTTPResponseStatus(statusCode: answer.status), headers: headers)
        context.write(wrapOutboundOut(.head(start)), promise: nil)
        if head.method != .HEAD { context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: answer.body)))), promise: nil) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        if !head.isKeepAlive { context.close(promise: nil) }
    }
}
