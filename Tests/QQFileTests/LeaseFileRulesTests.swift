import QQCore
import Testing

@testable import QQFile

@Suite("Lease file rules")
struct LeaseFileRulesTests {
    static let wall = WallTime(seconds: 1_795_260_659)
    static let boot = BootInstant(nanoseconds: 1_000_000_000_000)
    static let here = LeaseFileRules.Moment(boot: boot, wall: wall, bootID: "this", isShared: false)
    static let shared = LeaseFileRules.Moment(boot: boot, wall: wall, bootID: "this", isShared: true)

    private static func ask(_ identity: String = "us", ttl: Duration = .seconds(15), continuing: UInt64? = nil) -> AcquireRequest {
        AcquireRequest(
            name: "backup", identity: identity, ttl: ttl, continuing: continuing.map { term(of: identity, FencingToken($0), ttl: ttl) })
    }

    /// A record as the Go package writes it, renewed `ago` before the present.
    private static func go(_ holder: String = "them", ago: Duration) -> LeaseRecord { LeaseRecord(holder: holder, renewTime: wall - ago) }

    /// A record as qq writes it, which ends in `left` by the boot clock.
    private static func qq(
        _ holder: String = "them", left: Duration = .seconds(10), token: UInt64 = 7, locked: Bool = false, bootID: String = "this"
    ) -> LeaseRecord {
        var record = LeaseRecord(holder: holder, renewTime: wall - (.seconds(15) - left))
        record.ttl = .seconds(15)
        record.token = token
        record.bootID = bootID
        record.bootDeadline = boot + left
        record.isLocked = locked
        return record
    }

    private static func decide(
        _ record: LeaseRecord, live: UInt64? = nil, lockFile: UInt64? = 5, highest: UInt64 = 0, at moment: LeaseFileRules.Moment = here,
        _ request: AcquireRequest = ask()
    ) throws -> LeaseFileRules.Decision {
        try LeaseFileRules(record: record, liveToken: live, lockFile: lockFile, highestToken: highest, moment: moment).decide(request)
    }

    // MARK: Go's records

    @Test("a free lease is granted") func free() throws {
        #expect(try Self.decide(.nobody) == .newTerm(token: 1))
    }

    @Test("a term is being closed if its work has ended, its lease was released, and its lock is still held") func closing() throws {
        func rules(cleanFor: String?, live: UInt64?) -> LeaseFileRules {
            var record = LeaseRecord.nobody
            record.token = 7
            record.cleanFor = cleanFor
            return LeaseFileRules(record: record, liveToken: live, lockFile: 5, highestToken: 7, moment: Self.here)
        }
        let closing = rules(cleanFor: "this boot and user", live: 7)
        #expect(closing.isClosing)
        // Until the lock is released, a process might still hold it that the guardian could not see.
        #expect(try closing.decide(Self.ask()) == .refuse)
        #expect(!rules(cleanFor: nil, live: 7).isClosing)
        #expect(!rules(cleanFor: "this boot and user", live: 6).isClosing)
        #expect(!rules(cleanFor: "this boot and user", live: nil).isClosing)
        #expect(try rules(cleanFor: "this boot and user", live: nil).decide(Self.ask()) == .newTerm(token: 8))
    }

    @Test("a Go holder's lease is refused until the contender's TTL is over") func goHolder() throws {
        #expect(try Self.decide(Self.go(ago: .seconds(14))) == .refuse)
        #expect(try Self.decide(Self.go(ago: .seconds(15))) == .newTerm(token: 1))
        #expect(try Self.decide(Self.go(ago: .seconds(14)), Self.ask(ttl: .seconds(10))) == .newTerm(token: 1))
        #expect(try Self.decide(Self.go(ago: .seconds(20)), Self.ask(ttl: .seconds(30))) == .refuse)
    }

    @Test("a Go holder's lease is resumed by the same identity") func goHolderWithSameIdentity() throws {
        #expect(try Self.decide(Self.go("us", ago: .seconds(1)), highest: 5) == .goOn(token: 6))
    }

    @Test("a record's own TTL takes precedence over the contender's") func ownTTL() throws {
        var record = Self.go(ago: .seconds(20))
        record.ttl = .seconds(60)
        #expect(try Self.decide(record) == .refuse)
    }

