import QQCore

/// `cluster.json`, the configuration file of the Go library and its tool: the parts that `qq` uses.
///
/// Read as Go reads the file: the case of keys does not matter, and null and empty values count as missing. Unknown keys are ignored.
public struct ClusterFile: Sendable, Hashable {
    /// The system whose clusters such files describe.
    public static let system = ServerURL.System.nats

    /// Path from which the file was read.
    public let path: String
    /// `clusterId`: the election.
    public var clusterID: String?
    /// `nodeId`: the identity.
    public var nodeID: String?
    /// `nats.servers`, as one URL. The URL's user, password and token are the credentials that the servers contain.
    public var server: ServerURL?
    /// `nats.credentials`: the path of a `.creds` file; a relative path starts at the folder of the cluster file.
    public var credentialsPath: String?
    /// `nats.reconnectWaitMs`.
    public var reconnectWait: Duration?
    /// `nats.maxReconnects`: read but ignored. `qq` never stops reconnecting while it might hold a lease.
    public var maximumReconnects: Int64?
    /// `vip`.
    public var vip: VIP?
    /// `election.leaseTtlMs`.
    public var leaseTTL: Duration?
    /// `election.heartbeatIntervalMs` of v2, or `election.renewIntervalMs` of v1.
    public var renewEvery: Duration?
    /// The lease format of nodes that use this file; nil if the file does not show it.
    public var format: LeaseFormat?
    /// `service.version`.
    public var serviceVersion: String?
    /// The ignored keys, such as `election.quorum`.
    public var unknownKeys: [String] = []

    /// The virtual address that the leader carries.
    public struct VIP: Sendable, Hashable {
        public var address: String
        /// The prefix length, or a dotted mask.
        public var netmask: String
        public var interface: String

        /// The value for `--vip`: `10.0.0.9/24@eth0`.
        public var text: String { "\(address)/\(netmask)@\(interface)" }
    }

    init(path: String) { self.path = path }
}

extension ClusterFile {
    /// Applies the file to `settings`, which were made from its server or another one.
    public func apply(to settings: inout NATSSettings) {
        settings.leaseTTL = leaseTTL
        if let format { settings.formatToCreate = format }
        if let serviceVersion { settings.serviceVersion = serviceVersion }
        if let reconnectWait {
            settings.options.reconnectWait = reconnectWait
            settings.options.reconnectWaitMaximum = max(settings.options.reconnectWaitMaximum, reconnectWait)
        }
    }

    /// The logins that the file names.
    public var logins: [NATSLogin] {
        var logins: [NATSLogin] = []
        if let server, let login = NATSLogin.inURL(server, source: "nats.servers in \(path)") { logins.append(login) }
        if let credentialsPath { logins.append(NATSLogin("nats.credentials in \(path)", .credentialsFile(credentialsPath))) }
        return logins
    }
}
