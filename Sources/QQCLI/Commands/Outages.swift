import QQCore

/// The outages that the elections of one process ride out, of which each is reported once, whatever number of elections it affects. Pure.
struct Outages {
    private struct Cause: Hashable {
        let reason: String
        let location: String?

        init(_ error: CoordinationError) {
            reason = error.reason
            location = error.location
        }
    }

    private var causes: [String: Cause] = [:]
    private var reported: Set<Cause> = []
    private var isCut = false

    /// Takes an event of the connection, which is reported by itself.
    mutating func take(_ event: ConnectionEvent) {
        switch event.kind {
        case .connected: isCut = false
        case .disconnected, .unreachable: isCut = true
        case .serverLeaving, .notice: break
        }
    }

    /// The outage of an election begins.
    /// - Returns: whether to report it.
    mutating func begins(_ error: CoordinationError, of name: String) -> Bool {
        let cause = Cause(error)
        causes[name] = cause
        return !isCut && reported.insert(cause).inserted
    }

    /// The outage of an election is over.
    /// - Returns: whether to report it: its beginning was reported, and no other election is affected any more.
    mutating func ends(of name: String) -> Bool {
        guard let cause = causes.removeValue(forKey: name), !causes.values.contains(cause) else { return false }
        return reported.remove(cause) != nil
    }
}
