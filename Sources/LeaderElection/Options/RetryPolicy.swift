internal import QQCore

extension ElectionOptions {
    /// The pauses between requests after failures. A value that is nil is the system's default.
    public struct RetryPolicy: Sendable, Hashable {
        /// The pause before the first retry. By default 200 milliseconds on most systems.
        public var initial: Duration?
        /// The longest pause. By default 5 seconds on most systems.
        public var maximum: Duration?
        /// The fraction of each pause by which it varies at random, in both directions; 0 to 1. By default 0.2 on most systems.
        public var jitter: Double?
        /// The number of retries of a request if `wait` is ``ElectionOptions/WaitPolicy/no``. A process that waits rides outages out, and a
        /// lease that is held is renewed again as long as it lasts. By default 3.
        public var retries: Int?

        /// A policy with the given values, and the system's defaults for the others.
        public init(initial: Duration? = nil, maximum: Duration? = nil, jitter: Double? = nil, retries: Int? = nil) {
            self.initial = initial
            self.maximum = maximum
            self.jitter = jitter
            self.retries = retries
        }
    }
}

extension ElectionOptions.RetryPolicy {
    /// The system's policy with the values that are given here.
    func applied(to system: QQCore.RetryPolicy) -> QQCore.RetryPolicy {
        var policy = system
        if let initial { policy.initial = initial }
        if let maximum { policy.maximum = maximum }
        if policy.initial > policy.maximum {
            if initial == nil { policy.initial = policy.maximum } else { policy.maximum = policy.initial }
        }
        if let jitter { policy.jitter = jitter }
        if let retries { policy.maximumRetries = retries }
        return policy
    }

    /// Why the values cannot be used; nil if they can.
    var problem: (reason: String, hint: String)? {
        if let initial, initial <= .zero { return ("a pause between retries must be longer than nothing", "choose a longer initial pause") }
        if let maximum, maximum <= .zero { return ("a pause between retries must be longer than nothing", "choose a longer maximum") }
        if let initial, let maximum, maximum < initial {
            return ("the longest pause is shorter than the first one", "swap initial and maximum")
        }
        if let jitter, !(0...1).contains(jitter) { return ("a jitter is a fraction from 0 to 1", "0.2 is common") }
        if let retries, retries < 0 { return ("a number of retries must not be negative", "0 is none") }
        return nil
    }
}
