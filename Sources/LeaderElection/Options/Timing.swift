internal import QQCore

/// The times of a lease.
struct Timing: Sendable, Hashable {
    var ttl: Duration
    var renewEvery: Duration
    /// The time from the cancellation of the work to the end of the lease.
    var stopTime: Duration

    /// A shorter lease would keep servers busy, and protect nothing.
    static let shortestTTL: Duration = .milliseconds(50)
    static let longestDefaultStop: Duration = .seconds(10)

    /// - Throws: `.usage` if the times do not go together.
    init(ttl: Duration, renewEvery: Duration?, stopTime: Duration?) throws(ElectionError) {
        self.ttl = ttl
        self.renewEvery = renewEvery ?? ttl / 3
        self.stopTime = stopTime ?? min(ttl / 3, Self.longestDefaultStop)
        guard ttl >= Self.shortestTTL else {
            throw Self.wrong(
                "a TTL of \(DurationText.format(ttl)) is too short", "choose one of at least \(DurationText.format(Self.shortestTTL))")
        }
        guard self.renewEvery > .zero, self.stopTime >= .zero else {
            throw Self.wrong("the times of a lease cannot be negative", "leave renewEvery and stopTime out for their defaults")
        }
        guard self.renewEvery < ttl else {
            throw Self.wrong(
                "renewing every \(DurationText.format(self.renewEvery)) is too rare for a TTL of \(DurationText.format(ttl))",
                "a third of the TTL leaves room for a failure: leave renewEvery out")
        }
        // Work is cancelled this long before the end, which must not come before the first renewal is due.
        guard self.stopTime < ttl - self.renewEvery else {
            throw Self.wrong(
                "a stopTime of \(DurationText.format(self.stopTime)) leaves no time to renew: a TTL of \(DurationText.format(ttl)) renewed every "
                    + "\(DurationText.format(self.renewEvery)) has room for less than \(DurationText.format(ttl - self.renewEvery))",
                "choose a longer ttl or a shorter stopTime")
        }
    }

    /// The same for a lease that was granted for a shorter time than was asked for: renewals are more frequent by the same factor.
    func fitting(_ granted: Duration) -> Timing {
        guard granted > .zero, granted < ttl else { return self }
        var fitted = self
        let share = granted.seconds / ttl.seconds
        fitted.ttl = granted
        fitted.renewEvery = .seconds(saturating: renewEvery.seconds * share)
        fitted.stopTime = .seconds(saturating: stopTime.seconds * share)
        return fitted
    }

    /// The time before the end from which on the lease does not count as held: an answer takes time to be acted on, and clocks differ.
    var margin: Duration { min(max(ttl / 20, .milliseconds(20)), .seconds(1)) }

    private static func wrong(_ what: String, _ hint: String) -> ElectionError { ElectionError(.usage, what, hint: hint) }
}
