import QQCore
import QQNetwork

/// How calls reach a gRPC server.
public struct GRPCSettings: Sendable, Hashable {
    /// nil for plain text.
    public var tls: TLSOptions?
    /// The largest message that is sent or taken, in bytes. gRPC's own limit.
    public var maximumMessage = 4 * 1024 * 1024

    /// nil for none.
    public var keepalive: Keepalive? = Keepalive()

    public init(tls: TLSOptions? = nil) { self.tls = tls }

    /// Pings over a connection on which nothing has come for a while, so that a dead one is known before it is needed.
    public struct Keepalive: Sendable, Hashable {
        /// How long nothing may come before the server is asked if it is there. Never below 10 s: servers end connections over faster pings (GOAWAY,
        /// `too_many_pings`).
        public internal(set) var interval: Duration
        /// How long it may take to answer that.
        public var timeout: Duration

        public init(interval: Duration = .seconds(30), timeout: Duration = .seconds(5)) {
            self.interval = max(interval, .seconds(10))
            self.timeout = timeout
        }
    }
}
