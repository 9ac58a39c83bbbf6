import GRPCCore

/// The calls of etcd, by service and name.
enum EtcdMethod: String, Sendable, Hashable, CaseIterable {
    case range = "KV/Range"
    case transact = "KV/Txn"
    case grant = "Lease/LeaseGrant"
    case revoke = "Lease/LeaseRevoke"
    case timeToLive = "Lease/LeaseTimeToLive"
    case keepAlive = "Lease/LeaseKeepAlive"
    case watch = "Watch/Watch"
    case members = "Cluster/MemberList"
    case status = "Maintenance/Status"
    case alarms = "Maintenance/Alarm"
    case authenticate = "Auth/Authenticate"

    var descriptor: MethodDescriptor {
        let parts = rawValue.split(separator: "/")
        let isStream = self == .keepAlive || self == .watch
        return MethodDescriptor(
            fullyQualifiedService: "etcdserverpb.\(parts[0])", method: "\(parts[1])", type: isStream ? .bidirectionalStreaming : .unary)
    }

    /// The metadata of a call.
    /// - Parameters:
    ///   - needsLeader: whether to be refused, or cut off, at once by a member that sees no leader.
    ///   - token: of the user who is logged in; nil for none.
    static func metadata(needsLeader: Bool, token: String?) -> Metadata {
        var metadata: Metadata = [:]
        if needsLeader { metadata.addString("true", forKey: "hasleader") }
        if let token { metadata.addString(token, forKey: "token") }
        return metadata
    }
}
