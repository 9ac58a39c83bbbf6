import Hummingbird
import LeaderElection

/// The answer of `GET /leader`.
struct LeaderAnswer: ResponseEncodable {
    /// The replica that leads; left out if none does.
    var leader: String?
    /// Whether it is the replica that answers.
    var us: Bool
    var token: FencingToken?
    /// Whole milliseconds until the lease ends, unless it is renewed.
    var remainingMilliseconds: Int64?
}

/// The answer of `GET /health`.
struct HealthAnswer: ResponseEncodable {
    var status: String
    var leading: Bool
}

func routes(_ election: Election) -> Router<BasicRequestContext> {
    let router = Router()
    // Each request reads from the servers. A service with much traffic keeps the answer for a second.
    router.get("leader") { _, _ in
        do {
            let leader = try await election.leader()
            return LeaderAnswer(
                // By the clock at this moment: `leader` was true when the servers answered.
                leader: leader?.identity, us: election.isLeader, token: leader?.token,
                remainingMilliseconds: leader?.remaining.map { Int64($0 / .milliseconds(1)) })
        } catch {
            throw HTTPError(.serviceUnavailable, message: "\(error)")
        }
    }
    // A replica that does not lead is as healthy as the one that does.
    router.get("health") { _, _ in HealthAnswer(status: "ok", leading: election.isLeader) }
    return router
}
