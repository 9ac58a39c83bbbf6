import Glibc
import NIOCore

/// Serves a limited number of connections at a time. The last place is kept free by cutting a connection that waits for its client. If there is no such
/// connection, new ones wait in the kernel.
final class ConnectionLimit: ChannelInboundHandler, ChannelOutboundHandler {
    typealias InboundIn = any Channel
    typealias OutboundIn = Never

    /// The event of the listening channel that a connection has got its answer.
    struct Answered {}

    private let limits: Limits
    /// The connections, oldest first.
    private var open: [any Channel] = []
    private var isWaiting = false

    init(_ limits: Limits) { self.limits = limits }

    func read(context: ChannelHandlerContext) {
        if open.count < limits.connections { context.read() } else { isWaiting = true }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let channel = unwrapInboundIn(data)
        if open.count + 1 >= limits.connections { (oldest { !$0.isAnswered } ?? oldest { $0.isWritten })?.close(promise: nil) }
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
        if event is Answered {
            if isWaiting { oldest { $0.isWritten }?.close(promise: nil) }
            return
        }
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
        guard isWaiting, open.count < limits.connections else { return }
        isWaiting = false
        context.read()
    }

    private func oldest(_ isMeant: (Conversation) -> Bool) -> (any Channel)? {
        open.first { channel in
            guard let conversation = try? channel.pipeline.syncOperations.handler(type: Conversation.self) else { return false }
            return isMeant(conversation)
        }
    }
}
