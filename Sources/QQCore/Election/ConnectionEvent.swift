/// An event of the connection to a system.
public struct ConnectionEvent: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        case connected
        /// The connection was lost, and is being restored.
        case disconnected
        /// No server could be reached; the attempts continue.
        case unreachable
        /// The server is about to shut down; the connection moves to another one.
        case serverLeaving = "server_leaving"
        /// Anything else that an operator should know.
        case notice
    }

    public var kind: Kind
    /// The server, and the reason.
    public var text: String

    public init(_ kind: Kind, _ text: String) {
        self.kind = kind
        self.text = text
    }
}
