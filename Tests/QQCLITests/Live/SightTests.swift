import QQCore
import Synchronization
import Testing

@testable import QQCLI

@Suite("What watch tells of the connection") struct SightTests {
    private final class Told: Sendable {
        let all = Mutex<[ConnectionEvent]>([])
    }

    private let told = Told()
    private let server: ServerURL
    private let sight: Sight
    private let error = CoordinationError(.unavailable, "cannot read x", because: "refused", at: "h1")

    init() throws {
        server = try Systems.url("raftlock://h1")
        sight = Sight { [told] event in told.all.withLock { $0.append(event) } }
    }

    private var kinds: [ConnectionEvent.Kind] { told.all.withLock { $0.map(\.kind) } }

    @Test("an outage that reading shows is told once, and its end") func reading() throws {
        for _ in 0..<3 { try sight.lost(error) }
        #expect(told.all.withLock { $0 } == [ConnectionEvent(.unreachable, "cannot read x: refused (h1); trying again")])
        for _ in 0..<3 { try sight.found(at: server) }
        #expect(kinds == [.unreachable, .connected])
        try sight.lost(error)
        #expect(kinds == [.unreachable, .connected, .unreachable])
    }

    @Test("what the system has told of is not told again") func bySystem() throws {
        try sight.report(ConnectionEvent(.disconnected, "h1: reset"))
        try sight.lost(error)
        try sight.report(ConnectionEvent(.unreachable, "h1: refused"))
        try sight.report(ConnectionEvent(.connected, "h2"))
        try sight.found(at: server)
        #expect(kinds == [.disconnected, .unreachable, .connected])
    }

    @Test("that there is a connection is news only after an outage; all else always is") func news() throws {
        try sight.report(ConnectionEvent(.connected, "h1"))
        try sight.report(ConnectionEvent(.notice, "more servers: h2"))
        try sight.report(ConnectionEvent(.serverLeaving, "h1 is shutting down"))
        try sight.report(ConnectionEvent(.connected, "h2"))
        #expect(kinds == [.notice, .serverLeaving])
    }
}
