/// What a subscription hands over.
public enum NATSDelivery: Sendable, Hashable {
    case message(NATSMessage)
    /// The connection was cut: messages are missed from now on.
    case disconnected
    /// The subscription stands again; what was sent meanwhile was missed.
    case reconnected
    /// The subscription has ended.
    case failed(NATSError)
}
