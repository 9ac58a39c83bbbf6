import QQCore
import Testing

@testable import QQKubernetes

@Suite struct ShortLeaseTests {
    private static let boot = BootInstant(nanoseconds: 1_000_000_000_000)
    private static let wall = WallTime(seconds: 1_780_000_000, nanoseconds: 100_000_000)

    private func held(_ seconds: Int32) throws -> HeldLease {
        var object = try #require(LeaseObject(["metadata": ["name": "web", "uid": "u", "resourceVersion": "10"], "spec": [:]]))
        object.write(object.record.taken(by: "a", for: seconds, at: Self.wall))
        let mark = TermMark(
            token: FencingToken(9), identity: "a", acquireTime: object.record.acquireTime ?? "", transitions: object.record.transitions,
            seconds: seconds, isAttended: true)
        object.mark(mark)
        return HeldLease(mark: mark, object: object, shownSince: Self.boot)
    }

    @Test(arguments: [Int32(1), 2])
    func `client-go contenders see the first renewal of a short lease, also in the second of its first record`(
        seconds: Int32
    ) throws {
        // A third of the TTL later, a fifth less for the jitter.
        let after = Duration.seconds(Int64(seconds)) / 3 * 0.8
        let (_, renewal) = try held(seconds).renewal(at: Self.boot + after, wall: Self.wall + after)
        #expect(renewal.isSeen)
    }
}
