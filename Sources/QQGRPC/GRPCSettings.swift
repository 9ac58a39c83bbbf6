import QQCore
import QQNetwork

/// How calls reach a gRPC server.
public struct GRPCSettings: Sendable, Hashable {
    /// nil for plain text.
    public var tls: TLSOptions?
    /// The largest message that is sent or taken, in bytes. gRPC's own limit.
    public var maximumMessage = 4 * 1024 * 1024

    public init(tls: TLSOptions? = nil) { self.tls = tls }
}
