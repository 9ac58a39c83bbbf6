import QQCore
import QQNetwork

/// How calls reach a gRPC server.
public struct GRPCSettings: Sendable, Hashable {
    /// TLS options; nil for plain text.
    public var tls: TLSOptions?
    /// Size of the largest message that is sent or received, in bytes; gRPC's own limit.
    public var maximumMessage = 4 * 1024 * 1024

    /// The hint for a server that does not speak TLS although it should.
    public var plainTextHint = "without TLS, the server's URL begins with qq:// or raftlock://"

    /// Keepalive pings; nil for none.
    public var keepalive: Keepalive? = Keepalive()

    public init(tls: TLSOptions? = nil) { self.tls = tls }

    /// Pings over a connection that has been silent for a while, so that a dead connection is known before it is needed.
    public struct Keepalive: Sendable, Hashable {
        /// Silence after which the server is pinged. Never below 10 s: servers end connections because of faster pings (GOAWAY,
        /// `too_many_pings`).
        public internal(set) var interval: Duration
        /// Time that the server has to answer a ping.
        public var timeout: Duration

        public init(interval: Duration = .seconds(30), timeout: Duration = .seconds(5)) {
            self.interval = max(interval, .seconds(10))
            self.timeout = timeout
        }
    }
}
