import QQCore
import QQNetwork

/// How requests reach an HTTP server, and the limits on its answers.
public struct HTTPSettings: Sendable, Hashable {
    /// TLS options, for a server whose scheme is https.
    public var tls = TLSOptions()
    /// The hint for a server that does not speak TLS although it should.
    public var plainTextHint = "without TLS, the server's URL begins with http://"
    /// The hint for a server that speaks TLS although it should not.
    public var tlsHint = "With TLS, the server's URL begins with https://"
    /// The proxy; nil for none.
    public var proxy: HTTPProxy?
    /// Size of the largest body of an answer, in bytes.
    public var maximumAnswer = 16 * 1024 * 1024
    /// Size of the largest line of a streamed answer, in bytes. A reader that does not read holds about as much at most.
    public var maximumLine = 4 * 1024 * 1024
    /// Largest number of streamed answers at a time. They go over connections of their own, so that calls never wait for them.
    public var maximumStreams = 2_000
    /// Largest number of connections for streamed answers at a time; over HTTP/1.1 each needs its own.
    public var maximumStreamConnections = 256
    /// Largest number of connections for calls at a time. Further calls wait for each other.
    public var maximumConnections = 16
    /// Time for each try to connect, including the handshakes with proxy and server. The call's deadline ends it earlier.
    public var connectTimeout: Duration = .seconds(20)
    /// HTTP/2: silence after which the server is pinged (RFC 9113, section 6.7). A connection whose ping is not answered for as long again is ended.
    public var keepalive: Duration = .seconds(15)

    public init() {}
}
