import Foundation
import Glibc
import QQCore
import Synchronization

/// A stand-in for a node of the Go library, in either format. It behaves as in the recordings, weaknesses included.
///
/// - A v2 leader whose heartbeat fails continues to believe that it leads, until it reads another node's lease.
/// - Stopping deletes nothing, and followers notice an expiry only at a tick.
/// - Epochs are kept in the lease and in a node's memory: a new node starts at 1 again.
/// - Bad JSON in the lease key blocks the election as long as it remains.
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

    /// A period in which the node believed that it was the leader.
    public struct Belief: Sendable, Hashable {
        /// Start in nanoseconds on CLOCK_BOOTTIME, as in stamps.
        public var from: UInt64
        /// End of the period; nil while it lasts.
        public var to: UInt64?
        public var epoch: Int64
        /// Time at which the node asked the server to delete its lease in order to step down. Another node can lead from then on, while this node believes that
        /// it leads until the answer arrives.
        public var gaveUp: UInt64?
    }

    struct State: Sendable {
        var beliefs: [Belief] = []
        /// Times at which the server acknowledged this node's lease, in nanoseconds on CLOCK_BOOTTIME.
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

    /// Starts a node and waits until it takes part in the election.
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
            return node.state.withLock { $0.isStarted }
        }
        return node
    }

    private init(_ settings: Settings) { self.settings = settings }

    // MARK: The node's beliefs

    public var beliefs: [Belief] { state.withLock { $0.beliefs } }
    public var isLeader: Bool { state.withLock { $0.beliefs.last.map { $0.to == nil } ?? false } }
    /// The leader as far as the node knows; empty for none.
    public var leader: String { state.withLock { $0.leader } }
    public var epoch: Int64 { state.withLock { $0.epoch } }
    public var renewals: [UInt64] { state.withLock { $0.renewals } }
    public var problem: String? { state.withLock { $0.problem } }

    // MARK: Control

    /// Ends the node as SIGTERM would: it unsubscribes, and leaves its lease behind.
    public func stop() { end { $0.isStopping = true } }

    /// Ends the node as SIGKILL would: only its connection ends.
    public func kill() { end { $0.isKilled = true } }

    private func end(_ change: (inout State) -> Void) {
        state.withLock { state in
            change(&state)
            state.isPaused = false
        }
        while !state.withLock({ $0.hasEnded }) { usleep(500) }
    }

    /// Pauses the node as SIGSTOP would.
    public func pause() { state.withLock { $0.isPaused = true } }
    public func resume() { state.withLock { $0.isPaused = false } }

    /// Makes the node step down, as its own program can. The node checks only then whether it leads.
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
