import QQCore
import Testing

@testable import QQKubernetes

@Suite struct ElectionClockTests {
    private let bench = Bench()

    @Test func `a holder whose clock is slow writes the server's time, so that Consensus does not take its lease`() async throws {
        let slow = try bench.node(skew: .seconds(-3600))
        let grant = try granted(try await slow.qq.acquire(request("a")))
        bench.clock.pass(.seconds(5))
        _ = try renewed(try await slow.qq.renew(grant))
        let renewedAt = try #require(try bench.lease().record.renewedAt)
        #expect(bench.clock.wall - renewedAt < .seconds(1))
    }

    @Test func `a lease that a fast clock releases can be taken at once by wall clock`() async throws {
        let fast = try bench.node(skew: .seconds(3600))
        let grant = try granted(try await fast.qq.acquire(request("a")))
        bench.clock.pass(.seconds(5))
        #expect(try await fast.qq.release(grant) == .released)
        let record = try bench.lease().record
        #expect(bench.clock.wall - (record.renewedAt ?? .latest) >= .zero)
    }
}
