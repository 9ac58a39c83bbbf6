import QQCore

@testable import QQQuorumQuest

/// A program that uses the Go or the Rust client: it asks again and again, leads for a while, and gives leadership up at the first error, without a release.
///
/// With a short TTL these clients renew too late, and go on as leaders of nothing. They are not bound to the promise, but to the store's word: while the
/// lease that the store has granted them is in force, nobody else may lead.
enum QuorumQuestClient {
    static let go = Peer(name: "the Go client") { start($0, shortestInterval: .seconds(3)) }
    static let rust = Peer(name: "the Rust client") { start($0, shortestInterval: .seconds(1)) }

    private static let timeout: Duration = .seconds(5)

    private static func start(_ context: PeerContext, shortestInterval: Duration) {
        let process = context.process
        guard let model = context.server as? QuorumQuestModel, let name = try? ElectionName(context.election) else { return process.end() }
        let ttl = context.times.ttl
        let client = Client(
            process: process, caller: QuorumQuestCaller(model, process, Int(process.random.below(Int64(model.serverCount)))), name: name,
            identity: context.identity, ttl: ttl, interval: max(ttl / 3, shortestInterval),
            end: process.clock.now() + .nanoseconds(process.random.spread(.milliseconds(100)...(ttl.nanoseconds * 8))))
        process.world.note("asks for the lease by a client of others", process)
        process.start {
            await client.campaign()
            process.post { process.end() }
        }
    }

    private struct Client: Sendable {
        let process: SimProcess
        let caller: QuorumQuestCaller
        let name: ElectionName
        let identity: String
        let ttl: Duration
        let interval: Duration
        let end: BootInstant

        private var seconds: Int32 { Int32(clamping: ttl.nanoseconds / 1_000_000_000) }
        private var now: BootInstant { process.clock.now() }

        func campaign() async {
            while now < end, !process.isDead {
                let sentAt = now
                if let isLeader = try? await caller.tryAcquire(name, identity, ttl: seconds, timeout: timeout), isLeader {
                    return await lead(from: sentAt)
                }
                guard (try? await process.clock.sleep(for: .seconds(1))) != nil else { return }
            }
        }

        private func lead(from sentAt: BootInstant) async {
            guard !process.isDead else { return }
            let checker = process.world.checker!
            // The margin is for the speed of clocks.
            let term = checker.elected(process, token: nil, deadline: sentAt + ttl, margin: ttl / 20)
            while now < end, (try? await process.clock.sleep(for: interval)) != nil {
                let sentAt = now
                guard let length = try? await caller.keepAlive(name, identity, ttl: seconds, timeout: timeout) else {
                    process.world.note("a client of others gives leadership up", process)
                    return checker.ended(term)
                }
                checker.extended(term, to: sentAt + length)
            }
            checker.ended(term)
            try? await caller.release(name, identity, timeout: timeout)
        }
    }
}
