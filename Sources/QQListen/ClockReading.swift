import QQCore

/// The lease clock and the wall clock at the same moment. A pause of a virtual machine shows as a jump of the wall clock, because the lease clock does
/// not count it.
public struct ClockReading: Sendable, Hashable {
    public var moment: BootInstant
    public var wall: WallTime

    public init(_ moment: BootInstant, wall: WallTime) {
        self.moment = moment
        self.wall = wall
    }

    /// The largest difference that is taken for an adjustment of the wall clock and not for a jump. The guardian has the same limit (`LARGEST_SLEW`).
    static let largestSlew = Duration.milliseconds(100)

    /// Reads both clocks. A process that is stopped between the two reads would see a jump: the clocks are read again if too much time has passed after
    /// that.
    public static func now(_ clock: () -> BootInstant, wall: () -> WallTime = WallTime.now) -> ClockReading {
        var reading = ClockReading(clock(), wall: wall())
        for _ in 0..<10 {
            if clock().duration(since: reading.moment) < .milliseconds(1) { break }
            reading = ClockReading(clock(), wall: wall())
        }
        return reading
    }

    /// Whether the wall clock has jumped ahead since an earlier reading.
    func hasJumped(since earlier: ClockReading) -> Bool {
        (wall - earlier.wall) - moment.duration(since: earlier.moment) >= Self.largestSlew
    }
}
