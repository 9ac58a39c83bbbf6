/// What happens to the connection to a system.
public struct ConnectionEvent: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        case connected
        /// It was cut, and is tried again.
        case disconnected
        /// No server could be reached; it is tried again.
        case unreachable
        /// The server is about to shut down, and another one is gone to.
        case serverLeaving = "server_leaving"
        /// Something else that an operator should know of.
        case notice
    }

    public var kind: Kind
    /// Which server, and why.
    public var text: String

    public init(_ kind: Kind, _ text: String) {
        self.kind = kind
        self.text = text
    }
}