    // MARK: The present generation's records

    /// A record as the present generation of the Go package writes it.
    private static func present(_ holder: String = "them", ago: Duration, lasts: Duration = .seconds(10)) -> LeaseRecord {
        var record = go(holder, ago: ago)
        record.leaseDuration = lasts
        return record
    }

    @Test("a Go holder with a lease duration counts for that duration") func leaseDuration() throws {
        #expect(try Self.decide(Self.present(ago: .seconds(9)), Self.ask(ttl: .seconds(1))) == .refuse)
        #expect(try Self.decide(Self.present(ago: .seconds(10)), Self.ask(ttl: .seconds(600))) == .newTerm(token: 1))
        let state = try Self.state(Self.present(ago: .seconds(4)))
        #expect(state.ttl == .seconds(10))
        #expect(state.remaining == .seconds(6))
    }

    @Test("the TTL that an earlier qq holder left in the file does not count for a Go holder") func keptTTL() throws {
        // As written by a program that keeps unknown fields.
        var record = Self.present(ago: .seconds(20), lasts: .seconds(30))
        record.ttl = .seconds(15)
        #expect(try Self.decide(record) == .refuse)
    }

    // MARK: Clocks

    @Test("a stepped wall clock does not affect qq's own leases", arguments: [-36_000, -3600, -16, 16, 3600, 36_000])
    func stepped(seconds: Int) throws {
        var moment = Self.here
        moment.wall = Self.wall + .seconds(seconds)
        #expect(try Self.decide(Self.qq(), at: moment) == .refuse)
        #expect(try Self.decide(Self.qq(left: .nanoseconds(1)), at: moment) == .refuse)
        #expect(try Self.decide(Self.qq(left: .zero), at: moment) == .newTerm(token: 8))
        #expect(try Self.decide(Self.qq("us"), at: moment) == .goOn(token: 7))
    }

    @Test("a lease from another boot is judged by the wall clock") func otherBoot() throws {
        #expect(try Self.decide(Self.qq(left: .seconds(1), bootID: "before")) == .refuse)
        #expect(try Self.decide(Self.qq(left: .seconds(-1), bootID: "before")) == .newTerm(token: 8))
        var record = Self.qq(left: .seconds(-1), bootID: "before")
        record.bootDeadline = .distantFuture
        #expect(try Self.decide(record) == .newTerm(token: 8))
    }

    @Test("a boot clock deadline that no lease can have is ignored", arguments: [26, 3600, 1_000_000, Int64(1) << 34])
    func impossibleDeadline(seconds: Int64) throws {
        var record = Self.qq(left: .seconds(-1))
        record.bootDeadline = Self.boot + .seconds(seconds)
        #expect(try Self.decide(record) == .newTerm(token: 8))
        #expect(try Self.state(record).phase == .expired)
        record.renewTime = Self.wall
        #expect(try Self.decide(record) == .refuse)
    }

    @Test("extreme numbers in a record never trap", arguments: [0, UInt64(Int64.max), .max - 1, .max])
    func endsOfNumbers(nanoseconds: UInt64) throws {
        for moment in [0, Self.boot.nanoseconds, UInt64(Int64.max), .max] {
            for ttl in [nil, Duration.nanoseconds(1), .nanoseconds(Int64.max)] {
                for time in [WallTime.goZero, Self.wall, .latest] {
                    var record = Self.qq()
                    record.renewTime = time
                    record.bootDeadline = BootInstant(nanoseconds: nanoseconds)
                    record.leaseDuration = ttl
                    record.ttl = ttl
                    var here = Self.here
                    here.boot = BootInstant(nanoseconds: moment)
                    _ = try? Self.decide(record, at: here)
                    _ = try? Self.state(record, at: here)
                }
            }
        }
    }

    // MARK: Time namespaces

    private static func inNamespace(_ namespace: String) -> LeaseFileRules.Moment {
        var moment = here
        moment.bootID = "this" + namespace
        moment.boot = boot + .seconds(1_000_000)
        return moment
    }

