import QQCore
import Synchronization

/// Whether the server is out of reach, according to the events of the connection and to failed reads. Reports the start and the end of each outage once.
final class Outage: Sendable {
    private let news = Mutex(ConnectionNews())
    private let tell: @Sendable (ConnectionEvent) throws -> Void

    /// - Parameter tell: reports an event to the operator.
    init(_ tell: @escaping @Sendable (ConnectionEvent) throws -> Void) { self.tell = tell }

    /// Records an event of the connection, and reports it. `connected` is reported only after an outage.
    func report(_ event: ConnectionEvent) throws {
        if news.withLock({ $0.take(event) }) { try tell(event) }
    }

    /// Records that a read has failed and will be tried again.
    func begins(_ error: CoordinationError) throws {
        if news.withLock({ $0.isCut }) { return }
        try report(ConnectionEvent(.unreachable, "\(error); trying again"))
    }

    /// Records that a read has succeeded.
    func ends(at server: ServerURL) throws { try report(ConnectionEvent(.connected, server.description)) }
}

/// Tells the events of a connection that report something new from those that repeat it: a server that is away is tried again and again. Pure.
struct ConnectionNews {
    private(set) var isCut = false
    private var isUnreachable = false

    /// - Returns: whether the event is new. `connected` is only after an outage.
    mutating func take(_ event: ConnectionEvent) -> Bool {
        switch event.kind {
        case .connected:
            defer { (isCut, isUnreachable) = (false, false) }
            return isCut
        case .disconnected:
            isCut = true
            return true
        case .unreachable:
            defer { (isCut, isUnreachable) = (true, true) }
            return !isUnreachable
        case .serverLeaving, .notice: return true
        }
    }
}
