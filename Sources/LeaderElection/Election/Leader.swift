internal import QQCore

/// The leader of an election, as the servers saw it at one moment.
public struct Leader: Sendable, Hashable {
    /// The identity that leads; nil if the system does not say who does.
    public let identity: String?
    /// The term's fencing token; nil if the system has none.
    public let token: FencingToken?
    /// Whether this process leads; nil if that cannot be told, for another process might use the same identity.
    public internal(set) var isUs: Bool?
    /// The time until the lease ends unless it is renewed, at that moment; nil if unknown.
    public let remaining: Duration?
    /// The note that the leader has left with the lease; nil if there is none, or if it is unknown.
    public let note: String?

    /// A leader with these properties.
    public init(identity: String?, token: FencingToken? = nil, isUs: Bool? = nil, remaining: Duration? = nil, note: String? = nil) {
        self.identity = identity
        self.token = token
        self.isUs = isUs
        self.remaining = remaining
        self.note = note
    }
}

extension Leader {
    /// The leader that a state shows; nil if it shows none.
    /// - Parameter identity: the identity under which this process asks.
    init?(_ state: QQCore.ElectionState, identity: String) {
        guard state.isLed || state.phase == .unknown else { return nil }
        self.init(
            identity: state.leader, token: state.token.map { FencingToken($0.value) },
            isUs: state.isOwn ?? (state.leader == identity ? nil : false), remaining: state.remaining, note: state.note)
    }
}
