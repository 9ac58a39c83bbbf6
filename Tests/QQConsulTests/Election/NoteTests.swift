import QQCore
import Testing

@testable import QQConsul

@Suite("Notes on Consul") struct ConsulNoteTests {
    private let bench = Bench()

    private func noted(_ identity: String, _ note: String?, _ name: String = "web", continuing: Grant? = nil) -> AcquireRequest {
        var request = request(identity, name, continuing: continuing)
        request.note = note
        return request
    }

    private func title(_ grant: Grant) async throws -> String? {
        try await bench.node().qq.calls.session(try #require(grant.termID), within: .seconds(5))?.name
    }

    @Test func `a note is in the name of the session, and the value of the key is the identity alone`() async throws {
        let (node, other) = (try bench.node(), try bench.node())
        let grant = try granted(await node.qq.acquire(noted("ann", "build 417")))
        #expect(bench.store.key("web/.lock")?.value == Array("ann".utf8))
        #expect(try await title(grant)?.hasSuffix("\nbuild 417") == true)
        for qq in [node.qq, other.qq] {
            let found = try await qq.read("web")
            #expect(found.leader == "ann" && found.note == "build 417")
        }
        #expect(try refused(await other.qq.acquire(noted("bob", "mine"))).note == "build 417")
        #expect(try await other.qq.list(ElectionFilter()).map(\.note) == ["build 417"])
        _ = try renewed(await node.qq.renew(grant))
        #expect(try await other.qq.read("web").note == "build 417")
    }

    @Test func `the next holder does not inherit a note`() async throws {
        let node = try bench.node()
        let grant = try granted(await node.qq.acquire(noted("ann", "build 417")))
        #expect(try await node.qq.release(grant) == .released)
        #expect(try await bench.node().qq.read("web").note == nil)
        _ = try granted(await node.qq.acquire(noted("ann", nil)))
        for qq in [node.qq, try bench.node().qq] { #expect(try await qq.read("web").note == nil) }
    }

    @Test func `a term that is resumed keeps the note that it began with`() async throws {
        var grant = try granted(await bench.node().qq.acquire(noted("ann", "build 417")))
        for note in [nil, "another"] {
            let node = try bench.node()
            grant = try granted(await node.qq.acquire(noted("ann", note, continuing: grant)))
            for qq in [node.qq, try bench.node().qq] { #expect(try await qq.read("web").note == "build 417") }
        }
    }

    @Test func `the holder of a slot has a note as well`() async throws {
        let node = try bench.node()
        _ = try granted(await node.qq.acquire(noted("ann", "build 417", "web-slot-1-of-2")))
        _ = try granted(await bench.node().qq.acquire(noted("bob", nil, "web-slot-2-of-2")))
        #expect(try await bench.node().qq.read("web-slot-1-of-2").note == "build 417")
        #expect(try await bench.node().qq.read("web-slot-2-of-2").note == nil)
    }

    @Test func `without a note, the name of the session ends with its number`() async throws {
        let grant = try granted(await bench.node().qq.acquire(noted("ann", nil)))
        let name = try #require(try await title(grant))
        #expect(name.hasPrefix("qq web ") && name.utf8.count == "qq web ".utf8.count + 16)
    }

    @Test func `only a session of qq has a note, which is bounded and printable`() {
        #expect(SessionName.note("Consul lock for 'x\ny' at 'web'") == nil)
        #expect(SessionName.note("qq web 0123456789abcdef") == nil)
        #expect(SessionName.note("qq-left web 0123456789abcdef\nx\u{1b}[2J\ny") == "x\\x1b[2J\\x0ay")
        #expect(SessionName.note("qq web 0123456789abcdef\n" + String(repeating: "n", count: 10_000))?.utf8.count == Note.maximumLength)
        let name = SessionName.made(for: "a b", isAttended: true, note: "\u{301}x")
        #expect(SessionName.note(name) == "\u{301}x" && SessionName.isAttended(name))
        #expect(SessionName.withoutNote(name) == SessionName.withoutNote(SessionName.withoutNote(name)))
        #expect(SessionName.withoutNote("other\nprogram") == "other\nprogram")
    }
}
