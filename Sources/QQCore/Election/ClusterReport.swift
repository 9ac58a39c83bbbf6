/// How a system does: its endpoints, and those who take part in its elections, where it knows them.
public struct ClusterReport: Sendable, Hashable {
    public var endpoints: [EndpointStatus]
    /// Empty where the system knows no members, and where none answered.
    public var members: [MemberStatus]

    public init(endpoints: [EndpointStatus], members: [MemberStatus] = []) {
        self.endpoints = endpoints
        self.members = members
    }
}

/// One who takes part in an election and can be asked how it does.
public struct MemberStatus: Sendable, Hashable {
    public enum Role: String, Sendable, Hashable, CaseIterable {
        /// It says that it leads.
        case leader
        /// It says that it does not.
        case follower
        /// It has not said.
        case unknown
    }

    /// What it takes part in.
    public var election: String
    /// Its identity.
    public var id: String
    public var role: Role
    /// Who leads, as it sees it.
    public var leader: String?
    /// The term, as it sees it.
    public var epoch: UInt64?
    public var uptime: Duration?
    /// The version that it was configured with.
    public var version: String?
    /// How long its answer took.
    public var roundTrip: Duration?
    /// What is wrong with it, such as that it did not answer.
    public var problem: String?

    public init(
        election: String, id: String, role: Role = .unknown, leader: String? = nil, epoch: UInt64? = nil, uptime: Duration? = nil,
        version: String? = nil, roundTrip: Duration? = nil, problem: String? = nil
    ) {
        self.election = election
        self.id = id
        self.role = role
        self.leader = leader
        self.epoch = epoch
        self.uptime = uptime
        self.version = version
        self.roundTrip = roundTrip
        self.problem = problem
    }
}
