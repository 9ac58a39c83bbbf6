import QQCore
import QQHTTP

// Reading elections. Nothing here changes anything.
extension KubernetesCoordinator {
    public func read(_ name: String) async throws(CoordinationError) -> ElectionState {
        // While this process holds the lease, there must be time to act on the answer.
        let ttl = state.withLock { $0.held[name]?.mark.ttl }
        do throws(APIFailure) { _ = try await readLease(name, within: ttl.map { limit(ttl: $0) } ?? requestTimeout) } catch {
            throw told(error, "cannot read \(Printable.text(name))", .get, name)
        }
        return electionState(name)
    }

    /// The state of an election as this process knows it.
    func electionState(_ name: String) -> ElectionState {
        let (now, wall) = (clock.now(), wall())
        return state.withLock { state in
            guard let history = state.histories[name] else { return ElectionState(name: name, phase: .free) }
            return Self.electionState(name, history, state, at: now, wall: wall)
        }
    }

    static func electionState(
        _ name: String, _ history: LeaseHistory, _ memory: borrowing State, at now: BootInstant, wall: WallTime
    ) -> ElectionState {
        var found = history.state(name, at: now, wall: wall)
        let id = history.object?.mark?.id
        if let held = memory.held[name], held.mark.id == id {
            found.isOwn = true
            if let deadline = held.deadline {
                let left = deadline.duration(since: now)
                found.phase = left > .zero ? .held : .expired
                found.remaining = left > .zero ? left : nil
            }
        } else if found.phase != .free, let own = memory.own[name] {
            found.isOwn = id.map { own.ids.contains($0) && !own.hasLost($0) } ?? false
        }
        return found
    }

    // MARK: Listing

    private static let page = 500
    /// Bounds the memory that a namespace's list can take.
    private static let mostLeases = 200_000
    /// Bounds the time, too: leases that the filter does not admit count for nothing, and a broken server's list can be endless.
    private static let mostPages = mostLeases / page
    /// How often a list is begun anew that took so long that the server has forgotten its version.
    private static let mostRestarts = 3

    /// The leases of the namespace, elections or not: a heartbeat of a node looks like a leader.
    public func list(_ filter: ElectionFilter) async throws(CoordinationError) -> [ElectionState] {
        let what = "cannot list elections"
        do throws(APIFailure) {
            for _ in 0..<Self.mostRestarts {
                do throws(APIFailure) { return try await pages(filter) } catch {
                    guard error.status == 410 else { throw error }
                }
            }
            return try await pages(filter)
        } catch {
            guard error.reason != Self.tooMany else {
                throw CoordinationError(
                    .unavailable, what, because: error.message, at: server.description, hint: "select some with --match LABEL=VALUE")
            }
            throw told(error, what, .list, nil)
        }
    }

    private static let tooMany = "TooMany"

    private func pages(_ filter: ElectionFilter) async throws(APIFailure) -> [ElectionState] {
        var found: [String: ElectionState] = [:]
        var next: String?
        var pages = 0
        repeat {
            pages += 1
            let answer = try await call(calls.list(limit: Self.page, labels: filter.labels, next: next), within: requestTimeout)
            let items = answer.body["items"]?.arrayValue ?? []
            let (now, wall) = (clock.now(), wall())
            for lease in items.compactMap({ LeaseObject($0) }) {
                var state = lease.state(wall: wall)
                let held = self.state.withLock { $0.held[lease.name] }
                if let held, held.mark.id == lease.mark?.id {
                    state.isOwn = true
                    state.remaining = held.deadline.map { max($0.duration(since: now), .zero) } ?? state.remaining
                }
                if filter.admits(state) { found[lease.name] = state }
            }
            let before = next
            next = answer.body["metadata"]?["continue"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
            // A page that is not the last one has items; and a server that sends the same place again would never end.
            if items.isEmpty || next == nil || next == before { break }
            guard found.count <= Self.mostLeases, pages < Self.mostPages else {
                throw APIFailure(
                    reason: Self.tooMany, message: "the list has more than \(Self.mostPages) pages", endpoint: api.endpoint,
                    credential: "")
            }
        } while true
        return found.values.sorted { $0.name < $1.name }
    }
}
