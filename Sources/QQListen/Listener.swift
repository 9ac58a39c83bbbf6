import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import QQCore

/// Answers HTTP requests about the elections of a board, on a thread that does nothing else: requests take no time from the loop that renews leases.
public final class Listener: Sendable {
    /// The address, with the port that was chosen if any port was asked for.
    public let address: ListenAddress
    private let file: SocketFile?
    private let channel: EventLoopFuture<any Channel>

    /// Begins to listen and to answer.
    /// - Parameters:
    ///   - now: the present moment on the lease clock; called on the listener's thread.
    ///   - metrics: the body of `/metrics`; called on the listener's thread.
    ///   - failed: called if the socket stops accepting connections before `stop`.
    /// - Throws: `.denied`, `.configuration` or `.unavailable` if the address cannot be used.
    public convenience init(
        _ address: ListenAddress, board: Board, now: @escaping @Sendable () -> BootInstant, metrics: @escaping @Sendable () -> String,
        failed: @escaping @Sendable (String) -> Void
    ) throws(CoordinationError) {
        try self.init(address, limits: Limits(), failed: failed) { request in
            Routes(snapshot: board.snapshot(), now: now()).answer(to: request, metrics: metrics)
        }
    }

    init(
        _ address: ListenAddress, limits: Limits, failed: @escaping @Sendable (String) -> Void,
        answer: @escaping @Sendable (Request) -> Answer
    ) throws(CoordinationError) {
        let socket = try ListenSocket.open(address)
        self.address = socket.address
        file = socket.file
        channel = ServerBootstrap(group: Self.thread)
            .serverChannelOption(.backlog, value: Limits.backlog)
            // One at a time, so that the limit on connections is exact.
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ConnectionLimit(limits.connections))
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try Conversation.start(on: channel, limits, answer) }
            }
            .withBoundSocket(socket.descriptor)
        channel.whenFailure { failed("\($0)") }
    }

    /// Accepts no more connections, and removes the file of a Unix socket. Open connections end by their time limits.
    public func stop() {
        file?.remove()
        channel.whenSuccess { $0.close(promise: nil) }
    }

    /// The thread of all listeners of the process; it starts with the first one. All signals are blocked there: one that no other thread has blocked yet would
    /// end the process.
    private static let thread: MultiThreadedEventLoopGroup = {
        var (all, before) = (sigset_t(), sigset_t())
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        return MultiThreadedEventLoopGroup(numberOfThreads: 1)
    }()
}

/// Stops accepting while as many connections are open as are allowed. Others then wait in the kernel.
final class ConnectionLimit: ChannelInboundHandler, ChannelOutboundHandler {
    typealias InboundIn = any Channel
    typealias OutboundIn = Never

    private let most: Int
    private var open = 0
    private var isWaiting = false

    init(_ most: Int) { self.most = most }

    func read(context: ChannelHandlerContext) {
        if open < most { context.read() } else { isWaiting = true }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        open += 1
        // One thread serves the socket and all its connections.
        let context = NIOLoopBound(context, eventLoop: context.eventLoop)
        let limit = NIOLoopBound(self, eventLoop: context.value.eventLoop)
        unwrapInboundIn(data).closeFuture.whenComplete { _ in limit.value.ended(context.value) }
        context.value.fireChannelRead(data)
    }

    private func ended(_ context: ChannelHandlerContext) {
        open -= 1
        guard isWaiting, open < most else { return }
        isWaiting = false
        context.read()
    }
}
