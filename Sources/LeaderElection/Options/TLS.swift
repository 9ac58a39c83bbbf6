extension ElectionOptions {
    /// Files and names for TLS. All files are in PEM form.
    public struct TLS: Sendable, Hashable {
        /// The path of the certificates of the authorities that are trusted; nil for the machine's.
        public var authority: String?
        /// The path of the client's certificate chain; nil for none.
        public var certificate: String?
        /// The path of the client's private key; nil for none.
        public var key: String?
        /// The name that the servers' certificates must have; nil for the one in the URL.
        public var serverName: String?
        /// Whether TLS begins before the server speaks. NATS only.
        public var handshakeFirst: Bool

        /// TLS with the given files and names.
        public init(
            authority: String? = nil, certificate: String? = nil, key: String? = nil, serverName: String? = nil,
            handshakeFirst: Bool = false
        ) {
            self.authority = authority
            self.certificate = certificate
            self.key = key
            self.serverName = serverName
            self.handshakeFirst = handshakeFirst
        }
    }
}
