/// A delivery of a subscription.
public enum NATSDelivery: Sendable, Hashable {
    case message(NATSMessage)
    /// The connection was cut: messages are missed from now on.
    case disconnected
    /// The subscription is active again; messages sent in between were missed.
    case reconnected
    /// The subscription has ended.
    case failed(NATSError)
}
