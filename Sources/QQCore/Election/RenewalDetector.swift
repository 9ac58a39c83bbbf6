/// Detects renewals of a watched lease: the system reports one, or the lease ends later than at the previous read.
public struct RenewalDetector: Sendable {
    private var end: BootInstant?
    private var renewedAt: WallTime?

    /// The least by which the end must move: times read over a network vary.
    private static let least: Duration = .milliseconds(50)

    public init() {}

    /// Takes the state that was just read.
    /// - Returns: whether it shows the previous lease, renewed.
    public mutating func isRenewed(_ state: ElectionState, at now: BootInstant) -> Bool {
        let before = (end: end, renewedAt: renewedAt)
        end = state.isLed ? state.remaining.map { now + $0 } : nil
        renewedAt = state.isLed ? state.renewedAt : nil
        if let then = before.renewedAt, let renewedAt { return renewedAt != then }
        guard let then = before.end, let end else { return false }
        return end > then + Self.least
    }
}
