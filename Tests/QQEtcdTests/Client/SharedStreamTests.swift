import FoundationEssentials
import Testing

@testable import QQEtcd

@Suite("Keep-alives on one stream") struct KeepAliveTableTests {
    @Test("answers belong to the requests for their lease in order") func order() {
        var table = KeepAliveTable()
        let (first, other, second) = (table.sent(7), table.sent(8), table.sent(7))
        #expect(table.count == 3)
        #expect(table.answered(7) == first && table.answered(8) == other && table.answered(7) == second)
        #expect(table.count == 0 && table.answered(7) == nil && table.answered(9) == nil)
    }

    @Test("a new stream knows nothing of earlier requests, whose ids are not used again") func reset() {
        var table = KeepAliveTable()
        let first = table.sent(7)
        table.reset()
        #expect(table.count == 0 && table.answered(7) == nil)
        #expect(table.sent(7) != first)
    }
}

@Suite("Watches on one stream") struct WatchTableTests {
    private typealias Response = Etcdserverpb_WatchResponse

    private func created(_ id: Int64, at revision: Int64 = 20) -> Response {
        .with { ($0.watchID, $0.created, $0.header.revision) = (id, true, revision) }
    }

    private func deleted(_ id: Int64, _ key: String, at revision: Int64) -> Response {
        .with { response in
            (response.watchID, response.header.revision) = (id, 99)
            response.events = [.with { ($0.type, $0.kv.key, $0.kv.modRevision) = (.delete, Data(key.utf8), revision) }]
        }
    }

    /// The requests, as text.
    private func text(_ actions: [WatchTable.Action]) -> [String] {
        actions.map { action in
            switch action {
            case .send(let request):
                switch request.requestUnion {
                case .createRequest(let create):
                    "create \(create.watchID) \(String(decoding: create.key, as: UTF8.self)) from \(create.startRevision)"
                case .cancelRequest(let cancel): "cancel \(cancel.watchID)"
                default: "?"
                }
            case .deliver(.began, let reader): "\(reader) began"
            case .deliver(.changed(let changes), let reader):
                "\(reader) changed \(changes.map { if case .deleted(let key, let at) = $0 { "\(String(decoding: key, as: UTF8.self))@\(at)" } else { "put" } })"
            case .end(.compacted(let revision), let reader): "\(reader) compacted \(revision)"
            case .end(.lost(let failure), let reader): "\(reader) lost \(failure.meaning)"
            case .logIn: "log in"
            case .deliver, .end: "?"
            }
        }
    }

    private let keys = [EtcdKeys.one(Array("a".utf8)), EtcdKeys.one(Array("b".utf8))]

    @Test("a reader of several keys begins when all are watched, and hears of each") func several() {
        var table = WatchTable()
        let (_, actions) = table.subscribe(keys, from: 5, isOpen: true)
        #expect(text(actions) == ["create 1 a from 5", "create 2 b from 5"])
        #expect(text(table.received(created(1), at: "h")) == [])
        #expect(text(table.received(created(2), at: "h")) == ["1 began"])
        #expect(text(table.received(deleted(2, "b", at: 21), at: "h")) == ["1 changed [\"b@21\"]"])
    }

    @Test("a new stream continues each watch after the last reported revision, and does not begin again") func reopened() {
        var table = WatchTable()
        _ = table.subscribe(keys, from: 5, isOpen: false)
        #expect(text(table.opened()) == ["create 1 a from 5", "create 2 b from 5"])
        for id: Int64 in [1, 2] { _ = table.received(created(id), at: "h") }
        _ = table.received(deleted(1, "a", at: 21), at: "h")
        #expect(text(table.opened()) == ["create 1 a from 22", "create 2 b from 5"])
        #expect(text(table.received(created(1), at: "h") + table.received(created(2), at: "h")) == [])
    }

