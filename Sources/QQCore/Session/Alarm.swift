/// One alarm that is reset many times, on top of sleeps that cannot be cancelled. A sleep that ends early enough also serves the next setting, which
/// keeps the number of sleeps small. Pure.
struct Alarm: Sendable {
    enum Wake: Sendable, Hashable {
        case rings
        /// The alarm was reset in the meantime; sleep until this moment, if it is given.
        case sleepsOn(BootInstant?)
    }

    private var rings: BootInstant?
    /// The ends of the sleeps under way.
    private var sleeps: [BootInstant] = []

    /// Replaces the setting.
    /// - Returns: the moment to sleep until; nil if a sleep under way ends before.
    mutating func set(to instant: BootInstant) -> BootInstant? {
        rings = instant
        if sleeps.contains(where: { $0 <= instant }) { return nil }
        sleeps.append(instant)
        return instant
    }

    /// The sleep until `instant` has ended.
    mutating func woke(from instant: BootInstant, at now: BootInstant) -> Wake {
        if let index = sleeps.firstIndex(of: instant) { sleeps.remove(at: index) }
        guard let due = rings else { return .sleepsOn(nil) }
        if now >= due {
            rings = nil
            return .rings
        }
        return .sleepsOn(due)
    }
}
