/// The status of a system: its endpoints, and the members of its elections if it knows them.
public struct ClusterReport: Sendable, Hashable {
    public var endpoints: [EndpointStatus]
    /// Empty if the system knows no members, or if none answered.
    public var members: [MemberStatus]

    public init(endpoints: [EndpointStatus], members: [MemberStatus] = []) {
        self.endpoints = endpoints
        self.members = members
    }
}

/// A member of an election, which answers requests for its status.
public struct MemberStatus: Sendable, Hashable {
    public enum Role: String, Sendable, Hashable, CaseIterable {
        /// The member says that it leads.
        case leader
        /// The member says that it does not lead.
        case follower
        /// Not known.
        case unknown
    }

    /// The election; of a slot, the name that the slots share.
    public var election: String
    /// The slot of the election; nil if the election has none.
    public var slot: Slot?
    /// The member's identity.
    public var id: String
    public var role: Role
    /// The leader, as the member knows it.
    public var leader: String?
    /// The number of the term, as the member knows it.
    public var epoch: UInt64?
    public var uptime: Duration?
    /// The version that the member was configured with.
    public var version: String?
    /// The time that its answer took.
    public var roundTrip: Duration?
    /// A problem, such as a missing answer.
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
