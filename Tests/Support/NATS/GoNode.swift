import Foundation
import Glibc
import QQCore
import Synchronization

/// A stand-in for a node of the Go library, in either of its formats: it does what the recordings show, weaknesses included.
///
/// - A v2 leader whose heartbeat fails goes on believing that it leads, until it sees another's lease.
/// - Stopping deletes nothing; followers come to know of an expiry at a tick only.
/// - Epochs live in the lease and in what a node remembers: a fresh node begins at 1 again.
/// - Bad JSON in the lease key stops the electing for as long as it is there.
public final class GoNode: Sendable {
    public enum Format: String, Sendable, CaseIterable { case v1, v2 }

    public struct Settings: Sendable {
        public var format: Format
        public var cluster: String
        public var node: String
        /// The server's port, or a proxy's.
        public var port: UInt16
        public var ttl = Duration.seconds(3)
        /// v1's renew interval, v2's heartbeat interval.
        public var interval = Duration.seconds(1)
        public var version = "1.0.0"
        public var reconnectWait = Duration.seconds(2)

        public init(_ format: Format, cluster: String = "demo", node: String, port: UInt16) {
            self.format = format
            self.cluster = cluster
            self.node = node
            self.port = port
        }
    }

    /// A time in which the node believed that it leads.
    public struct Belief: Sendable, Hashable {
        /// Nanoseconds on CLOCK_BOOTTIME, as stamps have them.
        public var from: UInt64
        /// nil while it lasts.
        public var to: UInt64?
        public var epoch: Int64
        /// When it asked the server to delete its lease, as it steps down. From then on somebody else may lead, and it believes until the answer is there.
        public var gaveUp: UInt64?
    }

    struct State: Sendable {
        var beliefs: [Belief] = []
        /// When the server acknowledged a lease of ours, CLOCK_BOOTTIME.
        var renewals: [UInt64] = []
        var leader = ""
        var epoch: Int64 = 0
        var isStarted = false
        var isPaused = false
        var isKilled = false
        var isStopping = false
        var hasEnded = false
        var wantsStepDown = false
        var problem: String?
    }

    public let settings: Settings
    let state = Mutex(State())

    /// Starts a node, and waits until it takes part.
    public static func start(_ settings: Settings, in sandbox: Sandbox) async throws -> GoNode {
        let node = GoNode(settings)
        sandbox.atClose { node.kill() }
        Thread.detachNewThread {
            do {
                switch settings.format {
                case .v1: try GoNodeV1(node).run()
                case .v2: try GoNodeV2(node).run()
                }
            } catch { node.state.withLock { $0.problem = "\(error)" } }
            node.state.withLock {
                $0.endBelief()
                $0.hasEnded = true
            }
        }
        try await waitUntil("\(settings.node) has started") {
            if let problem = node.problem { throw CannotStart("\(settings.node): \(problem)") }
            return node.state.withLock(\.isStarted)
        }
        return node
    }

    private init(_ settings: Settings) { self.settings = settings }

    // MARK: What it believes

    public var beliefs: [Belief] { state.withLock(\.beliefs) }
    public var isLeader: Bool { state.withLock { $0.beliefs.last.map { $0.to == nil } ?? false } }
    /// Whom it takes for the leader; empty for nobody.
    public var leader: String { state.withLock(\.leader) }
    public var epoch: Int64 { state.withLock(\.epoch) }
    public var renewals: [UInt64] { state.withLock(\.renewals) }
    public var problem: String? { state.withLock(\.problem) }

    // MARK: What is done to it

    /// As with SIGTERM: it unsubscribes and goes, and leaves its lease behind.
    public func stop() { end { $0.isStopping = true } }

    /// As with SIGKILL: the connection ends, nothing else happens.
    public func kill() { end { $0.isKilled = true } }

    private func end(_ change: (inout State) -> Void) {
        state.withLock { state in
            change(&state)
            state.isPaused = false
        }
        while !state.withLock(\.hasEnded) { usleep(500) }
    }

    /// As with SIGSTOP.
    public func pause() { state.withLock { $0.isPaused = true } }
    public func resume() { state.withLock { $0.isPaused = false } }

    /// Has the node itself step down, as its own program may; whether it leads is asked then.
    public func stepDown() { state.withLock { $0.wantsStepDown = true } }
}

extension GoNode.State {
    mutating func beginBelief(epoch: Int64) {
        if beliefs.last.map({ $0.to == nil }) ?? false { return }
        beliefs.append(GoNode.Belief(from: bootNow(), to: nil, epoch: epoch))
    }

    mutating func giveUp() {
        guard let last = beliefs.indices.last, beliefs[last].to == nil else { return }
        beliefs[last].gaveUp = bootNow()
    }

    mutating func endBelief() {
        guard let last = beliefs.indices.last, beliefs[last].to == nil else { return }
        beliefs[last].to = bootNow()
    }
}
