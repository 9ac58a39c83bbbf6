/// A server's clock, read once and continued on the lease clock, which is never stepped.
public struct ServerClock: Sendable, Hashable {
    /// The time that the server gave.
    public var time: WallTime
    /// The moment to which `time` is attributed. With the moment of receipt, `time(at:)` lags rather than leads. With the middle between request and
    /// answer, it is off by at most half of the round trip.
    public var readAt: BootInstant

    public init(time: WallTime, readAt: BootInstant) {
        self.time = time
        self.readAt = readAt
    }

    /// The server's time at `moment`.
    public func time(at moment: BootInstant) -> WallTime { time + moment.duration(since: readAt) }
}
