import QQCore
import Synchronization
import Testing

@testable import QQCLI

@Suite("Reports of a connection") struct OutageTests {
    private final class Reports: Sendable {
        let all = Mutex<[ConnectionEvent]>([])
    }

    private let reports = Reports()
    private let server: ServerURL
    private let outage: Outage
    private let error = CoordinationError(.unavailable, "cannot read x", because: "refused", at: "h1")

    init() throws {
        server = try Systems.url("raftlock://h1")
        outage = Outage { [reports] event in reports.all.withLock { $0.append(event) } }
    }

    private var kinds: [ConnectionEvent.Kind] { reports.all.withLock { $0.map(\.kind) } }

    @Test("an outage that a failed read shows is reported once, and so is its end") func reading() throws {
        for _ in 0..<3 { try outage.begins(error) }
        #expect(reports.all.withLock { $0 } == [ConnectionEvent(.unreachable, "cannot read x: refused (h1); trying again")])
        for _ in 0..<3 { try outage.ends(at: server) }
        #expect(kinds == [.unreachable, .connected])
        try outage.begins(error)
        #expect(kinds == [.unreachable, .connected, .unreachable])
    }

    @Test("an outage that the system has reported is not reported again") func bySystem() throws {
        try outage.report(ConnectionEvent(.disconnected, "h1: reset"))
        try outage.begins(error)
        // Each failed attempt to connect is an event.
        for _ in 0..<3 { try outage.report(ConnectionEvent(.unreachable, "h1: refused")) }
        try outage.report(ConnectionEvent(.connected, "h2"))
        try outage.ends(at: server)
        #expect(kinds == [.disconnected, .unreachable, .connected])
        for _ in 0..<2 { try outage.report(ConnectionEvent(.unreachable, "h1: refused")) }
        #expect(kinds == [.disconnected, .unreachable, .connected, .unreachable])
    }

    @Test("a connection is reported only after an outage, and every other event always") func news() throws {
        try outage.report(ConnectionEvent(.connected, "h1"))
        try outage.report(ConnectionEvent(.notice, "more servers: h2"))
        try outage.report(ConnectionEvent(.serverLeaving, "h1 is shutting down"))
        try outage.report(ConnectionEvent(.connected, "h2"))
        #expect(kinds == [.notice, .serverLeaving])
    }
}
