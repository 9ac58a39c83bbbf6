import QQCore
import Support
import Testing

@testable import QQKubernetes

@Suite struct LeaseNoteTests {
    private let bench = Bench()

    private func noted(_ identity: String, _ note: String?, continuing: Grant? = nil) -> AcquireRequest {
        var request = request(identity, continuing: continuing)
        request.note = note
        return request
    }

    @Test func `a note is shown while the term lasts, kept by renewals, and removed by the release`() async throws {
        let (node, other) = (try bench.node(), try bench.node())
        try bench.put(nil)
        let grant = try granted(try await node.qq.acquire(noted("a", "build 417")))
        #expect(try bench.lease().annotation("qq/note") == "\(grant.termID ?? "") build 417")
        #expect(try bench.lease().record.holder == "a")
        #expect(try await other.qq.read("web").note == "build 417")
        #expect(try refused(try await other.qq.acquire(noted("b", "mine"))).note == "build 417")
        #expect(try await other.qq.list(ElectionFilter()).map(\.note) == ["build 417"])
        bench.clock.pass(.seconds(5))
        _ = try renewed(try await node.qq.renew(grant))
        #expect(try await other.qq.read("web").note == "build 417")
        #expect(try await node.qq.release(grant) == .released)
        #expect(try bench.lease().annotation("qq/note") == nil)
        #expect(try bench.lease().annotation("other") == "kept")
    }

    @Test func `a leader of client-go that leaves the annotation does not get the note`() async throws {
        let node = try bench.node()
        _ = try granted(try await node.qq.acquire(noted("a", "build 417")))
        var lease = try bench.lease()
        lease.write(lease.record.taken(by: "go", for: 15, at: bench.clock.wall))
        try bench.store.put(lease.body)
        #expect(try bench.lease().annotation("qq/note") != nil)
        let seen = try await bench.node().qq.read("web")
        #expect(seen.leader == "go" && seen.note == nil)
    }

    @Test func `the next holder without a note removes that of the one before`() async throws {
        _ = try granted(try await bench.node().qq.acquire(noted("a", "build 417")))
        let next = try bench.node()
        _ = try refused(try await next.qq.acquire(noted("b", nil)))
        bench.clock.pass(.seconds(16))
        _ = try granted(try await next.qq.acquire(noted("b", nil)))
        #expect(try bench.lease().annotation("qq/note") == nil)
        #expect(try await bench.node().qq.read("web").note == nil)
    }

    @Test func `a term that is resumed keeps the note that it began with`() async throws {
        var grant = try granted(try await bench.node().qq.acquire(noted("a", "build 417")))
        for note in [nil, "another"] {
            bench.clock.pass(.seconds(2))
            grant = try granted(try await bench.node().qq.acquire(noted("a", note, continuing: grant)))
            #expect(try bench.lease().annotation("qq/note") == "\(grant.termID ?? "") build 417")
            #expect(try await bench.node().qq.read("web").note == "build 417")
        }
    }

    @Test func `without a note there is no annotation for one`() async throws {
        _ = try granted(try await bench.node().qq.acquire(noted("a", nil)))
        #expect(try bench.lease().annotation("qq/note") == nil)
        #expect(try bench.lease().body["metadata"]?["annotations"]?.objectValue?.members.map(\.name).sorted() == ["qq/term", "qq/token"])
    }

    @Test func `a note from a server is bounded and printable, whatever it begins with`() async throws {
        let grant = try granted(try await bench.node().qq.acquire(noted("a", "x")))
        func note(_ text: String) throws -> String? {
            var lease = try bench.lease()
            lease.annotate("qq/note", "\(grant.termID ?? "") \(text)")
            return lease.note
        }
        #expect(try note("x\u{1b}[2J") == "x\\x1b[2J")
        #expect(try note(String(repeating: "n", count: 10_000))?.utf8.count == Note.maximumLength)
        // A combining character joins the space before it.
        #expect(try note("\u{301}x") == "\u{301}x")
        #expect(try note("") == nil)
    }
}
