/// An operation that a server sends. Source: the NATS client protocol (docs.nats.io, reference, protocols).
package enum ServerOperation: Sendable, Hashable {
    /// INFO: at the start, and again when the cluster changes.
    case info(ServerInfo)
    /// MSG or HMSG: a message for the subscription `sid`.
    case message(sid: UInt64, NATSMessage)
    /// PING: the server wants a PONG.
    case ping
    case pong
    /// +OK, which only comes with `verbose`.
    case ok
    /// -ERR without its quotes, not made safe for a terminal.
    case error(String)
}
