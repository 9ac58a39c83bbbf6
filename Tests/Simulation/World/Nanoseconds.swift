import QQCore

/// Nanoseconds: of world time since the world began, which no clock of a host shows, or a length of it.
public typealias Nanoseconds = Int64

extension Nanoseconds {
    public static func microseconds(_ count: Int64) -> Nanoseconds { count * 1_000 }
    public static func milliseconds(_ count: Int64) -> Nanoseconds { count * 1_000_000 }
    public static func seconds(_ count: Int64) -> Nanoseconds { count * 1_000_000_000 }

    /// Later than everything that happens.
    public static let never = Nanoseconds.max / 4

    public var asDuration: Duration { .nanoseconds(self) }
}
