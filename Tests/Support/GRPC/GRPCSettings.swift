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
    /// At this age a connection is told to go: GOAWAY, and a second one that names the last stream. nil for never.
    public var connectionAge: Duration?
    /// How long calls that run then may still take.
    public var connectionGrace = Duration.seconds(5)
    /// How often clients may ping; a few pings that come sooner bring GOAWAY `too_many_pings`. nil for every five minutes, and never
    /// without a call.
    public var clientPings: Duration?
    /// How often the server pings; nil for never. An answer that takes longer than five seconds ends the connection.
    public var serverPings: Duration?
    /// The largest request, in bytes.
    public var maximumMessage = 4 << 20

    public init() {}

    func configuration(_ channels: GRPCChannels) -> HTTP2ServerTransport.Posix.Config {
        .defaults { configuration in
            configuration.connection.maxAge = connectionAge
            configuration.connection.maxGraceTime = connectionGrace
            // It gathers answers for a tenth of a millisecond, which a benchmark would see.
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
