/// One alarm that is set anew again and again, over sleeps that cannot be called off: a sleep that ends early enough serves the next setting, too, so
/// that few of them lie around. Pure.
struct Alarm: Sendable {
    enum Wake: Sendable, Hashable {
        case rings
        /// It was set to something else meanwhile; sleep until this moment, unless another sleep does.
        case sleepsOn(BootInstant?)
    }

    private var rings: BootInstant?
    /// When the sleeps end that have begun.
    private var sleeps: [BootInstant] = []

    /// Replaces what it was set to.
    /// - Returns: the moment to sleep until; nil where a sleep that has begun ends before.
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
