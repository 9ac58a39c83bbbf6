import QQCore
import Synchronization

/// Whether the elections that `watch` shows can be seen, by what the system tells of its connection and by whether they can be read. Each outage is told
/// once, and its end.
final class Sight: Sendable {
    private let isCut = Mutex(false)
    private let tell: @Sendable (ConnectionEvent) throws -> Void

    init(_ tell: @escaping @Sendable (ConnectionEvent) throws -> Void) { self.tell = tell }

    /// What the system tells. That there is a connection is news only where there was none.
    func report(_ event: ConnectionEvent) throws {
        let isNews = isCut.withLock { isCut in
            let wasCut = isCut
            if event.kind == .connected { isCut = false }
            if event.kind == .disconnected || event.kind == .unreachable { isCut = true }
            return event.kind != .connected || wasCut
        }
        if isNews { try tell(event) }
    }

    /// They could not be read, and it is tried again.
    func lost(_ error: CoordinationError) throws {
        if isCut.withLock({ $0 }) { return }
        try report(ConnectionEvent(.unreachable, "\(error); trying again"))
    }

    /// They could.
    func found(at server: ServerURL) throws { try report(ConnectionEvent(.connected, server.description)) }
}
