import QQCore
import Support
import Testing

@testable import QQCLI

@Suite("List of RaftLock locks") struct RaftLockListTests {
    /// The first endpoint leads, so that the list is never behind.
    private func onLeader(_ body: (RaftPlace) async throws -> Void) async throws {
        try await onRaftLock(.light, clusterSettings { $0.leader = 0 }, body)
    }

    private func names(_ raft: RaftPlace, _ options: [String]) async throws -> [String] {
        let run = try await raft.qq(["status", "--all"] + options, at: raft.cluster.url).finish()
        #expect(run.ending == .exited(0), "\(run.errors)")
        return run.lines.map { String($0.prefix { $0 != "\t" }) }
    }

    private func expect(
        _ wanted: [String], _ raft: RaftPlace, _ options: String..., sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let found = try await names(raft, options)
        #expect(found == wanted, "\(options)", sourceLocation: sourceLocation)
    }

    @Test("the list of locks is filtered and paged in the order of names, and writes nothing") func filters() async throws {
        try await onLeader { raft in
            try await expect([], raft)
            for (name, owner, ttl) in [
                ("web-1", "a/1", 100), ("web-2", "a/2", 60), ("db", "b/1", 100), ("old", "b/2", 100), ("*", "c", 100),
            ] {
                raft.cluster.acquire(name, by: owner, for: .seconds(ttl))
            }
            raft.cluster.release("old")
            for name in ["db", "old"] { raft.cluster.enqueue(name, by: "waiter", for: .seconds(60)) }
            try await expect(["*", "db", "old", "web-1", "web-2"], raft)
            try await expect(["*", "db", "web-1", "web-2"], raft, "--held")
            try await expect(["db", "old"], raft, "--contested")
            try await expect(["db"], raft, "--contested", "--held")
            try await expect(["web-1", "web-2"], raft, "--owner", "a/")
            // The last holder of a free lock is not its owner.
            try await expect(["db"], raft, "--owner", "b/")
            try await expect(["web-1", "web-2"], raft, "--match", "eb-")
            try await expect(["*"], raft, "--match", "*")
            try await expect(["web-2"], raft, "--match", "web", "--owner", "/2")
            try await expect(["web-2"], raft, "--expires-within", "70s")
            try await expect(["web-1", "web-2"], raft, "--expires-within", "200s", "--match", "web")
            try await expect(["db", "old"], raft, "--limit", "2", "--offset", "1")
            try await expect(["web-1", "web-2"], raft, "--held", "--limit", "2", "--offset", "2")
            try await expect([], raft, "--offset", "9")
            #expect(raft.writes == 0)
        }
    }

    @Test("the list of locks is complete if it takes several pages in a different order each time") func pages() async throws {
        try await onLeader { raft in
            for number in 0..<1300 { raft.cluster.acquire("lock-\(10_000 + number)", by: "owner-\(number % 7)", for: .seconds(250)) }
            let all = try await names(raft, [])
            #expect(all == (0..<1300).map { "lock-\(10_000 + $0)" })
            #expect(raft.cluster.calls("GetLocks") >= 2)
            try await expect(["lock-11250", "lock-11251", "lock-11252"], raft, "--limit", "3", "--offset", "1250")
            let owned = try await names(raft, ["--owner", "owner-6"])
            #expect(owned.count == 185)
            #expect(raft.writes == 0)
        }
    }

    @Test("any node provides the list of locks, without a Raft leader and while other nodes hang or are down") func anyNode() async throws {
        try await onLeader { raft in
            raft.cluster.acquire("x", by: "me", for: .seconds(250))
            raft.cluster.acquire("y", by: "me", for: .seconds(250))
            try await waitUntil("all nodes have the locks") { (0..<3).allSatisfy { raft.cluster.applied($0) == 2 } }
            raft.cluster.loseLeader()
            try await expect(["x", "y"], raft)
            raft.cluster.hang(0)
            try await expect(["x", "y"], raft)
            await raft.cluster.kill(0)
            await raft.cluster.kill(1)
            try await expect(["x", "y"], raft)
            await raft.cluster.kill(2)
            let none = try await raft.run("status", "--all", "--retries", "1")
            #expect(none.ending == .exited(69) && none.text == "", "\(none.errors)")
        }
    }
}
