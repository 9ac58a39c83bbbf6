import Glibc
import NIOCore
import NIOHTTP1
import QQCore

/// One connection: one request, one answer, and the end. Connections are not kept for a second request, so that none of them is idle.
final class Conversation: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let limits: Limits
    private let respond: @Sendable (Request) -> Answer
    private var context: ChannelHandlerContext?
    private var timer: Scheduled<Void>?
    /// Whether the answer is being sent, or was sent.
    private(set) var isAnswered = false
    /// Whether the whole answer was passed to the kernel.
    private(set) var isWritten = false
    private var hasClientEnded = false

    private init(_ limits: Limits, _ respond: @escaping @Sendable (Request) -> Answer) {
        self.limits = limits
        self.respond = respond
    }

    /// Serves a connection that was just accepted.
    static func start(on channel: any Channel, _ limits: Limits, _ respond: @escaping @Sendable (Request) -> Answer) throws {
        let pipeline = channel.pipeline.syncOperations
        // accept4(2) is called without SOCK_CLOEXEC.
        _ = try pipeline.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { fcntl($0, F_SETFD, FD_CLOEXEC) }
        var decoding = NIOHTTPDecoderLimitConfiguration()
        decoding.maxHeaderFieldSize = Limits.head
        decoding.maxHeaderListSize = Limits.head
        let conversation = Conversation(limits, respond)
        try pipeline.addHandler(InputLimit(conversation))
        try pipeline.addHandler(HTTPResponseEncoder())
        try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder(limitConfiguration: decoding)))
        try pipeline.addHandler(conversation)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        close(context, after: limits.answer)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isAnswered, case .head(let head) = unwrapInboundIn(data) else { return }
        let length = head.headers["content-length"]
        let request = Request(
            head.method.rawValue, head.uri, hasBody: head.headers.contains(name: "transfer-encoding") || length.contains { $0 != "0" })
        send(respond(request), withBody: head.method != .HEAD)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case HTTPParserError.headerOverflow: send(.tooLarge)
        case is HTTPParserError: send(.malformed)
        default: context.close(promise: nil)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            hasClientEnded = true
            // A request that is not complete by now will not be; an answer that is being written can still arrive.
            if !isAnswered || isWritten { context.close(promise: nil) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    // MARK: Answering

    /// Sends the answer, unless one was sent already. Everything that the client sends from now on is dropped.
    fileprivate func send(_ answer: Answer, withBody: Bool = true) {
        guard !isAnswered, let context else { return }
        isAnswered = true
        var headers: HTTPHeaders = [
            "Content-Type": answer.type, "Content-Length": String(answer.body.count), "Cache-Control": "no-store", "Connection": "close",
        ]
        if let date = Self.date() { headers.add(name: "Date", value: date) }
        if answer.listsMethods { headers.add(name: "Allow", value: Routes.methods) }
        let head = HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: answer.status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if withBody, !answer.body.isEmpty {
            context.write(wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(bytes: answer.body)))), promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { [self] in finish($0) }
    }

    private func finish(_ result: Result<Void, any Error>) {
        guard let context else { return }
        isWritten = true
        guard case .success = result, !hasClientEnded else { return context.close(promise: nil) }
        close(context, after: limits.linger)
        context.close(mode: .output, promise: nil)
        context.channel.parent?.pipeline.fireUserInboundEventTriggered(ConnectionLimit.Answered())
    }

    /// Cuts the connection after this time, in place of an earlier limit.
    private func close(_ context: ChannelHandlerContext, after time: TimeAmount) {
        timer?.cancel()
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: time) { context.close(promise: nil) }
    }

    /// The present time as `Sun, 06 Nov 1994 08:49:37 GMT` (IMF-fixdate, RFC 9110, section 5.6.7).
    static func date(_ time: WallTime = .now()) -> String? {
        var (seconds, parts) = (time_t(time.seconds), tm())
        guard gmtime_r(&seconds, &parts) != nil else { return nil }
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ number: CInt) -> String { (number < 10 ? "0" : "") + String(number) }
        let day = "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(parts.tm_year + 1900)"
        return "\(day) \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
    }
}

/// Passes on as many bytes as a request can have. After the answer it drops everything, up to another limit.
private final class InputLimit: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let conversation: Conversation
    private var received = 0

    init(_ conversation: Conversation) { self.conversation = conversation }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received += unwrapInboundIn(data).readableBytes
        if received > Limits.head + Limits.excess { return context.close(promise: nil) }
        if conversation.isAnswered { return }
        if received > Limits.head { return conversation.send(.tooLarge) }
        context.fireChannelRead(data)
    }
}
