/// How often a request is retried after a transient failure, and the pauses between.
public struct RetryPolicy: Sendable, Hashable {
    /// Retries after the first attempt; nil for no limit.
    public var maximumRetries: Int?
    /// The pause before the first retry.
    public var initial: Duration
    /// The longest pause.
    public var maximum: Duration
    /// Factor by which each pause is longer than the previous one.
    public var multiplier: Double
    /// Each pause is varied by up to this fraction of it, in both directions, so that many clients do not come back together.
    public var jitter: Double
    /// The codes of failures to retry, for failures that have a code; nil for all transient ones.
    public var codes: Set<String>?

    public init(
        maximumRetries: Int? = 3, initial: Duration = .milliseconds(200), maximum: Duration = .seconds(5), multiplier: Double = 2,
        jitter: Double = 0.2, codes: Set<String>? = nil
    ) {
        self.maximumRetries = maximumRetries
        self.initial = initial
        self.maximum = maximum
        self.multiplier = multiplier
        self.jitter = jitter
        self.codes = codes
    }

    /// Whether retry number `retry` (from 1) is allowed after `error`.
    public func allows(retry: Int, after error: CoordinationError) -> Bool {
        guard maximumRetries.map({ retry <= $0 }) ?? true else { return false }
        guard let codes, let code = error.code else { return error.isTransient }
        return codes.contains(code)
    }

    /// The pause before retry number `retry` (from 1). `random` is in 0..<1.
    public func pause(before retry: Int, random: Double) -> Duration {
        var seconds = initial.seconds
        for _ in 1..<max(retry, 1) {
            seconds *= multiplier
            if seconds >= maximum.seconds { break }
        }
        // The jitter stays within the maximum instead of being cut off there: clients that have backed off fully must not meet.
        seconds = min(seconds, maximum.seconds / (1 + jitter))
        let nanoseconds = seconds * (1 + jitter * (2 * random - 1)) * 1e9
        // Meaningless settings, such as NaN as a multiplier, result in no pause rather than in a trap.
        guard nanoseconds > 0 else { return .zero }
        return min(.nanoseconds(Int64(exactly: nanoseconds.rounded(.down)) ?? .max), maximum)
    }

    /// Sends a request, and sends it again after each failure for which a retry is allowed.
    ///
    /// - Parameters:
    ///   - clock: what the pauses are slept on.
    ///   - report: called with a failure and the pause before the retry.
    ///   - request: must be harmless if it is carried out twice.
    /// - Throws: the last failure, if no retry is allowed, or the task is cancelled during a pause.
    public func retrying<Answer: Sendable>(
        on clock: any LeaseClock, report: (CoordinationError, Duration) -> Void,
        request: () async throws(CoordinationError) -> Answer
    ) async throws(CoordinationError) -> Answer {
        var retry = 0
        while true {
            do throws(CoordinationError) { return try await request() } catch {
                retry += 1
                guard allows(retry: retry, after: error) else { throw error }
                let pause = pause(before: retry, random: Double.random(in: 0..<1))
                report(error, pause)
                guard (try? await clock.sleep(for: pause)) != nil else { throw error }
            }
        }
    }
}
