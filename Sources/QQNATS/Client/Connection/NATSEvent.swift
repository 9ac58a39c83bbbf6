import QQCore

/// An event of the connection, for users and logs.
public enum NATSEvent: Sendable, Hashable {
    case connected(NATSOptions.Address, version: String)
    /// The connection was cut; the client tries to reconnect until it is closed.
    case disconnected(NATSError)
    /// No server could be reached; the next round comes after this pause.
    case unreachable(NATSError, retryAfter: Duration)
    /// The server is about to shut down (lame duck mode). The client moves to another one, if there is one.
    case leaving(NATSOptions.Address)
    /// Servers that were unknown until now.
    case discovered([NATSOptions.Address])
    /// The server complained, and the connection continues.
    case complaint(String)
}

extension ConnectionEvent {
    init(_ event: NATSEvent) {
        switch event {
        case .connected(let address, let version): self.init(.connected, "\(address), nats-server \(Printable.text(version))")
        case .disconnected(let error): self.init(.disconnected, error.description)
        case .unreachable(let error, let pause):
            self.init(.unreachable, "\(error); trying again in \(DurationText.brief(pause))")
        case .leaving(let address): self.init(.serverLeaving, "\(address) is shutting down")
        case .discovered(let addresses):
            self.init(.notice, "more servers: " + addresses.map(\.description).joined(separator: ", "))
        case .complaint(let text): self.init(.notice, "the server says: " + Printable.text(text))
        }
    }
}
