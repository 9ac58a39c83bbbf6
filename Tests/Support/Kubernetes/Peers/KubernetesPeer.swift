import Foundation
import Glibc
import QQCore
import Synchronization

/// A running stand-in for a program of the field that takes part in an election on a Lease.
public final class KubernetesPeer: Sendable {
    public enum Kind: Sendable {
        case clientGo(ClientGoElector.Settings)
        case consensus(ConsensusNode.Settings)

        func machine() -> any PeerMachine {
            switch self {
            case .clientGo(let settings): ClientGoElector(settings)
            case .consensus(let settings): ConsensusNode(settings)
            }
        }

        var isClientGo: Bool { if case .clientGo = self { true } else { false } }

        public var identity: String {
            switch self {
            case .clientGo(let settings): settings.identity
            case .consensus(let settings): settings.identity
            }
        }
    }

    /// A period in which the program believed that it leads, on the clock of the stamps.
    public struct Belief: Sendable, Hashable {
        public var from: UInt64
        /// nil while it lasts.
        public var to: UInt64?
    }

    private struct State {
        var beliefs: [Belief] = []
        var isPaused = false
        var isCancelled = false
        /// Whether the program is ended as on SIGTERM, and started again.
        var isReplaced = false
        var isKilled = false
        var hasEnded = false

        mutating func note(leads: Bool) {
            let led = beliefs.last.map { $0.to == nil } ?? false
            if leads, !led { beliefs.append(Belief(from: bootNow(), to: nil)) }
            if !leads, led { beliefs[beliefs.count - 1].to = bootNow() }
        }
    }

    private enum Event {
        case answered(PeerOutcome)
        case woke
        case cancelled
        case killed
    }

    public let kind: Kind
    private let restarts: Bool
    private let state = Mutex(State())

    /// - Parameter restarts: whether a program that has lost its lease is started again, as Kubernetes does with its pod.
    public static func start(
        _ kind: Kind, at server: PeerServer, restarts: Bool = false, in sandbox: Sandbox
    ) throws -> KubernetesPeer {
        let peer = KubernetesPeer(kind, restarts: restarts)
        let context = try server.context()
        Thread.detachNewThread {
            peer.run(PeerClient(server, context, repeats: kind.isClientGo))
            peer.state.withLock {
                $0.note(leads: false)
                $0.hasEnded = true
            }
        }
        sandbox.atClose { peer.kill() }
        return peer
    }

    private init(_ kind: Kind, restarts: Bool) {
        self.kind = kind
        self.restarts = restarts
    }

    public var identity: String { kind.identity }
    public var beliefs: [Belief] { state.withLock { $0.beliefs } }
    public var isLeader: Bool { state.withLock { $0.beliefs.last.map { $0.to == nil } ?? false } }
    public var hasEnded: Bool { state.withLock { $0.hasEnded } }

    // MARK: Control

    /// Pauses the program as SIGSTOP would. It believes what it believed before.
    public func pause() { state.withLock { $0.isPaused = true } }
    public func resume() { state.withLock { $0.isPaused = false } }

    /// Ends the election as the program does on SIGTERM. Returns when that is done, a release included.
    public func cancel() { end { $0.isCancelled = true } }

    /// Ends the election as the program does on SIGTERM, and starts the program again, as Kubernetes does with a new version. Does not wait.
    public func replace() { state.withLock { $0.isReplaced = true } }

    /// Ends the program as SIGKILL would.
    public func kill() { end { $0.isKilled = true } }

    private func end(_ change: (inout State) -> Void) {
        state.withLock { state in
            change(&state)
            state.isPaused = false
        }
        while !hasEnded { usleep(500) }
    }

    // MARK: The program

    private func run(_ client: PeerClient) {
        defer { client.close() }
        var machine = kind.machine()
        var step = machine.start(at: .now())
        var wasCancelled = false
        while true {
            state.withLock { $0.note(leads: machine.leads) }
            let event: Event
            switch step {
            case .ended:
                let isReplaced = state.withLock { state in
                    defer { state.isReplaced = false }
                    return state.isReplaced
                }
                guard restarts || isReplaced, !state.withLock({ $0.isCancelled || $0.isKilled }) else { return }
                wasCancelled = false
                machine = kind.machine()
                step = machine.start(at: .now())
                continue
            case .sleep(let end): event = sleep(until: end, wasCancelled)
            case .call(let call):
                let outcome = client.perform(call) { interruption(wasCancelled) != nil }
                event = interruption(wasCancelled) ?? .answered(outcome)
            }
            switch event {
            case .killed: return
            case .cancelled:
                wasCancelled = true
                step = machine.cancelled(at: .now())
            case .woke: step = machine.woke(at: .now())
            case .answered(let outcome): step = machine.answered(outcome, at: .now())
            }
        }
    }

    /// A reason to interrupt a call or a sleep. Does not return while the program is paused.
    private func interruption(_ wasCancelled: Bool) -> Event? {
        while true {
            let (isPaused, event): (Bool, Event?) = state.withLock {
                ($0.isPaused, $0.isKilled ? .killed : ($0.isCancelled || $0.isReplaced) && !wasCancelled ? .cancelled : nil)
            }
            if !isPaused { return event }
            usleep(500)
        }
    }

    private func sleep(until end: BootInstant, _ wasCancelled: Bool) -> Event {
        while true {
            if let event = interruption(wasCancelled) { return event }
            if SystemClock().now() >= end { return .woke }
            usleep(1000)
        }
    }
}
