import Foundation
import Glibc
import Synchronization

/// A TCP proxy on 127.0.0.1 between a client and a server. Its network conditions can be made as bad as real ones, even for existing connections.
public final class Proxy: Sendable {
    public enum Direction: Sendable, Hashable, CaseIterable {
        case toServer, toClient
    }

    /// The conditions of the simulated network.
    public struct Conditions: Sendable {
        public enum Arrivals: Sendable {
            case served
            /// Refused, as if nothing listened.
            case refused
            /// Accepted, and reset immediately.
            case reset
        }

        /// How new connections are treated.
        public var arrivals = Arrivals.served
        /// Directions in which nothing is forwarded, not even the end of a stream. As with a cut cable, everything is kept and arrives when the conditions are
        /// good again. New connections are accepted and meet the same silence.
        public var silent: Set<Direction> = []
        /// Names of connections on which both directions are silent; see ``Proxy/init(to:in:tap:name:)``.
        public var silentNames: Set<String> = []
        /// Directions in which all bytes are dropped.
        public var lossy: Set<Direction> = []
        /// Time by which everything is delayed.
        public var delay = Duration.zero
        public var bytesPerSecond: Int?
        /// Number of bytes forwarded in a direction after which a connection is reset.
        public var cutAfter: [Direction: Int] = [:]
        /// Bytes inserted in a direction at the start of each new connection's stream.
        public var prefix: [Direction: [UInt8]] = [:]

        public init() {}
    }

    enum Command: Sendable {
        case cut(reset: Bool)
        case inject([UInt8], Direction)
    }

    struct State: Sendable {
        var conditions = Conditions()
        var upstream: UInt16
        var commands: [Command] = []
        var accepted = 0
        var live = 0
        var passed: [Direction: Int] = [:]
        var isClosed = false
        var hasEnded = false
        /// Number of changes made so far.
        var made = 0
        /// Number of changes that are in force.
        var inForce = 0
        /// The proxy's thread.
        var thread: pthread_t = 0
    }

    /// Port to which clients connect.
    public let port: UInt16
    private let state: Mutex<State>
    private let bell = Pipe()

    /// - Parameters:
    ///   - upstream: the server's port on 127.0.0.1.
    ///   - tap: called with the bytes that were forwarded; connections are numbered from 1. The tap can change `conditions`, which then hold for all later
    ///     bytes.
    ///   - name: names a connection by the first bytes that its client sent; nil while these are too few. Nothing is forwarded to the server before a connection
    ///     has a name.
    public init(
        to upstream: UInt16, in sandbox: Sandbox, tap: (@Sendable (Int, Direction, [UInt8]) -> Void)? = nil,
        name: (@Sendable ([UInt8]) -> String?)? = nil
    ) throws {
        // A port bound by its number stays reserved while nothing listens on it.
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
            var loop = ProxyLoop(listener: listener, bell: bell.reading, tap: tap, namer: name)
            while loop.turn({ change in state.withLock { change(&$0) } }) {}
            state.withLock { $0.hasEnded = true }
        }
        sandbox.atClose { self.close() }
    }

    /// Cuts all connections and stops listening permanently.
    public func close() {
        change { $0.isClosed = true }
        while !state.withLock({ $0.hasEnded }) { usleep(200) }
    }

    /// Makes a change and returns once it is in force.
    private func change(_ change: (inout State) -> Void) {
        let (number, thread) = state.withLock { state in
            change(&state)
            state.made += 1
            return (state.made, state.thread)
        }
        // Called by the tap. The loop reads the conditions before it forwards anything else, and the rest of the state in its next turn.
        if pthread_equal(thread, pthread_self()) != 0 { return }
        var byte: UInt8 = 0
        write(bell.writing, &byte, 1)
        while state.withLock({ $0.inForce < number && !$0.hasEnded }) { usleep(200) }
    }

    // MARK: The switches

    /// The conditions of the network. This change, like all changes below, is in force when it returns, for existing connections too.
    public var conditions: Conditions {
        get { state.withLock { $0.conditions } }
        set { change { $0.conditions = newValue } }
    }

    /// The server's port for new connections.
    public var upstream: UInt16 {
        get { state.withLock { $0.upstream } }
        set { change { $0.upstream = newValue } }
    }

    /// Restores good conditions.
    public func pass() { conditions = Conditions() }

    /// Refuses new connections. Existing ones stay; see ``cut(reset:)``.
    public func refuse() { conditions.arrivals = .refused }

    /// Stops forwarding in one direction or both, without a sign to either side.
    public func silence(_ directions: Set<Direction> = [.toServer, .toClient]) { conditions.silent = directions }

    /// Ends all existing connections.
    public func cut(reset: Bool = true) { change { $0.commands.append(.cut(reset: reset)) } }

    /// Imitates a dead server: refuses new connections and resets existing ones.
    public func kill() {
        refuse()
        cut()
    }

    /// Sends the test's own bytes into all existing connections.
    public func inject(_ bytes: [UInt8], _ direction: Direction = .toClient) { change { $0.commands.append(.inject(bytes, direction)) } }

    // MARK: The counts

    /// Number of connections served so far, without those refused or reset on arrival.
    public var accepted: Int { state.withLock { $0.accepted } }
    /// Number of existing connections.
    public var live: Int { state.withLock { $0.live } }
    /// Number of bytes forwarded; counted just after forwarding.
    public func passed(_ direction: Direction) -> Int { state.withLock { $0.passed[direction] ?? 0 } }
}