    @Test("a watch from the present on continues there after a new stream") func present() {
        var table = WatchTable()
        _ = table.subscribe([keys[0]], from: 0, isOpen: true)
        #expect(text(table.received(created(1, at: 30), at: "h")) == ["1 began"])
        #expect(text(table.opened()) == ["create 1 a from 31"])
    }

    @Test("compaction ends the reader's watches and no others") func compacted() {
        var table = WatchTable()
        _ = table.subscribe(keys, from: 5, isOpen: true)
        _ = table.subscribe([keys[0]], from: 50, isOpen: true)
        for id: Int64 in [1, 2, 3] { _ = table.received(created(id), at: "h") }
        let compacted = Response.with { ($0.watchID, $0.canceled, $0.compactRevision) = (1, true, 15) }
        #expect(text(table.received(compacted, at: "h")) == ["cancel 1", "cancel 2", "1 compacted 15"])
        #expect(text(table.received(deleted(2, "b", at: 51), at: "h")) == [], "nobody reads it any more")
        #expect(text(table.received(deleted(3, "a", at: 51), at: "h")) == ["2 changed [\"a@51\"]"])
    }

    @Test("a refused watch, which the server names by -1, is the oldest that it has not answered") func refused() {
        var table = WatchTable()
        for key in keys { _ = table.subscribe([key], from: 5, isOpen: true) }
        let refusal = Response.with {
            ($0.watchID, $0.created, $0.canceled, $0.cancelReason) = (-1, true, true, "etcdserver: permission denied")
        }
        #expect(text(table.received(refusal, at: "h")) == ["cancel 1", "1 lost denied"])
        #expect(text(table.received(created(2), at: "h")) == ["2 began"])
    }

    @Test("a watch that is refused because the login has expired is asked for again on the next stream, as all others are") func expired() {
        var table = WatchTable()
        for key in keys { _ = table.subscribe([key], from: 5, isOpen: true) }
        _ = table.received(created(1), at: "h")
        let refusal = Response.with {
            ($0.watchID, $0.created, $0.canceled, $0.cancelReason) = (-1, true, true, "etcdserver: invalid auth token")
        }
        #expect(text(table.received(refusal, at: "h")) == ["log in"])
        #expect(text(table.opened()) == ["create 1 a from 5", "create 2 b from 5"])
        #expect(text(table.received(created(1), at: "h") + table.received(created(2), at: "h")) == ["2 began"])
    }

    @Test("a part of a revision's changes does not count as the whole") func fragments() {
        var table = WatchTable()
        _ = table.subscribe([keys[0]], from: 5, isOpen: true)
        _ = table.received(created(1), at: "h")
        var part = deleted(1, "a", at: 21)
        part.fragment = true
        #expect(text(table.received(part, at: "h")) == ["1 changed [\"a@21\"]"])
        #expect(text(table.opened()) == ["create 1 a from 21"])
        _ = table.received(deleted(1, "a", at: 21), at: "h")
        #expect(text(table.opened()) == ["create 1 a from 22"])
    }

    @Test("a watch that is cancelled before it is answered keeps its place in the order") func cancelledEarly() {
        var table = WatchTable()
        let (first, _) = table.subscribe([keys[0]], from: 5, isOpen: true)
        _ = table.subscribe([keys[1]], from: 5, isOpen: true)
        #expect(text(table.unsubscribe(first, isOpen: true)) == ["cancel 1"])
        #expect(text(table.received(created(1), at: "h")) == [])
        #expect(text(table.received(created(2), at: "h")) == ["2 began"])
        #expect(!table.isEmpty)
    }

    @Test("all readers hear that no stream can be opened") func failed() {
        var table = WatchTable()
        for key in keys { _ = table.subscribe([key], from: 5, isOpen: false) }
        #expect(text(table.failed(EtcdFailure(.unavailable, "because"))) == ["1 lost unavailable", "2 lost unavailable"])
        #expect(table.isEmpty && text(table.opened()) == [])
    }
}
