import GRPCNIOTransportHTTP2Posix

/// How a test's gRPC server treats its connections.
public struct GRPCServerSettings: Sendable {
    public struct TLS: Sendable {
        public var certificates: Certificates
        /// Whether clients must show a certificate of the same authority.
        public var verifiesClients: Bool

        public init(_ certificates: Certificates, verifiesClients: Bool = false) {
            self.certificates = certificates
            self.verifiesClients = verifiesClients
        }
    }

    public var tls: TLS?
    /// Age at which a connection is ended with GOAWAY, followed by a second GOAWAY that names the last stream. nil for never.
    public var connectionAge: Duration?
    /// Time that running calls get after that.
    public var connectionGrace = Duration.seconds(5)
    /// Shortest interval at which clients are allowed to ping. A few pings that come sooner lead to GOAWAY `too_many_pings`. nil for five minutes, and
    /// for no pings without a call.
    public var clientPings: Duration?
    /// Interval at which the server pings; nil for never. If an answer takes longer than five seconds, the connection ends.
    public var serverPings: Duration?
    /// The largest request, in bytes.
    public var maximumMessage = 4 << 20

    public init() {}

    func configuration(_ channels: GRPCChannels) -> HTTP2ServerTransport.Posix.Config {
        .defaults { configuration in
            configuration.connection.maxAge = connectionAge
            configuration.connection.maxGraceTime = connectionGrace
            // Coalescing gathers answers for a tenth of a millisecond, which would show in a benchmark.
            configuration.connection.flushCoalescing = nil
            if let clientPings {
                configuration.connection.keepalive.clientBehavior.minPingIntervalWithoutCalls = clientPings
                configuration.connection.keepalive.clientBehavior.allowWithoutCalls = true
            }
            if let serverPings {
                configuration.connection.keepalive.time = serverPings
                configuration.connection.keepalive.timeout = .seconds(5)
            }
            configuration.rpc.maxRequestPayloadSize = maximumMessage
            configuration.channelDebuggingCallbacks = channels.callbacks
        }
    }

    var security: HTTP2ServerTransport.Posix.TransportSecurity {
        guard let tls else { return .plaintext }
        return .tls(
            certificateChain: [.file(path: tls.certificates.server.certificate, format: .pem)],
            privateKey: .file(path: tls.certificates.server.key, format: .pem)
        ) { configuration in
            if tls.verifiesClients {
                configuration.clientCertificateVerification = .noHostnameVerification
                configuration.trustRoots = .certificates([.file(path: tls.certificates.authority, format: .pem)])
            }
        }
    }
}
