import Glibc
import NIOCore

/// Serves at most so many connections at a time. If all are in use, a new one takes the place of one that can be cut; otherwise it waits in the kernel.
final class ConnectionLimit: ChannelInboundHandler, ChannelOutboundHandler {
    typealias InboundIn = any Channel
    typealias OutboundIn = Never

    /// The event of the listening channel that tells that a connection might have become one that can be cut.
    struct Answered {}

    private let limits: Limits
    /// The connections, oldest first.
    private var open: [any Channel] = []
    private var isWaiting = false

    init(_ limits: Limits) { self.limits = limits }

    func read(context: ChannelHandlerContext) {
        if hasRoom { context.read() } else { isWaiting = true }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let channel = unwrapInboundIn(data)
        // If none can be cut any more, there is one connection too many until the next one ends: no other is accepted before.
        if open.count >= limits.connections { next?.close(promise: nil) }
        open.append(channel)
        // One thread serves the socket and all its connections.
        let context = NIOLoopBound(context, eventLoop: context.eventLoop)
        let limit = NIOLoopBound(self, eventLoop: context.value.eventLoop)
        let id = ObjectIdentifier(channel)
        channel.closeFuture.whenComplete { _ in
            limit.value.open.removeAll { ObjectIdentifier($0) == id }
            limit.value.resume(context.value)
        }
        context.value.fireChannelRead(data)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is Answered { return resume(context) }
        context.fireUserInboundEventTriggered(event)
    }

    /// Pauses if there are no descriptors or no memory for another connection: the kernel would report the same connection again and again.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let passing: Set<CInt> = [EMFILE, ENFILE, ENOBUFS, ENOMEM]
        guard let failure = error as? IOError, passing.contains(failure.errnoCode) else { return context.fireErrorCaught(error) }
        let options = context.channel.syncOptions
        try? options?.setOption(.autoRead, value: false)
        context.eventLoop.assumeIsolated().scheduleTask(in: limits.pause) { try? options?.setOption(.autoRead, value: true) }
    }

    private func resume(_ context: ChannelHandlerContext) {
        guard isWaiting, hasRoom else { return }
        isWaiting = false
        context.read()
    }

    private var hasRoom: Bool { open.count < limits.connections || (open.count == limits.connections && next != nil) }

    /// The connection to cut for a new one: the oldest that has not sent its request, or else the oldest whose answer was written; nil if there is none.
    private var next: (any Channel)? {
        var answered: (any Channel)?
        for channel in open {
            guard let conversation = try? channel.pipeline.syncOperations.handler(type: Conversation.self) else { continue }
            if !conversation.isAnswered { return channel }
            if conversation.isWritten { answered = answered ?? channel }
        }
        return answered
    }
}
