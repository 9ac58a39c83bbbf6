/// The status of one endpoint of a system.
public struct EndpointStatus: Sendable, Hashable {
    public var endpoint: String
    public var isReachable: Bool
    /// Whether it could grant a lease now, as far as can be seen.
    public var canGrant: Bool
    /// The endpoint's fault; nil if it has none.
    public var problem: String?
    /// The time of one request and its answer.
    public var roundTrip: Duration?
    /// Everything else that the system reports, in the order to show.
    public var details: [StatusDetail]

    public init(
        endpoint: String, isReachable: Bool, canGrant: Bool, problem: String? = nil, roundTrip: Duration? = nil,
        details: [StatusDetail] = []
    ) {
        self.endpoint = endpoint
        self.isReachable = isReachable
        self.canGrant = canGrant
        self.problem = problem
        self.roundTrip = roundTrip
        self.details = details
    }
}
