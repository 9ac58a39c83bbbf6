import QQCore
import Testing

@Suite("A retry policy")
struct RetryPolicyTests {
    private let policy = RetryPolicy(maximumRetries: 3, initial: .milliseconds(100), maximum: .seconds(1), multiplier: 2, jitter: 0)

    private let passing = CoordinationError(.unavailable, "cannot ask", because: "Connection refused")

    @Test("multiplies each pause up to the maximum", arguments: zip(1...6, [100, 200, 400, 800, 1000, 1000]))
    func pauses(retry: Int, milliseconds: Int) {
        #expect(policy.pause(before: retry, random: 0.5) == .milliseconds(milliseconds))
    }

    @Test func allowsAsManyRetriesAsItSays() {
        #expect((0...5).map { policy.allows(retry: $0, after: passing) } == [true, true, true, true, false, false])
    }

    @Test func triesAgainWhatMayPass_orTheCodesThatItNames() {
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
        // What the system has no name for is not in anybody's list.
        #expect(named.allows(retry: 1, after: passing))
    }

    @Test func allowsRetriesWithoutEnd() {
        var endless = policy
        endless.maximumRetries = nil
        #expect(endless.allows(retry: .max, after: passing))
    }

    @Test func variesAPauseInBothDirectionsByTheJitter() {
        var varied = policy
        varied.jitter = 0.2
        #expect(varied.pause(before: 1, random: 0) == .milliseconds(80))
        #expect(varied.pause(before: 1, random: 0.5) == .milliseconds(100))
        #expect(varied.pause(before: 1, random: 0.75) == .milliseconds(110))
    }

    @Test("never pauses longer than the maximum", arguments: [0, 0.1, 0.2, 0.5, 1])
    func maximum(jitter: Double) {
        var varied = policy
        varied.jitter = jitter
        for retry in 1...20 {
            for random in [0, 0.5, 0.999_999_999] { #expect(varied.pause(before: retry, random: random) <= .seconds(1)) }
        }
    }

    @Test func spreadsPausesThatHaveReachedTheMaximum() {
        var varied = policy
        varied.jitter = 0.2
        let pauses = Set([0, 0.25, 0.5, 0.75, 0.99].map { varied.pause(before: 30, random: $0) })
        #expect(pauses.count == 5)
    }

    @Test func survivesSettingsWithoutMeaning() {
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
