import Foundation
import Glibc
import Synchronization

/// A TCP proxy on 127.0.0.1 between a client and a server, whose line can be made as bad as lines are, while connections live.
public final class Proxy: Sendable {
    public enum Direction: Sendable, Hashable, CaseIterable {
        case toServer, toClient
    }

    /// How the line is.
    public struct Line: Sendable {
        public enum Arrivals: Sendable {
            case served
            /// Nobody listens.
            case refused
            /// Taken, and reset at once.
            case reset
        }

        /// What new connections meet.
        public var arrivals = Arrivals.served
        /// Directions in which nothing comes through, the end of a stream neither; it is kept, and comes when the line is good again, as with a cut
        /// cable. New connections are taken, and meet the same silence.
        public var silent: Set<Direction> = []
        /// Directions in which whatever comes is thrown away.
        public var lossy: Set<Direction> = []
        /// How much later everything arrives.
        public var delay = Duration.zero
        public var bytesPerSecond: Int?
        /// A connection is reset when so many bytes of it have come through in this direction.
        public var cutAfter: [Direction: Int] = [:]
        /// Bytes that a new connection's stream begins with, before what is really sent.
        public var prefix: [Direction: [UInt8]] = [:]

        public init() {}
    }

    enum Command: Sendable {
        case cut(reset: Bool)
        case inject([UInt8], Direction)
    }

    struct State: Sendable {
        var line = Line()
        var upstream: UInt16
        var commands: [Command] = []
        var accepted = 0
        var live = 0
        var passed: [Direction: Int] = [:]
        var isClosed = false
        var hasEnded = false
        /// Changes are numbered; so many have been made, and so many are in force.
        var made = 0
        var inForce = 0
        /// The thread that does it all.
        var thread: pthread_t = 0
    }

    /// Where clients connect to.
    public let port: UInt16
    private let state: Mutex<State>
    private let bell = Pipe()

    /// - Parameters:
    ///   - upstream: the server's port on 127.0.0.1.
    ///   - tap: is shown what came through, connections numbered from 1. It may change the line: nothing that comes later comes through the old one.
    public init(to upstream: UInt16, in sandbox: Sandbox, tap: (@Sendable (Int, Direction, [UInt8]) -> Void)? = nil) throws {
        // Bound by number, the port stays ours while nobody listens at it.
        let probe = try Socket.bind()
        port = Socket.port(of: probe)
        let listener: CInt
        do {
            defer { Glibc.close(probe) }
            listener = try Socket.bind(port)
        }
        listen(listener, 128)
        Socket.makeNonBlocking(listener)
        Socket.makeNonBlocking(bell.reading)
        state = Mutex(State(upstream: upstream))
        Thread.detachNewThread { [self] in
            state.withLock { $0.thread = pthread_self() }
            var loop = ProxyLoop(listener: listener, bell: bell.reading, tap: tap)
            while loop.turn({ change in state.withLock { change(&$0) } }) {}
            state.withLock { $0.hasEnded = true }
        }
        sandbox.atClose { self.close() }
    }

    /// Cuts everything, and stops listening for good.
    public func close() {
        change { $0.isClosed = true }
        while !state.withLock(\.hasEnded) { usleep(200) }
    }

    /// Returns when the change is in force.
    private func change(_ change: (inout State) -> Void) {
        let (number, thread) = state.withLock { state in
            change(&state)
            state.made += 1
            return (state.made, state.thread)
        }
        // From the tap: the loop looks at the line before it passes anything else on, and at the rest in its next turn.
        if pthread_equal(thread, pthread_self()) != 0 { return }
        var byte: UInt8 = 0
        write(bell.writing, &byte, 1)
        while state.withLock({ $0.inForce < number && !$0.hasEnded }) { usleep(50) }
    }

    // MARK: The switches

    /// How the line is. A change, as all those below, is in force when it returns, also for connections that live.
    public var line: Line {
        get { state.withLock(\.line) }
        set { change { $0.line = newValue } }
    }

    /// The server's port; for new connections.
    public var upstream: UInt16 {
        get { state.withLock(\.upstream) }
        set { change { $0.upstream = newValue } }
    }

    /// Makes the line good again.
    public func pass() { line = Line() }

    /// New connections are refused. Those that live stay; see ``cut(reset:)``.
    public func refuse() { line.arrivals = .refused }

    /// Nothing comes through any more, in one direction or in both, and nobody is told.
    public func silence(_ directions: Set<Direction> = [.toServer, .toClient]) { line.silent = directions }

    /// Ends every connection of now.
    public func cut(reset: Bool = true) { change { $0.commands.append(.cut(reset: reset)) } }

    /// The server is gone: nobody listens, and every connection is reset.
    public func kill() {
        refuse()
        cut()
    }

    /// Sends bytes of the test's own into every connection of now.
    public func inject(_ bytes: [UInt8], _ direction: Direction = .toClient) { change { $0.commands.append(.inject(bytes, direction)) } }

    // MARK: The counts

    /// How many connections there ever were; those that were refused or reset on arrival are not among them.
    public var accepted: Int { state.withLock(\.accepted) }
    /// How many there are.
    public var live: Int { state.withLock(\.live) }
    /// How many bytes came through; counted just after they did.
    public func passed(_ direction: Direction) -> Int { state.withLock { $0.passed[direction] ?? 0 } }
}
