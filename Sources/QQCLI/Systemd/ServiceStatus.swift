import QQCore

/// The elections of one process, as the status line of a service shows them. Pure.
struct ServiceStatus {
    private enum Standing: Equatable {
        /// No request has been answered yet.
        case asking
        case waiting(holder: String)
        case outage(CoordinationError, since: WallTime)
        case leading(title: String, since: WallTime)
        /// The term has ended, as the text says.
        case ended(String)
    }

    private struct Election: Equatable {
        let name: String
        var standing = Standing.asking
        /// The failure of the last request, if it is retried.
        var problem: CoordinationError?
    }

    private var elections: [Election]
    private var indices: [String: Int] = [:]

    /// - Parameter names: the elections, each once.
    init(_ names: [String]) {
        elections = names.map { Election(name: $0) }
        for (index, name) in names.enumerated() { indices[name] = index }
    }

    /// Whether each election has been answered once, or its waiter rides out an outage.
    private(set) var areAllAnswered = false
    /// Whether any election has been led.
    private(set) var hasLed = false

    /// Takes an event of the lease session of an election.
    /// - Parameters:
    ///   - identity: the contender.
    ///   - title: the election that a grant is for, with its slot.
    /// - Returns: whether the election has changed. A renewal that follows another one changes nothing.
    mutating func take(
        _ event: SessionEvent, of name: String, as identity: String, title: String, at time: WallTime
    ) -> Bool {
        guard let index = indices[name] else { return false }
        var election = elections[index]
        switch event {
        case .waiting(let state):
            election.standing = .waiting(holder: Self.holder(state, for: identity))
            election.problem = nil
        case .outage(let error, let isNew):
            if case .outage(_, let since) = election.standing, !isNew {
                election.standing = .outage(error, since: since)
            } else {
                election.standing = .outage(error, since: time)
            }
        case .outageOver: election.standing = .asking
        case .elected(let grant):
            // A resumed term began earlier.
            election.standing = .leading(title: title, since: min(grant.acquiredAt, time))
            election.problem = nil
            hasLed = true
        case .extended: election.problem = nil
        case .retrying(let error, _): election.problem = error
        case .lost(_, let reason):
            election.standing = .ended("lost \(name) at \(ClockTime.dated(time)): \(reason)")
            election.problem = nil
        case .released:
            election.standing = .ended("released \(name) at \(ClockTime.dated(time))")
            election.problem = nil
        case .releaseFailed(_, let error):
            election.standing = .ended("\(error); the lease of \(name) remains until it expires")
            election.problem = nil
        case .stepDownAsked, .notWithdrawn: break
        }
        guard election != elections[index] else { return false }
        elections[index] = election
        areAllAnswered = areAllAnswered || elections.allSatisfy { if case .asking = $0.standing { false } else { true } }
        return true
    }

    // MARK: Texts

    /// The status of one election in words, of several as numbers.
    /// - Parameter server: the server that is asked.
    func text(at server: ServerURL) -> String {
        if elections.count == 1 { return Self.text(elections[0], at: server) }
        var (leading, waiting, outages, asking) = (0, 0, 0, 0)
        for election in elections {
            switch election.standing {
            case .leading: leading += 1
            case .waiting: waiting += 1
            case .outage: outages += 1
            case .asking, .ended: asking += 1
            }
        }
        let others = [(waiting, "waiting for"), (outages, "riding out an outage for"), (asking, "asking for")]
        return (["leading \(leading) of \(elections.count) elections"] + others.filter { $0.0 > 0 }.map { "\($0.1) \($0.0)" })
            .joined(separator: ", ")
    }

    /// The status while all leases are released.
    var textAtEnd: String {
        let led = elections.filter { if case .leading = $0.standing { true } else { false } }
        if led.count == 1 { return "releasing \(led[0].name)" }
        if led.count > 1 { return "releasing \(led.count) elections" }
        if elections.count == 1, case .ended(let text) = elections[0].standing { return text }
        return "stopping"
    }

    private static func text(_ election: Election, at server: ServerURL) -> String {
        let name = election.name
        switch election.standing {
        case .asking: return WaitingText.asking(server, for: name) + (election.problem.map { "; trying again: \($0)" } ?? "")
        case .waiting(let holder): return "waiting for \(name), \(holder)"
        case .outage(let error, let since): return "waiting for \(name), outage since \(ClockTime.dated(since)): \(error)"
        case .leading(let title, let since):
            return "leading \(title) since \(ClockTime.dated(since))" + (election.problem.map { "; cannot renew: \($0)" } ?? "")
        case .ended(let text): return text
        }
    }

    /// `held by web1/42/9f since 2026-07-18 12:31:05 CEST`
    private static func holder(_ state: ElectionState, for identity: String) -> String {
        let obstacle = state.obstacle.map { "; \($0)" } ?? ""
        if state.slots.isEmpty, state.phase == .held, let leader = state.leader {
            return "held by \(leader)" + (state.acquiredAt.map { " since \(ClockTime.dated($0))" } ?? "") + obstacle
        }
        // The rest of the lease is soon wrong: the status is not sent again as it shrinks.
        var lasting = state
        lasting.remaining = nil
        return Rendering.sentence(lasting, for: identity) + obstacle
    }
}
