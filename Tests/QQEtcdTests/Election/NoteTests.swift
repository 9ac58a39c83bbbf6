import QQCore
import Support
import Testing

@testable import QQEtcd

@Suite("Notes on etcd", .timeLimit(.minutes(10))) struct EtcdNoteTests {
    private let cluster = StoreCluster()

    private func noted(_ identity: String, _ note: String?, continuing: Grant? = nil) -> AcquireRequest {
        var request = request(identity, continuing: continuing)
        request.note = note
        return request
    }

    private func keys(_ grant: Grant) -> [String] { ["qq/web.note.\(grant.termID ?? "")", "qq/web/\(grant.termID ?? "")"] }

    @Test func `a note has a key of its own under the holder's lease, and the value of the holder's key is the identity alone`()
        async throws
    {
        let ann = try cluster.node()
        let grant = try await granted(ann, noted("ann", "build 417"))
        #expect(try cluster.keys() == keys(grant))
        #expect(try Set(keys(grant).map { try cluster.lease(of: $0) }).count == 1)
        let value = try await cluster.range(EtcdRange(.one(Array(keys(grant)[1].utf8))), by: .distantFuture).found.first?.value
        #expect(value == Array("ann".utf8))
        for node in [ann, try cluster.node()] {
            let found = try await node.read("web")
            #expect(found.leader == "ann" && found.note == "build 417" && found.isTerm(of: grant) && found.waiters == 0)
        }
        #expect(try await cluster.node().acquire(noted("bob", "mine")).refusal?.note == "build 417")
        #expect(try await cluster.node().list(ElectionFilter()).map(\.note) == ["build 417"])
        #expect(try await cluster.node().list(ElectionFilter()).map(\.name) == ["web"])
        _ = try #require(try await ann.renew(grant).grant)
        #expect(try await cluster.node().read("web").note == "build 417")
        #expect(try await ann.release(grant) == .released)
        #expect(try cluster.keys().isEmpty && cluster.leases() == 0)
    }

    @Test func `a waiter brings its own note, which is shown when it leads`() async throws {
        let (ann, bob) = (try cluster.node(), try cluster.node())
        let first = try await granted(ann, noted("ann", nil))
        let refusal = try #require(try await bob.acquire(noted("bob", "mine")).refusal)
        let clock = cluster.clock
        let waiter = Task { try await bob.waitForTurn(noted("bob", "mine"), behind: refusal, until: clock.now() + .seconds(60)) }
        try await waitUntil("bob waits") { try cluster.keys().count == 3 }
        #expect(try await cluster.node().read("web").note == nil)
        #expect(try await ann.release(first) == .released)
        try await waiter.value
        let grant = try await granted(bob, noted("bob", "mine"))
        #expect(try cluster.keys() == keys(grant))
        #expect(try await cluster.node().read("web").note == "mine")
    }

    @Test func `the note ends with the lease of its holder, and the next one does not inherit it`() async throws {
        let first = try await granted(try cluster.node(), noted("ann", "build 417"))
        cluster.clock.pass(first.deadline.duration(since: cluster.clock.now()) + .seconds(3))
        #expect(try cluster.keys().isEmpty)
        _ = try await granted(try cluster.node(), noted("bob", nil))
        #expect(try await cluster.node().read("web").note == nil)
    }

    @Test func `a term that is resumed keeps the note that it began with`() async throws {
        var grant = try await granted(try cluster.node(), noted("ann", "build 417"))
        for note in [nil, "another"] {
            grant = try await granted(try cluster.node(), noted("ann", note, continuing: grant))
            #expect(try await cluster.node().read("web").note == "build 417")
        }
    }

    @Test func `step-down by force ends a lease with a note as it ends one without`() async throws {
        let grant = try await granted(try cluster.node(), noted("ann", "build 417"))
        let other = try cluster.node()
        let seen = try await other.read("web")
        let clock = cluster.clock
        let asking = Task { try await other.askToStepDown(seen, by: "bob", byForce: true) }
        // Nobody answers the request.
        while try cluster.keys().contains(keys(grant)[1]) {
            clock.passToNextDeadline()
            try await Task.sleep(for: .milliseconds(1))
        }
        _ = try await asking.value
        #expect(try !cluster.keys().contains(keys(grant)[0]) && cluster.leases() == 0)
    }

    @Test func `without a note nothing is written or read for one`() async throws {
        let ann = try cluster.node()
        let grant = try await granted(ann, noted("ann", nil))
        #expect(try cluster.keys() == [keys(grant)[1]])
        let lease = try #require(grant.termID.flatMap { LeaseID.parse($0) })
        #expect(!LeaseID.hasNote(lease))
        let before = try cluster.calls()["KV/Range"] ?? 0
        // What looks like its note is not looked for.
        try cluster.put(keys(grant)[0], "forged", lease: lease)
        #expect(try await cluster.node().read("web").note == nil)
        #expect(try (cluster.calls()["KV/Range"] ?? 0) - before == 1, "the contenders")
    }

    @Test func `a key that is not bound to the holder's lease is not its note, and a foreign one is bounded and printable`() async throws {
        let grant = try await granted(try cluster.node(), noted("ann", "build 417"))
        let lease = try #require(grant.termID.flatMap { LeaseID.parse($0) })
        try cluster.put(keys(grant)[0], "forged")
        #expect(try await cluster.node().read("web").note == nil)
        try cluster.put(keys(grant)[0], "x\u{1b}[2J" + String(repeating: "n", count: 10_000), lease: lease)
        let note = try #require(try await cluster.node().read("web").note)
        #expect(note.hasPrefix("x\\x1b[2Jn") && note.utf8.count <= 4 * Note.maximumLength)
        try cluster.put(keys(grant)[0], String(repeating: "n", count: 1_400_000), lease: lease)
        let found = try await cluster.node().read("web")
        #expect(found.leader == "ann" && found.note?.utf8.count == Note.maximumLength)
    }

    @Test func `a lease id shows whether there is a note`() {
        // One lease of 65,536 would have the mark by chance.
        #expect((0..<300_000).allSatisfy { _ in !LeaseID.hasNote(LeaseID.random()) })
        let noted = (0..<1_000).map { _ in LeaseID.random(withNote: true) }
        #expect(noted.allSatisfy { LeaseID.hasNote($0) && $0 > 0 } && Set(noted).count == noted.count)
    }
}
