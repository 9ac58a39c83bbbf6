import NIOCore

/// Carries the words of a handshake with a proxy over a channel, and leaves the channel when the proxy has connected.
final class ProxyHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var handshake: any ProxyHandshake
    private var promise: EventLoopPromise<Void>?
    private var received = ByteBuffer()

    private init(_ handshake: any ProxyHandshake, _ promise: EventLoopPromise<Void>) {
        self.handshake = handshake
        self.promise = promise
    }

    /// Call this on the event loop. The future fails with a `ProxyRefusal` if the proxy does not connect.
    static func run(_ handshake: any ProxyHandshake, on channel: any Channel) -> EventLoopFuture<Void> {
        let promise = channel.eventLoop.makePromise(of: Void.self)
        let handler = ProxyHandler(handshake, promise)
        do {
            try channel.pipeline.syncOperations.addHandler(handler)
            handler.start(channel)
        } catch { promise.fail(error) }
        return promise.futureResult
    }

    private func start(_ channel: any Channel) { channel.writeAndFlush(ByteBuffer(bytes: handshake.start()), promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard promise != nil else { return context.fireChannelRead(data) }
        var bytes = unwrapInboundIn(data)
        received.writeBuffer(&bytes)
        do throws(ProxyRefusal) {
            while true {
                switch try handshake.receive(&received) {
                case .needsMore: return
                case .send(let bytes): context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
                case .connected: return leave(context)
                }
            }
        } catch {
            fail(error)
            context.close(promise: nil)
        }
    }

    private func leave(_ context: ChannelHandlerContext) {
        // This adds the next handlers.
        promise?.succeed()
        promise = nil
        if received.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(received)) }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(ProxyRefusal(reason: "the proxy ended the connection"))
        context.fireChannelInactive()
    }

    private func fail(_ error: any Error) {
        promise?.fail(error)
        promise = nil
    }
}