    @Test("a lease from another time namespace is judged by the wall clock", arguments: ["/1000000.0", "/time:[7]"])
    func namespace(_ namespace: String) throws {
        let there = Self.inNamespace(namespace)
        #expect(try Self.decide(Self.qq(), at: there) == .refuse)
        #expect(try Self.decide(Self.qq(left: .seconds(-1)), at: there) == .newTerm(token: 8))
        #expect(try Self.state(Self.qq(left: .seconds(4)), at: there).remaining == .seconds(4))
        // The other way round.
        #expect(try Self.decide(Self.qq(left: .seconds(1), bootID: "this" + namespace)) == .refuse)
        var record = Self.qq(left: .seconds(-1), bootID: "this" + namespace)
        record.bootDeadline = Self.boot + .seconds(1_000_000)
        #expect(try Self.decide(record) == .newTerm(token: 8))
    }

    @Test("a liveness lock counts in all time namespaces of the same kernel")
    func lockAcrossNamespaces() throws {
        let there = Self.inNamespace("/1000000.0")
        #expect(try Self.decide(Self.qq(locked: true), live: 7, at: there) == .refuse)
        #expect(try Self.decide(Self.qq(locked: true), at: there) == .newTerm(token: 8), "its lock was released")
        // A lease that outlives its holder, or whose lock file has been replaced, counts until its end, because the kernel has not been restarted.
        var record = Self.qq(locked: true)
        record.endsByTimeAlone = true
        #expect(try Self.decide(record, at: there) == .refuse)
        record = Self.qq(locked: true)
        record.lockFile = 6
        #expect(try Self.decide(record, at: there) == .refuse)
        // After a restart of the kernel it does not count.
        record.bootID = "before/20.0"
        #expect(try Self.decide(record, at: there) == .newTerm(token: 8))
    }

    @Test("an unknown boot does not match another unknown boot") func unknownBoot() throws {
        var moment = Self.here
        moment.bootID = ""
        var record = Self.qq(left: .seconds(-1), bootID: "")
        record.bootDeadline = .distantFuture
        #expect(try Self.decide(record, at: moment) == .newTerm(token: 8))
    }

