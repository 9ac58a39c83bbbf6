import QQCore
import Synchronization

/// The store behind the Quorum Quest server: its leases, its failures, and a real clock.
final class QuorumQuestStore: Sendable {
    typealias Command = QuorumQuestTable.Command

    struct Lease: Sendable {
        var holder: String
        var end: ContinuousClock.Instant
    }

    fileprivate struct Waiting {
        var ticket: Int
        var command: Command
        var key: String
        var id: String
    }

    fileprivate struct State {
        var condition = QuorumQuestServer.Store.alive
        var table = QuorumQuestTable()
        /// Zero of the table's times.
        let start = ContinuousClock.now
        /// Requests that a hung store has received and not carried out, in order.
        var waiting: [Waiting] = []
        /// Outcomes of requests that waited, by ticket.
        var outcomes: [Int: Bool] = [:]
        var tickets = 0
    }

    private let state = Mutex(State())

    static func key(_ service: String, _ domain: String) -> String { QuorumQuestTable.key(service, domain) }

    /// - Returns: whether the command succeeded; false also if the store failed, which the server cannot tell apart.
    func perform(_ command: Command, _ key: String, _ id: String) async -> Bool {
        enum Way {
            case done(Bool)
            case failing(Duration)
            case waiting(ticket: Int, Duration)
        }
        let way = state.withLock { state -> Way in
            switch state.condition {
            case .alive: return .done(state.perform(command, key, id))
            case .dead(let after): return .failing(after)
            case .hung(let acquire, let others):
                state.tickets += 1
                state.waiting.append(Waiting(ticket: state.tickets, command: command, key: key, id: id))
                return .waiting(ticket: state.tickets, command.isAcquire ? acquire : others)
            }
        }
        switch way {
        case .done(let isDone): return isDone
        case .failing(let after):
            try? await Task.sleep(for: after)
            return false
        case .waiting(let ticket, let limit):
            let end = ContinuousClock.now + limit
            while ContinuousClock.now < end, !Task.isCancelled {
                if let outcome = state.withLock({ $0.outcomes.removeValue(forKey: ticket) }) { return outcome }
                try? await Task.sleep(for: .milliseconds(5))
            }
            return false
        }
    }

    /// Sets the condition of the store. When a hung store recovers, it carries out the requests that waited, whether or not a caller still waits for the
    /// answer.
    func set(_ condition: QuorumQuestServer.Store) {
        state.withLock { state in
            state.condition = condition
            guard case .alive = condition else { return }
            for waiting in state.waiting { state.outcomes[waiting.ticket] = state.perform(waiting.command, waiting.key, waiting.id) }
            state.waiting = []
        }
    }

    func lease(_ key: String) -> Lease? {
        state.withLock { state in
            state.table.lease(key, at: state.now).map { Lease(holder: $0.holder, end: state.start + .nanoseconds($0.end)) }
        }
    }

    /// Writes a lease, bypassing the server.
    func write(_ key: String, _ lease: Lease?) {
        state.withLock { state in
            state.table.write(key, lease.map { .init(holder: $0.holder, end: ($0.end - state.start).nanoseconds) })
        }
    }
}

extension QuorumQuestTable.Command {
    fileprivate var isAcquire: Bool { if case .acquire = self { true } else { false } }
}

extension QuorumQuestStore.State {
    fileprivate var now: Int64 { (ContinuousClock.now - start).nanoseconds }

    fileprivate mutating func perform(_ command: QuorumQuestStore.Command, _ key: String, _ id: String) -> Bool {
        table.perform(command, key, id, at: now)
    }
}
