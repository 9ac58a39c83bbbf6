/// Tells that a lease which somebody watches was renewed: the system says so, or it ends later than when it was last seen.
public struct RenewalDetector: Sendable {
    private var end: BootInstant?
    private var renewedAt: WallTime?

    /// By how much the end has to move: times told over a network waver.
    private static let least: Duration = .milliseconds(50)

    public init() {}

    /// Takes in what was seen just now.
    /// - Returns: whether it is the lease seen before, renewed.
    public mutating func isRenewed(_ state: ElectionState, at now: BootInstant) -> Bool {
        let before = (end: end, renewedAt: renewedAt)
        end = state.isLed ? state.remaining.map { now + $0 } : nil
        renewedAt = state.isLed ? state.renewedAt : nil
        if let then = before.renewedAt, let renewedAt { return renewedAt != then }
        guard let then = before.end, let end else { return false }
        return end > then + Self.least
    }
}
