import QQCore
import SwiftProtobuf
import Testing

@testable import QQRaftLock

@Suite("The snapshot of a lock") struct LockSnapshotTests {
    private let began = WallTime(seconds: 1_800_000_000)
    private let now = BootInstant(nanoseconds: 100_000_000_000)

    private func time(_ time: WallTime) -> Google_Protobuf_Timestamp { .init(seconds: time.seconds, nanos: time.nanoseconds) }

    private func info(owner: String = "alice", version: Int64 = 7, ttl: Duration = .seconds(10)) -> Raftlock_LockInfo {
        var info = Raftlock_LockInfo()
        (info.lockID, info.ownerID, info.version, info.waiterCount) = ("web", owner, version, 2)
        (info.acquiredAt, info.expiresAt, info.lastModifiedAt) = (time(began), time(began + ttl), time(began))
        return info
    }

    private func state(_ info: Raftlock_LockInfo, after: Duration, clock: ServerClock? = nil) -> ElectionState {
        LockSnapshot(info).state(at: now, wall: began + after, clock: clock)
    }

    @Test("a lock is held until its lease ends") func held() {
        let found = state(info(), after: .seconds(4))
        #expect(found.phase == .held)
        #expect(found.leader == "alice")
        #expect(found.token == FencingToken(7))
        #expect(found.remaining == .seconds(6))
        #expect(found.ttl == .seconds(10))
        #expect(found.waiters == 2)
        #expect(found.acquiredAt == began)
        #expect(found.renewedAt == began)
    }

    @Test("a lock counts as expired until the server has noticed the end of the lease") func expired() {
        let found = state(info(), after: .seconds(10))
        #expect(found.phase == .expired)
        #expect(found.leader == "alice")
        #expect(found.remaining == .zero)
    }

    @Test("a lock without an owner is free and has no times", arguments: [true, false]) func free(isKnown: Bool) {
        var released = info(owner: "")
        if !isKnown {
            // The lock only has waiters.
            released.expiresAt = time(.goZero)
            released.acquiredAt = time(.goZero)
        }
        let found = state(released, after: .seconds(1))
        #expect(found.phase == .free)
        #expect(found.leader == nil)
        #expect(found.token == nil)
        #expect(found.remaining == nil)
        #expect(found.waiters == 2)
    }

    @Test("the year 1 means no time") func yearOne() {
        #expect(time(.goZero).wallTime == nil)
        #expect(time(began).wallTime == began)
        var info = info()
        info.expiresAt = time(.goZero)
        #expect(state(info, after: .zero).remaining == nil)
        #expect(state(info, after: .zero).phase == .held)
    }

    @Test("the server's clock counts, not the local one") func serverClock() {
        let clock = ServerClock(time: began + .seconds(2), readAt: now - .seconds(1))
        #expect(state(info(), after: .seconds(3600), clock: clock).remaining == .seconds(7))
        #expect(state(info(), after: .seconds(-3600), clock: clock).remaining == .seconds(7))
        // The local clock is behind a time that the server has written.
        #expect(state(info(), after: .seconds(-3600)).remaining == .seconds(10))
    }

    @Test("the length of a lease is the time from its start to its end") func length() {
        var lock = Raftlock_Lock()
        #expect(lock.length == nil)
        (lock.acquiredAt, lock.expiresAt) = (time(began), time(began + .milliseconds(10_005)))
        #expect(lock.length == .milliseconds(10_005))
        #expect(LockSnapshot(info()).length == .seconds(10))
        lock.expiresAt = time(.goZero)
        #expect(lock.length == nil)
        #expect(LockSnapshot(unknown: "web").length == nil)
    }

    @Test("a new, unchanged lease that lasts whole seconds counts as granted by the queue")
    func promotion() {
        var place = RaftLockCoordinator.QueuePlace(refreshedAt: nil)
        var info = info(owner: "bob")
        #expect(place.isPromotion(LockSnapshot(info)))
        info.expiresAt = time(began + .milliseconds(10_007))
        #expect(!place.isPromotion(LockSnapshot(info)), "another process has requested it")
        info = self.info(owner: "bob")
        info.lastModifiedAt = time(began + .milliseconds(1))
        #expect(!place.isPromotion(LockSnapshot(info)), "another process has changed it")
        place.sameIdentityTerm = .init(version: 7, acquiredAt: began)
        #expect(!place.isPromotion(LockSnapshot(self.info(owner: "bob"))))
        #expect(!place.isPromotion(LockSnapshot(unknown: "web")))
    }

    @Test("another holder or version is a change, but not passing time or a renewal") func changes() {
        let one = state(info(), after: .seconds(1))
        #expect(one.isAlike(state(info(ttl: .seconds(20)), after: .seconds(2))))
        #expect(!one.isAlike(state(info(), after: .seconds(10))))
        #expect(!one.isAlike(state(info(version: 8), after: .seconds(1))))
        #expect(!one.isAlike(state(info(owner: "bob"), after: .seconds(1))))
        #expect(!one.isAlike(state(info(owner: ""), after: .seconds(1))))
    }
}
