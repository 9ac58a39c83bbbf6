import QQCore
import Synchronization

/// Whether the server is out of reach, according to the events of the connection and to failed reads. Reports the start and the end of each outage once.
final class Outage: Sendable {
    private let isCut = Mutex(false)
    private let tell: @Sendable (ConnectionEvent) throws -> Void

    /// - Parameter tell: reports an event to the operator.
    init(_ tell: @escaping @Sendable (ConnectionEvent) throws -> Void) { self.tell = tell }

    /// Records an event of the connection, and reports it. `connected` is reported only after an outage.
    func report(_ event: ConnectionEvent) throws {
        let isNews = isCut.withLock { isCut in
            let wasCut = isCut
            if event.kind == .connected { isCut = false }
            if event.kind == .disconnected || event.kind == .unreachable { isCut = true }
            return event.kind != .connected || wasCut
        }
        if isNews { try tell(event) }
    }

    /// Records that a read has failed and will be tried again.
    func begins(_ error: CoordinationError) throws {
        if isCut.withLock({ $0 }) { return }
        try report(ConnectionEvent(.unreachable, "\(error); trying again"))
    }

    /// Records that a read has succeeded.
    func ends(at server: ServerURL) throws { try report(ConnectionEvent(.connected, server.description)) }
}
