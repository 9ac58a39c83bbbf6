import QQCore
import Testing

@Suite("A retry policy")
struct RetryPolicyTests {
    private let policy = RetryPolicy(maximumRetries: 3, initial: .milliseconds(100), maximum: .seconds(1), multiplier: 2, jitter: 0)

    private let passing = CoordinationError(.unavailable, "cannot ask", because: "Connection refused")

    @Test("each retry pause is a multiple of the previous one, up to the maximum", arguments: zip(1...6, [100, 200, 400, 800, 1000, 1000]))
    func pauses(retry: Int, milliseconds: Int) {
        #expect(policy.pause(before: retry, random: 0.5) == .milliseconds(milliseconds))
    }

    @Test("a retry policy allows its number of retries and no more") func numberOfRetries() {
        #expect((0...5).map { policy.allows(retry: $0, after: passing) } == [true, true, true, true, false, false])
    }

    @Test("a retry policy retries transient failures, or the codes that it names") func retriesTransientFailuresOrNamedCodes() {
        let denied = CoordinationError(.denied, "cannot ask", because: "Permission denied")
        #expect(!policy.allows(retry: 1, after: denied))
        var named = policy
        named.codes = ["no-leader"]
        func coded(_ error: CoordinationError, _ code: String) -> CoordinationError {
            var error = error
            error.code = code
            return error
        }
        #expect(named.allows(retry: 1, after: coded(passing, "no-leader")))
        #expect(!named.allows(retry: 1, after: coded(passing, "timeout")))
        #expect(named.allows(retry: 1, after: coded(denied, "no-leader")))
        #expect(!named.allows(retry: 4, after: coded(passing, "no-leader")))
        // A failure for which the system has no code cannot be in a list of codes.
        #expect(named.allows(retry: 1, after: passing))
    }

    @Test("a retry policy without a maximum allows retries forever") func endlessRetries() {
        var endless = policy
        endless.maximumRetries = nil
        #expect(endless.allows(retry: .max, after: passing))
    }

    @Test("the jitter varies a retry pause in both directions") func jitter() {
        var varied = policy
        varied.jitter = 0.2
        #expect(varied.pause(before: 1, random: 0) == .milliseconds(80))
        #expect(varied.pause(before: 1, random: 0.5) == .milliseconds(100))
        #expect(varied.pause(before: 1, random: 0.75) == .milliseconds(110))
    }

    @Test("a retry pause is never longer than the maximum", arguments: [0, 0.1, 0.2, 0.5, 1])
    func maximum(jitter: Double) {
        var varied = policy
        varied.jitter = jitter
        for retry in 1...20 {
            for random in [0, 0.5, 0.999_999_999] { #expect(varied.pause(before: retry, random: random) <= .seconds(1)) }
        }
    }

    @Test("the jitter spreads retry pauses that have reached the maximum") func jitterAtTheMaximum() {
        var varied = policy
        varied.jitter = 0.2
        let pauses = Set([0, 0.25, 0.5, 0.75, 0.99].map { varied.pause(before: 30, random: $0) })
        #expect(pauses.count == 5)
    }

    @Test("meaningless retry settings never lead to a negative pause") func meaninglessSettings() {
        let wild = [0, -1, .infinity, .nan, 1e300].flatMap { multiplier in
            [0, 5, .infinity, .nan, -3].map {
                RetryPolicy(maximumRetries: nil, initial: .seconds(1), maximum: .seconds(1 << 40), multiplier: multiplier, jitter: $0)
            }
        }
        for policy in wild {
            for retry in [1, 2, 50] { #expect(policy.pause(before: retry, random: 0.9) >= .zero) }
        }
    }
}
