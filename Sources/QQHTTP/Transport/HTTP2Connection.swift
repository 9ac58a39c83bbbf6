import NIOCore
import NIOHPACK
import NIOHTTP2
import QQCore
import QQNetwork

/// A connection that speaks HTTP/2 (RFC 9113): many requests at a time, each on a stream of its own.
///
/// `Sendable` is unchecked because it is used only on the network thread.
final class HTTP2Connection: ChannelInboundHandler, HTTPConnection, @unchecked Sendable {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    private struct Stream {
        var exchange: Exchange
        var hasHead = false
        /// Bytes that have come and are not granted again (RFC 9113, section 5.2).
        var received = 0
    }

    private let channel: any Channel
    private let tls: TLSGuard?
    private weak var pool: ConnectionPool?
    private let keepalive: TimeAmount
    /// Completed when the server's settings have come.
    private var ready: EventLoopPromise<HTTP2Connection>?
    private var streams: [HTTP2StreamID: Stream] = [:]
    private var nextStream = 1
    /// Number of streams that the server allows at a time.
    private var limit = 0
    private var isUsable = true
    private var isFlushDue = false
    /// The exchange whose request is being written.
    private var writing: Exchange?
    private var loss: ConnectionLoss
    private var pinged: UInt64?
    private(set) var isProven = false
    private(set) var reads: UInt64 = 0

    /// Size of the windows by which the server may send without being told to go on, in bytes: the protocol's default.
    private static let window = 65_535
    private static let lastStream = Int(Int32.max) - 2

    private init(
        _ channel: any Channel, _ tls: TLSGuard?, _ pool: ConnectionPool, _ settings: HTTPSettings,
        _ ready: EventLoopPromise<HTTP2Connection>
    ) {
        self.channel = channel
        self.tls = tls
        self.pool = pool
        keepalive = TimeAmount(settings.keepalive)
        loss = ConnectionLoss(tlsHint: settings.tlsHint)
        self.ready = ready
    }

    /// Makes a connection of a channel, once the server's settings have come: a server with TLS 1.3 can refuse a client certificate until then.
    static func start(
        _ channel: any Channel, _ tls: TLSGuard?, _ pool: ConnectionPool, _ settings: HTTPSettings
    ) -> EventLoopFuture<HTTP2Connection> {
        let ready = channel.eventLoop.makePromise(of: HTTP2Connection.self)
        let initial = [
            HTTP2Setting(parameter: .enablePush, value: 0), HTTP2Setting(parameter: .maxHeaderListSize, value: HTTPLimits.head),
        ]
        let connection = HTTP2Connection(channel, tls, pool, settings, ready)
        do {
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(NIOHTTP2Handler(mode: .client, initialSettings: initial))
            try pipeline.addHandler(connection)
        } catch { ready.fail(error) }
        return ready.futureResult
    }

    // MARK: HTTPConnection

    var hasRoom: Bool { isUsable && streams.count < limit }
    var isStale: Bool { false }

    func send(_ exchange: Exchange) {
        let id = HTTP2StreamID(nextStream)
        exchange.begin(on: self)
        exchange.stream = nextStream
        streams[id] = Stream(exchange: exchange)
        nextStream += 2
        if nextStream > Self.lastStream { retire() }
        let body = exchange.request.body
        let promise = channel.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenFailure { self.cannotWrite(exchange, $0) }
        writing = exchange
        channel.write(frame(id, .headers(.init(headers: exchange.request.headers, endStream: body == nil))), promise: promise)
        writing = nil
        guard !exchange.isOver else { return }
        if let body { channel.write(frame(id, .data(.init(data: .byteBuffer(body), endStream: true))), promise: nil) }
        flushSoon()
    }

    /// A request could not be encoded, or the connection has ended. In the latter case the failure comes with its end.
    private func cannotWrite(_ exchange: Exchange, _ error: any Error) {
        guard writing === exchange else { return }
        streams[HTTP2StreamID(exchange.stream)] = nil
        retire()
        // Nothing leaves before it is flushed.
        exchange.fail(.disconnected, "the request could not be written", isUnprocessed: true, repetition: .always)
    }

    func abandon(_ exchange: Exchange) {
        let id = HTTP2StreamID(exchange.stream)
        guard streams[id]?.exchange === exchange else { return }
        streams[id] = nil
        channel.write(frame(id, .rstStream(.cancel)), promise: nil)
        flushSoon()
        streamEnded()
    }

    func readMore(_ exchange: Exchange) { grant(HTTP2StreamID(exchange.stream)) }

    func retire() {
        guard isUsable else { return }
        isUsable = false
        pool?.ended(self)
        if streams.isEmpty { channel.close(promise: nil) }
    }

    private func streamEnded() {
        if isUsable { pool?.hasRoom(self) } else if streams.isEmpty { channel.close(promise: nil) }
    }

    private func frame(_ id: HTTP2StreamID, _ payload: HTTP2Frame.FramePayload) -> HTTP2Frame { HTTP2Frame(streamID: id, payload: payload) }

    /// Sends all frames that are written in this turn of the loop together.
    private func flushSoon() {
        guard !isFlushDue else { return }
        isFlushDue = true
        channel.eventLoop.execute {
            self.isFlushDue = false
            self.channel.flush()
        }
    }

