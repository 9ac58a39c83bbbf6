import QQCore

/// The configuration file of the Go library and its tool, `cluster.json`, as far as it says something to us.
///
/// As Go reads it: names of keys in any case, null and empty values as if they were not there. Keys that are not known are passed over.
public struct ClusterFile: Sendable, Hashable {
    /// Where it was read.
    public let path: String
    /// `clusterId`: the election.
    public var clusterID: String?
    /// `nodeId`: our identity.
    public var nodeID: String?
    /// `nats.servers`, as one URL; what they hold of credentials is in its user, password and token.
    public var server: ServerURL?
    /// `nats.credentials`: the path of a `.creds` file; a relative one is meant from the file's own folder.
    public var credentialsPath: String?
    /// `nats.reconnectWaitMs`.
    public var reconnectWait: Duration?
    /// `nats.maxReconnects`: read, and not followed: while a lease may be ours we never give up.
    public var maximumReconnects: Int64?
    /// `vip`.
    public var vip: VIP?
    /// `election.leaseTtlMs`.
    public var leaseTTL: Duration?
    /// `election.heartbeatIntervalMs`, which v2 has, or `election.renewIntervalMs`, which v1 has.
    public var renewEvery: Duration?
    /// The format of nodes with such a file; nil where it does not tell.
    public var format: LeaseFormat?
    /// `service.version`.
    public var serviceVersion: String?
    /// What was passed over: `election.quorum`.
    public var unknownKeys: [String] = []

    /// The address that the leader has.
    public struct VIP: Sendable, Hashable {
        public var address: String
        /// The length of the prefix, or a mask in dots.
        public var netmask: String
        public var interface: String

        /// As `--vip` takes it: `10.0.0.9/24@eth0`.
        public var text: String { "\(address)/\(netmask)@\(interface)" }
    }

    init(path: String) { self.path = path }
}

extension ClusterFile {
    /// What it says, on top of `settings` that its server or another one gave.
    public func apply(to settings: inout NATSSettings) {
        settings.leaseTTL = leaseTTL
        if let format { settings.formatToCreate = format }
        if let serviceVersion { settings.serviceVersion = serviceVersion }
        if let reconnectWait {
            settings.options.reconnectWait = reconnectWait
            settings.options.reconnectWaitMaximum = max(settings.options.reconnectWaitMaximum, reconnectWait)
        }
    }

    /// What it names to log in with.
    public var logins: [NATSLogin] {
        var logins: [NATSLogin] = []
        if let server, let login = NATSLogin.inURL(server, source: "nats.servers in \(path)") { logins.append(login) }
        if let credentialsPath { logins.append(NATSLogin("nats.credentials in \(path)", .credentialsFile(credentialsPath))) }
        return logins
    }
}
