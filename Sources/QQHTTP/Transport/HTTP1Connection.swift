import NIOCore
import NIOHTTP1
import QQNetwork

/// A connection that speaks HTTP/1.1 (RFC 9112): one request at a time.
///
/// `Sendable` is unchecked because it is used only on the network thread.
final class HTTP1Connection: ChannelInboundHandler, HTTPConnection, @unchecked Sendable {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let channel: any Channel
    private let tls: TLSGuard?
    private weak var pool: ConnectionPool?
    private var current: Exchange?
    private var isUsable = true
    /// Whether another request can follow the answer that is coming.
    private var keepsAlive = true
    private var isWritten = true
    private var idleSince = NIODeadline.now()
    private var loss: ConnectionLoss
    private(set) var isProven = false
    private(set) var reads: UInt64 = 0

    /// Idle time after which a connection is not used any more: the server, or something on the way, might be about to end it.
    private static let maximumIdle = TimeAmount.seconds(30)

    private init(_ channel: any Channel, _ tls: TLSGuard?, _ pool: ConnectionPool, tlsHint: String) {
        self.channel = channel
        self.tls = tls
        self.pool = pool
        loss = ConnectionLoss(tlsHint: tlsHint)
    }

    /// Makes a connection of a channel.
    static func start(_ channel: any Channel, _ tls: TLSGuard?, _ pool: ConnectionPool, tlsHint: String) throws -> HTTP1Connection {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = HTTPLimits.head
        limits.maxHeaderListSize = HTTPLimits.head
        let connection = HTTP1Connection(channel, tls, pool, tlsHint: tlsHint)
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(HTTPRequestEncoder())
        try pipeline.addHandler(ByteToMessageHandler(HTTPResponseDecoder(limitConfiguration: limits)))
        try pipeline.addHandler(connection)
        return connection
    }

    // MARK: HTTPConnection

    var hasRoom: Bool { isUsable && current == nil && !isStale }
    var isStale: Bool { current == nil && NIODeadline.now() - idleSince > Self.maximumIdle }

    func send(_ exchange: Exchange) {
        exchange.begin(on: self)
        current = exchange
        isWritten = false
        channel.write(HTTPClientRequestPart.head(exchange.request.head), promise: nil)
        if let body = exchange.request.body { channel.write(HTTPClientRequestPart.body(.byteBuffer(body)), promise: nil) }
        channel.writeAndFlush(HTTPClientRequestPart.end(nil)).assumeIsolated().whenSuccess { self.isWritten = true }
    }

    func abandon(_ exchange: Exchange) {
        guard current === exchange else { return }
        current = nil
        close()
    }

    func readMore(_ exchange: Exchange) {
        guard current === exchange else { return }
        try? channel.syncOptions?.setOption(.autoRead, value: true)
    }

    func retire() {
        isUsable = false
        if current == nil { close() }
    }

    private func close() {
        isUsable = false
        pool?.ended(self)
        channel.close(promise: nil)
    }

    // MARK: The channel

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        reads += 1
        guard let exchange = current else { return close() }
        switch unwrapInboundIn(data) {
        case .head(let head):
            // The client asks for no other protocol.
            guard head.status.code >= 200 else { return fail(.brokenAnswer, HTTPLimits.notHTTP) }
            keepsAlive = head.isKeepAlive
            exchange.receive(status: Int(head.status.code), head.headers.map { HTTPRequest.Field($0.name, $0.value) })
        case .body(let bytes):
            exchange.receive(bytes)
            if !exchange.isOver, !exchange.wantsMore { try? channel.syncOptions?.setOption(.autoRead, value: false) }
        case .end:
            isProven = true
            current = nil
            idleSince = .now()
            if keepsAlive, isWritten, isUsable { pool?.hasRoom(self) } else { close() }
            exchange.end(nil)
        }
        if exchange.isOver, current === exchange { abandon(exchange) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        loss.note(error, tls)
        end()
    }

    func channelInactive(context: ChannelHandlerContext) { end() }

    /// Ends the connection and its exchange. TLS waits for the other side to end, too; the exchange does not.
    private func end() {
        close()
        guard let exchange = current else { return }
        current = nil
        exchange.fail(loss.meaning(isProven: isProven, tls))
    }

    private func fail(_ kind: HTTPFailure.Kind, _ reason: String) {
        let exchange = current
        current = nil
        close()
        exchange?.fail(kind, reason)
    }
}
