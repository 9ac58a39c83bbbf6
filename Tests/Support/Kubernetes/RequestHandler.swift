import NIOCore
import NIOHTTP1
import QQCore

/// One HTTP/2 stream, or the requests of an HTTP/1.1 connection one after the other.
final class RequestHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let connection: ServerConnection
    /// nil over HTTP/1.1.
    private let stream: Int?
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []
    private var watch: LeaseAPI.Watch?
    private var context: ChannelHandlerContext?

    init(_ connection: ServerConnection, stream: Int?) { (self.connection, self.stream) = (connection, stream) }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelInactive(context: ChannelHandlerContext) {
        watch?.cancel()
        watch = nil
        connection.finish(self)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            (self.head, body) = (head, [])
            connection.begin(self, stream: stream)
        case .body(let part):
            // More than the server takes is not kept.
            if body.count <= 3_145_728 { body += part.readableBytesView }
        case .end: serve()
        }
    }

    // MARK: Answers

    private func serve() {
        guard let head else { return }
        let parts = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let query = parts.count == 2 ? Self.query(parts[1]) : []
        let request = LeaseAPI.Request(
            head.method.rawValue, String(parts[0]), query: query, headers: head.headers.map { ($0.name, $0.value) }, body: body,
            certificate: connection.user)
        switch connection.server.api.handle(request) {
        case .answer(let answer): after(answer.after) { $0.write(answer) }
        case .stream(let watch, let time):
            self.watch = watch
            after(time) { $0.open(watch) }
        case .silence(.closed(let time)): after(time) { $0.connection.cut() }
        case .silence(.forever): break
        }
    }

    private func after(_ time: Duration, _ body: @escaping (RequestHandler) -> Void) {
        guard time > .zero else { return body(self) }
        connection.channel.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(time.nanoseconds)) { [self] in body(self) }
    }

    private static func query(_ text: Substring) -> [(name: String, value: String)] {
        text.split(separator: "&").map { pair in
            let equals = pair.firstIndex(of: "=") ?? pair.endIndex
            func decoded(_ text: Substring) -> String {
                let bytes = text.utf8.map { $0 == UInt8(ascii: "+") ? UInt8(ascii: " ") : $0 }
                return Percent.decode(bytes) ?? String(text)
            }
            return (decoded(pair[..<equals]), decoded(pair[equals...].dropFirst()))
        }
    }

    private func write(_ answer: LeaseAPI.Answer) {
        guard let context, let head else { return }
        let closes = stream == nil && (answer.closes || connection.isDraining || !head.isKeepAlive)
        var headers = HTTPHeaders([("content-type", answer.contentType), ("content-length", "\(answer.body.count)")])
        addDate(to: &headers)
        for header in answer.headers { headers.add(name: header.name, value: header.value) }
        if closes { headers.add(name: "connection", value: "close") }
        let status = HTTPResponseStatus(statusCode: answer.status)
        context.write(wrapOutboundOut(.head(HTTPResponseHead(version: head.version, status: status, headers: headers))), promise: nil)
        if head.method != .HEAD {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: answer.body)))), promise: nil)
        }
        finish(context, closes: closes)
    }

    /// The server's time, which Go's servers always send.
    private func addDate(to headers: inout HTTPHeaders) {
        guard connection.server.settings.sendsDate else { return }
        headers.add(name: "date", value: httpDate(connection.server.store.now()))
    }

    private func finish(_ context: ChannelHandlerContext, closes: Bool) {
        self.head = nil
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        if closes { connection.channel.close(promise: nil) }
        connection.finish(self)
    }

    // MARK: Watches

    private func open(_ watch: LeaseAPI.Watch) {
        guard let context, let head else { return }
        var headers = HTTPHeaders([("content-type", "application/json"), ("transfer-encoding", "chunked")])
        addDate(to: &headers)
        let start = HTTPResponseHead(version: head.version, status: .ok, headers: headers)
        context.writeAndFlush(wrapOutboundOut(.head(start)), promise: nil)
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        let loop = context.eventLoop
        watch.onChange { loop.execute { handler.value.writeEvents() } }
    }

    private func writeEvents() {
        guard let watch, let context else { return }
        let end = watch.end
        let events = watch.take()
        for event in events {
            let line = ByteBuffer(bytes: JSONWriter.bytes(event) + [10])
            context.write(wrapOutboundOut(.body(.byteBuffer(line))), promise: nil)
        }
        if !events.isEmpty { context.flush() }
        guard let end else { return }
        self.watch = nil
        switch end {
        case .orderly: finish(context, closes: stream == nil && connection.isDraining)
        case .broken: connection.cut()
        }
    }
}
