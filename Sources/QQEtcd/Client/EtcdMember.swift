/// A member of the cluster (Cluster/MemberList).
public struct EtcdMember: Sendable, Hashable {
    public var id: UInt64
    /// Empty if it has not been started yet.
    public var name: String
    public var clientURLs: [String]
    /// Whether it does not vote yet.
    public var isLearner: Bool

    public init(id: UInt64, name: String, clientURLs: [String], isLearner: Bool) {
        self.id = id
        self.name = name
        self.clientURLs = clientURLs
        self.isLearner = isLearner
    }
}

/// The state of a member (Maintenance/Status).
public struct EtcdStatus: Sendable, Hashable {
    public var clusterID: UInt64 = 0
    public var memberID: UInt64 = 0
    public var revision: Int64 = 0
    public var version = ""
    /// Size of the database file, in bytes.
    public var databaseSize: Int64 = 0
    /// Part of that size that is in use, in bytes.
    public var databaseSizeInUse: Int64 = 0
    /// The size at which the cluster refuses writes, in bytes; nil if the server does not report it (before 3.6).
    public var databaseQuota: Int64?
    /// The member that leads the cluster; 0 for none.
    public var leader: UInt64 = 0
    public var raftTerm: UInt64 = 0
    public var raftIndex: UInt64 = 0
    public var raftAppliedIndex: UInt64 = 0
    public var isLearner = false
    /// Alarms and other complaints, in the server's words.
    public var errors: [String] = []

    public init() {}
}

/// An alarm that a member has raised (Maintenance/Alarm).
public struct EtcdAlarm: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        case noSpace
        case corrupt
        case other(Int)
    }

    public var member: UInt64
    public var kind: Kind

    public init(member: UInt64, kind: Kind) {
        self.member = member
        self.kind = kind
    }
}
