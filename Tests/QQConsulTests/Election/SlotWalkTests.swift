import QQCore
import Support
import Testing

@testable import QQConsul

/// Holders of both kinds that come, go, fail and are ended by force in an order that a seed gives. After each step the work that can be going on is counted,
/// by what holders are allowed at most: until its release, until its deadline, or until it must have noticed and ended its command.
@Suite("Never more than the slots") struct ConsulSlotWalkTests {
    private static let killAfter: Duration = .seconds(5)
    private static let ttl: Duration = .seconds(15)

    /// A `qq`, or a `consul lock -n`, that holds.
    private struct Worker {
        var session: String
        /// nil for `consul lock -n`.
        var held: (node: Bench.Node, grant: Grant)?
        /// When its work is dead, if its session was ended; nil while it lives.
        var endsBy: BootInstant?
    }

    private final class Walk {
        let bench = Bench()
        let count: Int
        /// Whether sessions are ended in other ways than by `qq step-down`, for which `consul lock -n` does not wait.
        let isForeign: Bool
        var generator: SeededGenerator
        var workers: [Worker] = []
        var granted = 0
        var full = 0

        init(seed: UInt64, isForeign: Bool) {
            generator = SeededGenerator(seed: seed)
            self.isForeign = isForeign
            count = Int.random(in: 2...4, using: &generator)
        }

        func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }

        var now: BootInstant { bench.clock.now() }

        func slot() -> String { Slot(number(1...count), of: count, election: "web").name }

        /// The work that can be going on.
        var working: Int {
            workers.count { worker in
                if let end = worker.endsBy { return now < end }
                guard let grant = worker.held?.grant else { return bench.store.sessions[worker.session] != nil }
                return now < grant.deadline
            }
        }

        func acquire() async throws {
            let node = try bench.node(killAfter: ConsulSlotWalkTests.killAfter)
            let wanted = request("id\(number(0...9_999))", slot(), ttl: ConsulSlotWalkTests.ttl)
            guard case .granted(let grant, _) = try await node.qq.acquire(wanted) else {
                #expect(await node.qq.leaveQueue(wanted) == nil)
                return
            }
            granted += 1
            workers.append(Worker(session: grant.termID ?? "", held: (node, grant)))
        }

        func contend() {
            let found = bench.store.contendAsConsul("web", limit: count)
            guard found.isHolder else { return bench.store.destroy(found.session) }
            granted += 1
            workers.append(Worker(session: found.session))
        }

        func release(_ place: Int) async throws {
            let worker = workers[place]
            guard worker.endsBy == nil else { return }
            if let (node, grant) = worker.held {
                guard now < grant.deadline else { return }
                #expect(try await node.qq.release(grant) == .released)
            } else {
                bench.store.leaveAsConsul("web", worker.session)
            }
            workers.remove(at: place)
        }

        func renew(_ place: Int) async throws {
            guard workers[place].endsBy == nil else { return }
            if let (node, grant) = workers[place].held {
                guard now < grant.deadline else { return }
                workers[place].held?.grant = try renewed(await node.qq.renew(grant))
            } else {
                bench.store.renew(workers[place].session)
            }
        }

        /// Ends a session by force. Its holder notices, and ends its command.
        func force(_ place: Int) async throws {
            let session = workers[place].session
            guard workers[place].endsBy == nil, bench.store.sessions[session] != nil else { return }
            var deadline = now + ConsulRules.noticing + ConsulSlotWalkTests.killAfter
            if let grant = workers[place].held?.grant { deadline = min(deadline, grant.deadline) }
            if isForeign {
                let node = try bench.node(killAfter: ConsulSlotWalkTests.killAfter)
                var seen: ElectionState?
                for slot in Slot.all(count, of: "web") where seen?.termID != session { seen = try await node.qq.read(slot.name) }
                guard let seen, seen.termID == session else { return }
                let answer = try await node.qq.askToStepDown(seen, by: "operator", byForce: true)
                #expect(answer == .done, "\(seen) \(answer)")
            } else {
                bench.store.destroy(session)
            }
            workers[place].endsBy = deadline
        }

        func step() async throws {
            let place = workers.isEmpty ? nil : number(0...workers.count - 1)
            switch (number(0...9), place) {
            case (0...2, _), (_, nil): try await acquire()
            case (3...4, _): if isForeign { contend() } else { try await acquire() }
            case (5, let place?): try await release(place)
            case (6...7, let place?): try await renew(place)
            case (8, let place?): try await force(place)
            default: bench.clock.pass(.milliseconds(Int64(number(100...9_000))))
            }
            workers.removeAll { worker in worker.endsBy.map { $0 <= now } ?? (bench.store.sessions[worker.session] == nil) }
            if working == count { full += 1 }
        }
    }

    @Test(arguments: [false, true]) func `whatever happens, no more work than there are slots`(isForeign: Bool) async throws {
        var (granted, full) = (0, 0)
        for seed in UInt64(1)...40 {
            let walk = Walk(seed: seed, isForeign: isForeign)
            for step in 1...80 {
                try await walk.step()
                #expect(walk.working <= walk.count, "seed \(seed), step \(step)")
            }
            granted += walk.granted
            full += walk.full
        }
        // The walks are none that never get anywhere.
        #expect(granted > 200 && full > 200, "\(granted) \(full)")
    }
}
