import QQCore
import Synchronization

/// The agents of a URL, of which the one that answered last is asked first.
package final class AgentRotation: Sendable {
    private let endpoints: [String]
    private let clock: any LeaseClock
    /// The place of the agent that answered last.
    private let preferred = Mutex(0)

    /// The longest time that one of several agents is waited for.
    private static let patience: Duration = .seconds(2)

    /// - Parameter endpoints: the agents as host:port, at least one.
    package init(_ endpoints: [String], clock: any LeaseClock) {
        self.endpoints = endpoints
        self.clock = clock
    }

    /// Sends a request to the agent that answered last, and to the next ones as `ConsulCalling` says.
    /// - Parameter send: sends it once to the agent at this place, until this deadline.
    package func call(
        _ request: ConsulRequest, until deadline: BootInstant,
        _ send: (_ place: Int, _ deadline: BootInstant) async throws(ConsulFailure) -> ConsulAnswer
    ) async throws(ConsulFailure) -> ConsulAnswer {
        let first = preferred.withLock { $0 }
        var failure: ConsulFailure?
        for step in 0..<endpoints.count {
            let place = (first + step) % endpoints.count
            let isLast = step == endpoints.count - 1
            let now = clock.now()
            guard now < deadline else { break }
            // A blocking query is silent for as long as nothing changes.
            let limit = isLast || request.isBlocking ? deadline : min(deadline, now + Self.patience)
            do throws(ConsulFailure) {
                let answer = try await send(place, limit)
                preferred.withLock { $0 = place }
                return answer
            } catch {
                // Of several failures, the one that leaves the outcome open counts.
                if failure?.isUncertain != true { failure = error }
                guard error.isOfThisAgent, !Task.isCancelled, !error.isUncertain || request.isRepeatable else { break }
            }
        }
        if first == preferred.withLock({ $0 }), endpoints.count > 1 { preferred.withLock { $0 = (first + 1) % endpoints.count } }
        throw failure ?? ConsulFailure(.unavailable, "no time is left to ask", at: endpoints[first])
    }
}
