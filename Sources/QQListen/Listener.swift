import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import QQCore
import Synchronization

/// Answers HTTP requests about the elections of a board, on a thread that does nothing else: requests take no time from the loop that renews leases.
public final class Listener: Sendable {
    /// The address, with the port that was chosen if any port was asked for.
    public let address: ListenAddress
    private let file: SocketFile?
    let channel: EventLoopFuture<any Channel>
    private let isStopped = Atomic(false)

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
            let now = ClockReading.now(now)
            return Routes(snapshot: board.snapshot(for: request, at: now), now: now.moment).answer(to: request, metrics: metrics)
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
                    try channel.pipeline.syncOperations.addHandler(ConnectionLimit(limits))
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try Conversation.start(on: channel, limits, answer) }
            }
            .withBoundSocket(socket.descriptor)
        channel.whenFailure { failed("\($0)") }
        channel.whenSuccess { [self] channel in
            channel.closeFuture.whenComplete { [self] _ in
                if !isStopped.load(ordering: .relaxed) { failed("the socket was closed unexpectedly") }
            }
        }
    }

    /// Accepts no more connections, and removes the file of a Unix socket. Open connections end by their time limits.
    public func stop() {
        isStopped.store(true, ordering: .relaxed)
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
