import Glibc
import NIOCore
import NIOPosix

/// The thread that serves all connections of the process, but those to NATS. It starts when it is first used.
public enum NetworkThread {
    /// All signals are blocked in the thread, because a signal that no other thread has blocked yet would end the process there.
    public static let eventLoop: any EventLoop = {
        var (all, before) = (sigset_t(), sigset_t())
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        return MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
    }()

    /// Runs tasks on that thread. A call takes many steps between tasks and connection, and handing each step from thread to thread takes longer than
    /// the steps themselves.
    public static let executor = EventLoopExecutor(eventLoop)

    /// Runs `body` on the thread: at once if this is that thread.
    public static func run(_ body: @escaping @Sendable () -> Void) {
        if eventLoop.inEventLoop { body() } else { eventLoop.execute(body) }
    }
}