    @Test("a renewal time far in the future is an error") func farAhead() throws {
        #expect(throws: LeaseFileRules.FromTheFuture(renewTime: Self.wall + .seconds(3600), ahead: .seconds(3600))) {
            try Self.decide(Self.go(ago: .seconds(-3600)))
        }
        #expect(throws: LeaseFileRules.FromTheFuture.self) { try Self.decide(Self.go(ago: .seconds(-16))) }
    }

    @Test("a renewal time slightly in the future counts as clock skew") func skew() throws {
        #expect(try Self.decide(Self.go(ago: .seconds(-15))) == .refuse)
    }

    @Test("a renewal time further ahead than a short lease lasts still counts as clock skew", arguments: [5, 7, 15])
    func skewBeyondAShortLease(seconds: Int) throws {
        let record = Self.present(ago: .seconds(-seconds), lasts: .seconds(5))
        #expect(try Self.decide(record, Self.ask(ttl: .seconds(1))) == .refuse)
        #expect(try Self.state(record).remaining == .seconds(seconds + 5))
        #expect(throws: LeaseFileRules.FromTheFuture.self) {
            try Self.decide(Self.present(ago: .seconds(-16), lasts: .seconds(5)), Self.ask(ttl: .seconds(1)))
        }
        #expect(try Self.decide(Self.present(ago: .seconds(-16), lasts: .seconds(5)), Self.ask(ttl: .seconds(30))) == .refuse)
    }

    // MARK: Locks

    @Test("a crashed holder's lease is taken over immediately") func crashedHolder() throws {
        #expect(try Self.decide(Self.qq(locked: true)) == .newTerm(token: 8))
        #expect(try Self.decide(Self.qq("us", locked: true)) == .newTerm(token: 8))
    }

    @Test("a lease that outlives its holder is kept until its end") func outlivesItsHolder() throws {
        var record = Self.qq(locked: true)
        record.endsByTimeAlone = true
        #expect(try Self.decide(record) == .refuse)
        #expect(
            try LeaseFileRules(record: record, highestToken: 7, moment: Self.here).state(name: "backup", ownTTL: .seconds(15)).alive == nil)
        record.bootDeadline = Self.boot
        #expect(try Self.decide(record) == .newTerm(token: 8))
        // Nothing outlives a restart of the only machine.
        record = Self.qq(locked: true, bootID: "before")
        record.endsByTimeAlone = true
        #expect(try Self.decide(record) == .newTerm(token: 8))
    }

    @Test("a local holder from another boot is dead") func localHolderOfAnotherBoot() throws {
        #expect(try Self.decide(Self.qq(locked: true, bootID: "before")) == .newTerm(token: 8))
    }

    @Test("a local holder from another boot is dead whatever the wall clock shows") func localHolderOfAnotherBootAndDate() throws {
        var moment = Self.here
        moment.wall = WallTime(seconds: 0)
        #expect(try Self.decide(Self.qq(locked: true, bootID: "before"), at: moment) == .newTerm(token: 8))
        let state = try LeaseFileRules(
            record: Self.qq(locked: true, bootID: "before"), liveToken: nil, lockFile: 5, highestToken: 7, moment: moment
        )
        .state(name: "backup", ownTTL: .seconds(15))
        #expect(state.phase == .expired)
    }

    @Test("a holder on another machine counts until its lease ends") func otherMachine() throws {
        #expect(try Self.decide(Self.qq(left: .seconds(1), locked: true, bootID: "there"), at: Self.shared) == .refuse)
        #expect(try Self.decide(Self.qq(left: .seconds(-1), locked: true, bootID: "there"), at: Self.shared) == .newTerm(token: 8))
    }

    @Test("a missing lock proves nothing in a shared folder") func sharedFolder() throws {
        #expect(try Self.decide(Self.qq(locked: true), at: Self.shared) == .refuse)
    }

    @Test("a live holder without guarded processes counts until its lease ends and no longer") func holderWithoutWork() throws {
        func decide(_ record: LeaseRecord) throws -> LeaseFileRules.Decision {
            try LeaseFileRules(record: record, liveToken: nil, holderLives: true, lockFile: 5, highestToken: 7, moment: Self.here).decide(
                Self.ask())
        }
        #expect(try decide(Self.qq(locked: true)) == .refuse)
        #expect(try decide(Self.qq("us", locked: true)) == .refuse, "another process with the same identity holds it")
        // The holder might be stopped: it must not be killed for that, but does not block contenders.
        #expect(try decide(Self.qq(left: .zero, locked: true)) == .newTerm(token: 8))
    }

    @Test("guarded processes of another term block an expired lease however long ago it ended") func workOfAnotherTerm() throws {
        #expect(try Self.decide(Self.qq(left: .seconds(-60), token: 8, locked: true), live: 7) == .refuse)
    }

    @Test("a lease with a live holder is refused") func liveHolder() throws {
        #expect(try Self.decide(Self.qq(locked: true), live: 7) == .refuse)
    }

    @Test("a lease with a live holder is refused to another process with the same identity") func liveHolderWithSameIdentity() throws {
        #expect(try Self.decide(Self.qq("us", locked: true), live: 7) == .refuse)
        #expect(try Self.decide(Self.qq("us", locked: true), live: 7, Self.ask(continuing: 7)) == .refuse)
    }

    @Test("a lease with a live holder is refused although its record was emptied") func liveHolderWithEmptiedRecord() throws {
        #expect(try Self.decide(.nobody, live: 7, highest: 7) == .refuse)
    }

    @Test("a lease with a live holder is refused although another program overwrote its record", arguments: [1, 3600])
    func liveUnderForeignRecord(ago: Int) throws {
        #expect(try Self.decide(Self.go(ago: .seconds(ago)), live: 7, highest: 7) == .refuse)
    }

    @Test("the survivors of an expired lease are ended before it is granted") func survivors() throws {
        #expect(try Self.decide(Self.qq(left: .zero, locked: true), live: 7) == .endSurvivors(token: 7))
        #expect(try Self.decide(Self.qq("us", left: .zero, locked: true), live: 7) == .endSurvivors(token: 7))
    }

    @Test("the survivors of another term are not ended") func survivorsOfAnotherTerm() throws {
        #expect(try Self.decide(Self.qq(left: .zero, locked: true), live: 6) == .refuse)
    }

    @Test("a deleted lock file proves nothing about the holder", arguments: [nil, 6] as [UInt64?])
    func lockFileDeleted(found: UInt64?) throws {
        var record = Self.qq(locked: true)
        record.lockFile = 5
        #expect(try Self.decide(record, lockFile: 5) == .newTerm(token: 8))
        #expect(try Self.decide(record, lockFile: found) == .refuse)
        let state = try LeaseFileRules(record: record, liveToken: nil, lockFile: found, highestToken: 7, moment: Self.here)
            .state(name: "backup", ownTTL: .seconds(15))
        #expect(state.phase == .held)
        #expect(state.alive == nil)
        record.bootDeadline = Self.boot
        #expect(try Self.decide(record, lockFile: found) == .newTerm(token: 8))
        record.bootID = "before"
        #expect(try Self.decide(record, lockFile: found) == .newTerm(token: 8))
    }

    // MARK: Resuming

    @Test("a lease is resumed by the same identity") func resumed() throws {
        #expect(try Self.decide(Self.qq("us")) == .goOn(token: 7))
        #expect(try Self.decide(Self.qq("us"), Self.ask(continuing: 7)) == .goOn(token: 7))
    }

    @Test("an earlier term of the same identity is not resumed") func earlierTerm() throws {
        #expect(try Self.decide(Self.qq("us"), Self.ask(continuing: 6)) == .refuse)
    }

    @Test("resuming a term that has ended starts a new term") func endedTerm() throws {
        #expect(try Self.decide(Self.qq("us", left: .zero), Self.ask(continuing: 7)) == .newTerm(token: 8))
    }

    // MARK: Tokens

    @Test(
        "fencing tokens never go back",
        arguments: [(nil, 0, 1), (nil, 9, 10), (7, 0, 8), (7, 9, 10), (9, 7, 10)] as [(UInt64?, UInt64, UInt64)])
    func tokens(recorded: UInt64?, highest: UInt64, next: UInt64) throws {
        var record = Self.qq(left: .zero)
        record.token = recorded
        #expect(try Self.decide(record, highest: highest) == .newTerm(token: next))
        record.holder = ""
        #expect(try Self.decide(record, highest: highest) == .newTerm(token: next))
    }

    @Test("a lease at the largest fencing token never traps") func largestToken() throws {
        #expect(try Self.decide(Self.qq(left: .zero, token: LeaseRecord.largestToken)) == .newTerm(token: LeaseRecord.largestToken + 1))
    }

    // MARK: Reading

    private static func state(
        _ record: LeaseRecord, live: UInt64? = nil, lockFile: UInt64? = 5, highest: UInt64 = 0, at moment: LeaseFileRules.Moment = here
    ) throws
        -> ElectionState
    {
        try LeaseFileRules(record: record, liveToken: live, lockFile: lockFile, highestToken: highest, moment: moment).state(
            name: "backup", ownTTL: .seconds(15))
    }

    @Test("a reader sees a live holder") func readLiveHolder() throws {
        let state = try Self.state(Self.qq(locked: true), live: 7)
        #expect(state.phase == .held)
        #expect(state.leader == "them")
        #expect(state.token == FencingToken(7))
        #expect(state.remaining == .seconds(10))
        #expect(state.alive == true)
    }

    @Test("a reader sees that a holder has crashed") func readCrash() throws {
        let state = try Self.state(Self.qq(locked: true))
        #expect(state.phase == .expired)
        #expect(state.alive == false)
        #expect(state.remaining == .zero)
    }

    @Test("a reader does not know whether a holder without a local lock is alive") func readUnknownHolder() throws {
        #expect(try Self.state(Self.qq()).alive == nil)
        #expect(try Self.state(Self.qq(locked: true, bootID: "there"), at: Self.shared).alive == nil)
    }

    @Test("a reader sees that an election with an emptied record is still held") func readEmptiedRecord() throws {
        let state = try Self.state(.nobody, live: 7, highest: 7)
        #expect(state.phase == .held)
        #expect(state.leader == nil)
        #expect(state.token == FencingToken(7))
        #expect(state.alive == true)
    }

    @Test("a reader sees the last token of a free election") func readLastToken() throws {
        let state = try Self.state(.nobody, highest: 7)
        #expect(state.phase == .free)
        #expect(state.token == FencingToken(7))
    }

    @Test("a reader sees that a lease has expired, and its last holder") func readExpired() throws {
        let state = try Self.state(Self.qq(left: .seconds(-5)))
        #expect(state.phase == .expired)
        #expect(state.leader == "them")
        #expect(state.remaining == .zero)
    }
}
