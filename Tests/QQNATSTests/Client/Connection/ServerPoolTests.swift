import QQCore
import Testing

@testable import QQNATS

@Suite("The servers that a client knows") struct ServerPoolTests {
    private func pool(_ names: String...) -> ServerPool { ServerPool(names.map { ClientPlay.address($0) }) { $0 } }

    /// The servers that remain in the current round.
    private func round(_ pool: inout ServerPool) -> [String] {
        var found: [String] = []
        while let address = pool.next() { found.append(address.host) }
        return found
    }

    @Test("servers are tried once a round, the last connected server at the end") func rounds() {
        var pool = pool("a", "b", "c")
        #expect(round(&pool) == ["a", "b", "c"])
        #expect(pool.next() == nil)
        pool.beginRound(after: nil)
        #expect(round(&pool) == ["a", "b", "c"])
        pool.beginRound(after: ClientPlay.address("a"))
        #expect(round(&pool) == ["b", "c", "a"])
        pool.beginRound(after: ClientPlay.address("unknown"))
        #expect(round(&pool) == ["b", "c", "a"])
    }

    @Test("servers are shuffled, and duplicates are dropped") func shuffled() {
        let addresses = (0..<20).map { ClientPlay.address("h\($0)") }
        let pool = ServerPool(addresses + addresses)
        #expect(pool.addresses.count == 20 && Set(pool.addresses) == Set(addresses))
        #expect((0..<10).contains { _ in ServerPool(addresses).addresses != addresses })
    }

    @Test("a server that is shutting down is tried last, until the client connects to it again") func leaving() {
        var pool = pool("a", "b")
        pool.isLeaving(ClientPlay.address("a"))
        #expect(!pool.hasOther(than: ClientPlay.address("b")) && pool.hasOther(than: ClientPlay.address("a")))
        #expect(round(&pool) == ["b", "a"])
        pool.connected(to: ClientPlay.address("a"))
        pool.beginRound(after: nil)
        #expect(round(&pool) == ["a", "b"])
    }

    @Test("announced servers are added and later forgotten if no longer announced; configured servers stay") func announced() {
        var pool = pool("a")
        let current = ClientPlay.address("a")
        #expect(pool.announce(["a:4222", "b:4222", "b:4222", "[::1]:5"], current: current).map(\.description) == ["b:4222", "[::1]:5"])
        #expect(pool.announce([], current: current) == [], "an empty announcement does not remove servers")
        #expect(pool.addresses.count == 3)
        #expect(pool.announce(["c:4222"], current: ClientPlay.address("b")).map(\.host) == ["c"])
        #expect(pool.addresses.map(\.host) == ["a", "b", "c"], "the connected server is not forgotten")
        _ = pool.announce(["c:4222"], current: ClientPlay.address("c"))
        #expect(pool.addresses.map(\.host) == ["a", "c"])
    }

    @Test("announced servers are limited in number, and parsed as host and port")
    func announcedBounds() {
        var pool = pool("a")
        #expect(pool.announce((0..<1000).map { "h\($0):1" }, current: nil).count == ServerPool.mostAnnounced)
        #expect(ServerPool.addresses(["", ":", "a", "a:", "a:0", "a:65536", "a:-1", ":4222", "[]:1", "a:x"]) == [])
        #expect(ServerPool.addresses(["a:1", "[fe80::1]:65535"]).map(\.description) == ["a:1", "[fe80::1]:65535"])
    }

    @Test("the failure of all servers combines their reasons") func failure() {
        var pool = pool("a", "b")
        #expect(pool.failure == NATSError(.disconnected, "not connected in time", at: "a:4222"))
        pool.failed(ClientPlay.address("a"), NATSError(.denied, "no"))
        #expect(pool.failure == NATSError(.denied, "no", at: "a:4222"))
        pool.failed(ClientPlay.address("b"), NATSError(.disconnected, "refused"))
        #expect(pool.failure == NATSError(.disconnected, "none of 2 servers can be used: a:4222: no; b:4222: refused"))
        pool.failed(ClientPlay.address("b"), NATSError(.denied, "no"))
        #expect(pool.failure.kind == .denied)
        pool.failed(ClientPlay.address("unknown"), NATSError(.malformed, "x"))
        #expect(pool.failure.kind == .denied)
        pool.beginRound(after: nil)
        #expect(pool.failure == NATSError(.disconnected, "not connected in time", at: "a:4222"))
    }
}