    // MARK: Frames

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        reads += 1
        let frame = unwrapInboundIn(data)
        switch frame.payload {
        case .headers(let content): receive(content.headers, isLast: content.endStream, frame.streamID)
        case .data(let content): receive(content, frame.streamID)
        case .rstStream(let code): closed(frame.streamID, code)
        case .goAway(let last, _, _): receiveGoAway(last)
        case .settings(.settings(let settings)): receive(settings)
        case .ping, .settings, .windowUpdate, .priority, .pushPromise, .alternativeService, .origin: break
        }
    }

    /// The server ends the connection, after the streams that it processes (RFC 9113, section 6.8).
    private func receiveGoAway(_ last: HTTP2StreamID) {
        retire()
        for id in streams.keys where id > last { closed(id, .refusedStream) }
    }

    private func receive(_ settings: [HTTP2Setting]) {
        if let value = settings.last(where: { $0.parameter == .maxConcurrentStreams })?.value {
            limit = value
        } else if ready != nil {
            // No limit; this many are enough.
            limit = 1_000
        }
        if let promise = ready {
            ready = nil
            promise.succeed(self)
            ping(after: keepalive)
        } else if hasRoom {
            pool?.hasRoom(self)
        }
    }

    private func receive(_ headers: HPACKHeaders, isLast: Bool, _ id: HTTP2StreamID) {
        guard let stream = streams[id] else { return }
        // Fields after the body are not used.
        if !stream.hasHead {
            guard let status = headers.first(name: ":status").flatMap({ Int($0) }) else {
                streams[id] = nil
                stream.exchange.fail(.brokenAnswer, HTTPLimits.notHTTP)
                return streamEnded()
            }
            // An interim answer.
            if status < 200, !isLast { return }
            streams[id]?.hasHead = true
            let fields = headers.lazy.filter { !$0.name.hasPrefix(":") }.map { HTTPRequest.Field($0.name, $0.value) }
            stream.exchange.receive(status: status, Array(fields))
        }
        settle(stream.exchange, isLast, id)
    }

    private func receive(_ content: HTTP2Frame.FramePayload.Data, _ id: HTTP2StreamID) {
        guard case .byteBuffer(let bytes) = content.data else { return }
        let size = bytes.readableBytes + (content.paddingBytes.map { $0 + 1 } ?? 0)
        guard let exchange = streams[id]?.exchange else { return }
        streams[id]?.received += size
        exchange.receive(bytes)
        if !exchange.isOver, !content.endStream, exchange.wantsMore { grant(id) }
        settle(exchange, content.endStream, id)
    }

    /// Ends an exchange with its stream, and a stream with its exchange.
    private func settle(_ exchange: Exchange, _ isLast: Bool, _ id: HTTP2StreamID) {
        if isLast, streams.removeValue(forKey: id) != nil {
            isProven = true
            exchange.end(nil)
            streamEnded()
        } else if exchange.isOver {
            abandon(exchange)
        }
    }

    /// Lets the server send as much again as has come on the stream.
    private func grant(_ id: HTTP2StreamID) {
        guard let stream = streams[id], stream.received > Self.window / 2 else { return }
        streams[id]?.received = 0
        channel.write(frame(id, .windowUpdate(windowSizeIncrement: stream.received)), promise: nil)
        flushSoon()
    }

    /// The server has ended a stream before the answer was complete.
    private func closed(_ id: HTTP2StreamID, _ code: HTTP2ErrorCode?) {
        guard let exchange = streams.removeValue(forKey: id)?.exchange else { return }
        if code == .refusedStream {
            // The connection may refuse the next one, too.
            retire()
            exchange.fail(
                .disconnected, "the server refused the request without processing it", isUnprocessed: true, repetition: .always)
        } else {
            exchange.fail(.disconnected, "the server broke off its answer")
        }
        streamEnded()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? StreamClosedEvent { closed(event.streamID, event.reason) }
        if let event = event as? NIOHTTP2WindowUpdatedEvent, event.streamID == .rootStream, let left = event.inboundWindowSize,
            left < Self.window / 2
        {
            channel.write(frame(.rootStream, .windowUpdate(windowSizeIncrement: Self.window - left)), promise: nil)
            flushSoon()
        }
        context.fireUserInboundEventTriggered(event)
    }

    // MARK: Pings

    private func ping(after pause: TimeAmount) {
        channel.eventLoop.assumeIsolated().scheduleTask(in: pause) { [weak self] in self?.pingIfSilent() }
    }

    private func pingIfSilent() {
        guard channel.isActive else { return }
        if pinged == reads {
            loss.note(HTTP2Silence(), nil)
            return end()
        }
        pinged = reads
        // Everything that comes is a sign of life; a busy connection is not pinged more often than an idle one.
        channel.writeAndFlush(frame(.rootStream, .ping(HTTP2PingData(withInteger: reads), ack: false)), promise: nil)
        ping(after: keepalive)
    }

    // MARK: The end

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? NIOHTTP2Errors.StreamError {
            guard let exchange = streams.removeValue(forKey: error.streamID)?.exchange else { return }
            exchange.fail(.brokenAnswer, HTTPLimits.notHTTP)
            return streamEnded()
        }
        loss.note(error, tls)
        end()
    }

    func channelInactive(context: ChannelHandlerContext) { end() }

    /// Ends the connection and everything on it. TLS waits for the other side to end, too; the exchanges do not.
    private func end() {
        isUsable = false
        pool?.ended(self)
        channel.close(promise: nil)
        ready?.fail(ConnectionEnded(loss: loss))
        ready = nil
        let open = streams.values.map(\.exchange)
        streams = [:]
        for exchange in open { exchange.fail(loss.meaning(isProven: isProven, tls)) }
    }
}

/// A connection ended before it could be used.
struct ConnectionEnded: Error {
    var loss: ConnectionLoss
}

extension TimeAmount {
    /// Clamped to 0 to 30 years: the library adds it to a time without a check.
    init(_ duration: Duration) { self = .nanoseconds(min(max(duration.nanoseconds, 0), 1_000_000_000_000_000_000)) }
}
