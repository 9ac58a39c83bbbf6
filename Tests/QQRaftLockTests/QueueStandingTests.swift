import QQCore
import Support
import Testing

@testable import QQRaftLock

@Suite("The estimate of a waiter's place in the queue") struct QueueStandingTests {
    private func state(_ leader: String, since second: Int64, waiters: Int) -> ElectionState {
        var state = ElectionState(name: "web", phase: .held)
        state.leader = leader
        state.acquiredAt = WallTime(seconds: second, nanoseconds: 0)
        state.waiters = waiters
        return state
    }

    @Test("without a read the place is unknown, unless it is the first") func unknown() {
        var standing = QueueStanding()
        #expect(standing.ahead == nil)
        standing.placed(at: 3)
        #expect(standing.ahead == nil)
        standing.placed(at: 0)
        #expect(standing.ahead == 0)
    }

    @Test("a new waiter is behind all others, and each new term brings it forward") func terms() {
        var standing = QueueStanding()
        standing.saw(state("a", since: 1, waiters: 4))
        #expect(standing.ahead == 3)
        standing.saw(state("a", since: 1, waiters: 7))
        #expect(standing.ahead == 3, "later waiters come after it")
        standing.saw(state("b", since: 2, waiters: 6))
        #expect(standing.ahead == 2)
        standing.saw(state("b", since: 3, waiters: 5))
        #expect(standing.ahead == 1, "a holder can follow itself")
        standing.saw(state("c", since: 4, waiters: 1))
        #expect(standing.ahead == 0)
        standing.saw(state("d", since: 5, waiters: 0))
        #expect(standing.ahead == 0)
    }

    @Test(
        "a refresh corrects the estimate as far as the heap tells",
        arguments: [(Int32(0), 0), (1, 1), (2, 1), (3, 2), (6, 2), (7, 3), (98, 6)])
    func refresh(position: Int32, ahead: Int) {
        var standing = QueueStanding()
        standing.placed(at: 0)
        standing.placed(at: position)
        #expect(standing.ahead == ahead)
        standing.placed(at: .max)
        #expect(standing.ahead == 30)
        standing.placed(at: -5)
        #expect(standing.ahead == 0)
    }

    @Test("in a queue of equal priorities the estimate is right from the first read to the turn", arguments: [1, 2, 7, 100])
    func queue(waiters: Int) throws {
        var table = LockTable(defaultTTL: 30_000_000_000)
        var (index, now) = (Int64(0), Int64(1_800_000_000_000_000_000))
        func perform(_ command: LockTable.Command) throws -> LockTable.Outcome {
            index += 1
            now += 1_000_000_000
            return try table.apply(command, index: index, now: now)
        }
        func read() throws -> ElectionState {
            let lock = try #require(table.locks["web"])
            return LockSnapshot(Raftlock_LockInfo("web", lock)).state(at: BootInstant(nanoseconds: 1), wall: .goZero, clock: nil)
        }
        _ = try perform(.acquire("web", by: "holder", ttl: 30_000_000_000))
        var standings: [QueueStanding] = []
        for number in 0..<waiters {
            let place = try perform(.enqueue("web", by: "w\(number)", priority: 0, timeout: 600_000_000_000))
            var standing = QueueStanding()
            standing.placed(at: Int32(place.position))
            standing.saw(try read())
            standings.append(standing)
        }
        for turn in 0..<waiters {
            #expect(standings[turn...].map(\.ahead) == Array(0..<waiters - turn))
            let lock = try #require(table.locks["web"])
            _ = try perform(.release("web", by: lock.owner, version: lock.version))
            #expect(table.locks["web"]?.owner == "w\(turn)")
            let state = try read()
            for later in standings.indices.dropFirst(turn + 1) { standings[later].saw(state) }
            // Refreshes keep it right.
            if turn % 3 == 1 {
                for later in standings.indices.dropFirst(turn + 1) {
                    let place = try perform(.enqueue("web", by: "w\(later)", priority: 0, timeout: 600_000_000_000))
                    standings[later].placed(at: Int32(place.position))
                }
            }
        }
    }
}
