/// What happens to the connection, for people and logs.
public enum NATSEvent: Sendable, Hashable {
    case connected(NATSOptions.Address, version: String)
    /// The connection was cut; it is tried again until the client is closed.
    case disconnected(NATSError)
    /// No server could be reached; the next round comes after this pause.
    case unreachable(NATSError, retryAfter: Duration)
    /// The server is about to shut down (lame duck mode): we go to another.
    case leaving(NATSOptions.Address)
    /// Servers that we did not know of.
    case discovered([NATSOptions.Address])
    /// Messages on this subject came faster than they were read, and this many were dropped.
    case slowConsumer(subject: String, dropped: Int)
    /// The server complains, and the connection lives on.
    case complaint(String)
}
