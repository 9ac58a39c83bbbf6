import LeaderElection
import Support

/// Elections in memory, on a clock that the test turns.
struct Contest {
    let clock: ManualClock
    let servers: InMemoryElections

    init() {
        clock = ManualClock()
        servers = InMemoryElections(clock: clock)
    }

    func election(_ identity: String = "one", name: String = "web", observer: (any ElectionObserver)? = nil) throws -> Election {
        var options = ElectionOptions()
        options.identity = identity
        options.ttl = .seconds(15)
        options.observers = observer.map { [$0] } ?? []
        return try Election(name, in: servers, options: options)
    }
}

/// An error of a test's work.
struct WorkFailed: Error, Equatable {}
