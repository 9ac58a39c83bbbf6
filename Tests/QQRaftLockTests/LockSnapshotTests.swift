import QQCore
import SwiftProtobuf
import Testing

@testable import QQRaftLock

@Suite("A lock as it is read") struct LockSnapshotTests {
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

    @Test("is held until its end") func held() {
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

    @Test("has expired until the server has noticed") func expired() {
        let found = state(info(), after: .seconds(10))
        #expect(found.phase == .expired)
        #expect(found.leader == "alice")
        #expect(found.remaining == .zero)
    }

    @Test("is free without an owner, and has no times then", arguments: [true, false]) func free(isKnown: Bool) {
        var released = info(owner: "")
        if !isKnown {
            // Somebody only waits for it.
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

    @Test("the server's clock counts, not ours") func serverClock() {
        let clock = ServerClock(time: began + .seconds(2), readAt: now - .seconds(1))
        #expect(state(info(), after: .seconds(3600), clock: clock).remaining == .seconds(7))
        #expect(state(info(), after: .seconds(-3600), clock: clock).remaining == .seconds(7))
        // Ours is behind what the server has written itself.
        #expect(state(info(), after: .seconds(-3600)).remaining == .seconds(10))
    }

    @Test("how long a lease lasts from its beginning to its end") func length() {
        var lock = Raftlock_Lock()
        #expect(lock.length == nil)
        (lock.acquiredAt, lock.expiresAt) = (time(began), time(began + .milliseconds(10_005)))
        #expect(lock.length == .milliseconds(10_005))
        #expect(LockSnapshot(info()).length == .seconds(10))
        lock.expiresAt = time(.goZero)
        #expect(lock.length == nil)
        #expect(LockSnapshot(unknown: "web").length == nil)
    }

    @Test("the queue has brought a lease that nobody has touched and that lasts whole seconds, but not the one that was there before")
    func promotion() {
        var place = RaftLockCoordinator.QueuePlace(refreshedAt: nil)
        var info = info(owner: "bob")
        #expect(place.isPromotion(LockSnapshot(info)))
        info.expiresAt = time(began + .milliseconds(10_007))
        #expect(!place.isPromotion(LockSnapshot(info)), "somebody has asked for it")
        info = self.info(owner: "bob")
        info.lastModifiedAt = time(began + .milliseconds(1))
        #expect(!place.isPromotion(LockSnapshot(info)), "somebody has touched it")
        place.sameIdentityTerm = .init(version: 7, acquiredAt: began)
        #expect(!place.isPromotion(LockSnapshot(self.info(owner: "bob"))))
        #expect(!place.isPromotion(LockSnapshot(unknown: "web")))
    }

    @Test("time passing and renewals are no changes; another holder or version is") func changes() {
        let one = state(info(), after: .seconds(1))
        #expect(one.isAlike(state(info(ttl: .seconds(20)), after: .seconds(2))))
        #expect(!one.isAlike(state(info(), after: .seconds(10))))
        #expect(!one.isAlike(state(info(version: 8), after: .seconds(1))))
        #expect(!one.isAlike(state(info(owner: "bob"), after: .seconds(1))))
        #expect(!one.isAlike(state(info(owner: ""), after: .seconds(1))))
    }
}
