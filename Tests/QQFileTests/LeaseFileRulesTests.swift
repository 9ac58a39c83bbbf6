import QQCore
import Testing

@testable import QQFile

@Suite("The rules of a lease file")
struct LeaseFileRulesTests {
    static let wall = WallTime(seconds: 1_795_260_659)
    static let boot = BootInstant(nanoseconds: 1_000_000_000_000)
    static let here = LeaseFileRules.Moment(boot: boot, wall: wall, bootID: "this", isShared: false)
    static let shared = LeaseFileRules.Moment(boot: boot, wall: wall, bootID: "this", isShared: true)

    private static func ask(_ identity: String = "us", ttl: Duration = .seconds(15), continuing: UInt64? = nil) -> AcquireRequest {
        AcquireRequest(
            name: "backup", identity: identity, ttl: ttl, continuing: continuing.map { term(of: identity, FencingToken($0), ttl: ttl) })
    }

    /// As the Go package writes it: renewed that long ago.
    private static func go(_ holder: String = "them", ago: Duration) -> LeaseRecord { LeaseRecord(holder: holder, renewTime: wall - ago) }

    /// As qq writes it: ends in `left`, by the boot clock.
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

    @Test func nobodysLeaseIsGranted() throws {
        #expect(try Self.decide(.nobody) == .newTerm(token: 1))
    }

    @Test func aGoHoldersLeaseIsRefusedUntilOurTTLIsOver() throws {
        #expect(try Self.decide(Self.go(ago: .seconds(14))) == .refuse)
        #expect(try Self.decide(Self.go(ago: .seconds(15))) == .newTerm(token: 1))
        #expect(try Self.decide(Self.go(ago: .seconds(14)), Self.ask(ttl: .seconds(10))) == .newTerm(token: 1))
        #expect(try Self.decide(Self.go(ago: .seconds(20)), Self.ask(ttl: .seconds(30))) == .refuse)
    }

    @Test func aGoHolderOfOurNameGoesOn() throws {
        #expect(try Self.decide(Self.go("us", ago: .seconds(1)), highest: 5) == .goOn(token: 6))
    }

    @Test func aRecordsOwnTTLCountsBeforeOurs() throws {
        var record = Self.go(ago: .seconds(20))
        record.ttl = .seconds(60)
        #expect(try Self.decide(record) == .refuse)
    }

    // MARK: The present generation's records

    /// As the present generation of the Go package writes it.
    private static func present(_ holder: String = "them", ago: Duration, lasts: Duration = .seconds(10)) -> LeaseRecord {
        var record = go(holder, ago: ago)
        record.leaseDuration = lasts
        return record
    }

    @Test func aHolderOfThePresentGenerationCountsForItsOwnLease() throws {
        #expect(try Self.decide(Self.present(ago: .seconds(9)), Self.ask(ttl: .seconds(1))) == .refuse)
        #expect(try Self.decide(Self.present(ago: .seconds(10)), Self.ask(ttl: .seconds(600))) == .newTerm(token: 1))
        let state = try Self.state(Self.present(ago: .seconds(4)))
        #expect(state.ttl == .seconds(10))
        #expect(state.remaining == .seconds(6))
    }

    @Test func whatAnEarlierHolderOfOursLeftInTheFileDoesNotCountForAForeignOne() throws {
        // A program that keeps the fields that it does not know.
        var record = Self.present(ago: .seconds(20), lasts: .seconds(30))
        record.ttl = .seconds(15)
        #expect(try Self.decide(record) == .refuse)
    }

    // MARK: Clocks

    @Test("a stepped wall clock changes nothing about qq's own leases", arguments: [-36_000, -3600, -16, 16, 3600, 36_000])
    func stepped(seconds: Int) throws {
        var moment = Self.here
        moment.wall = Self.wall + .seconds(seconds)
        #expect(try Self.decide(Self.qq(), at: moment) == .refuse)
        #expect(try Self.decide(Self.qq(left: .nanoseconds(1)), at: moment) == .refuse)
        #expect(try Self.decide(Self.qq(left: .zero), at: moment) == .newTerm(token: 8))
        #expect(try Self.decide(Self.qq("us"), at: moment) == .goOn(token: 7))
    }

    @Test func anotherBootsLeaseIsJudgedByTheWallClock() throws {
        #expect(try Self.decide(Self.qq(left: .seconds(1), bootID: "before")) == .refuse)
        #expect(try Self.decide(Self.qq(left: .seconds(-1), bootID: "before")) == .newTerm(token: 8))
        var record = Self.qq(left: .seconds(-1), bootID: "before")
        record.bootDeadline = .distantFuture
        #expect(try Self.decide(record) == .newTerm(token: 8))
    }

    @Test("a deadline on the boot clock that no lease can have is not believed", arguments: [26, 3600, 1_000_000, Int64(1) << 34])
    func impossibleDeadline(seconds: Int64) throws {
        var record = Self.qq(left: .seconds(-1))
        record.bootDeadline = Self.boot + .seconds(seconds)
        #expect(try Self.decide(record) == .newTerm(token: 8))
        #expect(try Self.state(record).phase == .expired)
        record.renewTime = Self.wall
        #expect(try Self.decide(record) == .refuse)
    }

    @Test("numbers at their ends are judged, and nothing traps", arguments: [0, UInt64(Int64.max), .max - 1, .max])
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

    @Test("another time namespace is judged by the wall clock", arguments: ["/1000000.0", "/time:[7]"])
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

    @Test("a lock tells of a holder in another time namespace of the same kernel")
    func lockAcrossNamespaces() throws {
        let there = Self.inNamespace("/1000000.0")
        #expect(try Self.decide(Self.qq(locked: true), live: 7, at: there) == .refuse)
        #expect(try Self.decide(Self.qq(locked: true), at: there) == .newTerm(token: 8), "its lock was let go")
        // What outlives its holder, or has a lock that cannot be seen any more, counts until the lease ends: the kernel has not been restarted.
        var record = Self.qq(locked: true)
        record.endsByTimeAlone = true
        #expect(try Self.decide(record, at: there) == .refuse)
        record = Self.qq(locked: true)
        record.lockFile = 6
        #expect(try Self.decide(record, at: there) == .refuse)
        // The kernel's own boot is another matter.
        record.bootID = "before/20.0"
        #expect(try Self.decide(record, at: there) == .newTerm(token: 8))
    }

    @Test func aBootThatTellsNoNameIsNotTheSame() throws {
        var moment = Self.here
        moment.bootID = ""
        var record = Self.qq(left: .seconds(-1), bootID: "")
        record.bootDeadline = .distantFuture
        #expect(try Self.decide(record, at: moment) == .newTerm(token: 8))
    }

    @Test func aDateFarAheadIsAnError() throws {
        #expect(throws: LeaseFileRules.FromTheFuture(renewTime: Self.wall + .seconds(3600), ahead: .seconds(3600))) {
            try Self.decide(Self.go(ago: .seconds(-3600)))
        }
        #expect(throws: LeaseFileRules.FromTheFuture.self) { try Self.decide(Self.go(ago: .seconds(-16))) }
    }

    @Test func aDateALittleAheadIsSkew() throws {
        #expect(try Self.decide(Self.go(ago: .seconds(-15))) == .refuse)
    }

    @Test("a date further ahead than a short lease lasts is skew all the same", arguments: [5, 7, 15])
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

    @Test func aCrashedHoldersLeaseIsTakenOverAtOnce() throws {
        #expect(try Self.decide(Self.qq(locked: true)) == .newTerm(token: 8))
        #expect(try Self.decide(Self.qq("us", locked: true)) == .newTerm(token: 8))
    }

    @Test func whatOutlivesItsHolderKeepsTheLeaseToItsEnd() throws {
        var record = Self.qq(locked: true)
        record.endsByTimeAlone = true
        #expect(try Self.decide(record) == .refuse)
        #expect(
            try LeaseFileRules(record: record, highestToken: 7, moment: Self.here).state(name: "backup", ownTTL: .seconds(15)).alive == nil)
        record.bootDeadline = Self.boot
        #expect(try Self.decide(record) == .newTerm(token: 8))
        // Nothing outlives a boot of the one machine.
        record = Self.qq(locked: true, bootID: "before")
        record.endsByTimeAlone = true
        #expect(try Self.decide(record) == .newTerm(token: 8))
    }

    @Test func aLocalHolderOfAnotherBootIsDead() throws {
        #expect(try Self.decide(Self.qq(locked: true, bootID: "before")) == .newTerm(token: 8))
    }

    @Test func aLocalHolderOfAnotherBootIsDeadWhateverItsDate() throws {
        var moment = Self.here
        moment.wall = WallTime(seconds: 0)
        #expect(try Self.decide(Self.qq(locked: true, bootID: "before"), at: moment) == .newTerm(token: 8))
        let state = try LeaseFileRules(
            record: Self.qq(locked: true, bootID: "before"), liveToken: nil, lockFile: 5, highestToken: 7, moment: moment
        )
        .state(name: "backup", ownTTL: .seconds(15))
        #expect(state.phase == .expired)
    }

    @Test func aHolderOnAnotherMachineCountsUntilItsEnd() throws {
        #expect(try Self.decide(Self.qq(left: .seconds(1), locked: true, bootID: "there"), at: Self.shared) == .refuse)
        #expect(try Self.decide(Self.qq(left: .seconds(-1), locked: true, bootID: "there"), at: Self.shared) == .newTerm(token: 8))
    }

    @Test func aLockThatIsGoneProvesNothingInASharedFolder() throws {
        #expect(try Self.decide(Self.qq(locked: true), at: Self.shared) == .refuse)
    }

    @Test func aHolderWithoutWorkCountsUntilItsLeaseEndsAndNoLonger() throws {
        func decide(_ record: LeaseRecord) throws -> LeaseFileRules.Decision {
            try LeaseFileRules(record: record, liveToken: nil, holderLives: true, lockFile: 5, highestToken: 7, moment: Self.here).decide(
                Self.ask())
        }
        #expect(try decide(Self.qq(locked: true)) == .refuse)
        #expect(try decide(Self.qq("us", locked: true)) == .refuse, "another process of our name holds it")
        // It may be stopped: it is not to be killed for that, and keeps nobody out.
        #expect(try decide(Self.qq(left: .zero, locked: true)) == .newTerm(token: 8))
    }

    @Test func workOfAnotherTermIsRefusedHoweverLongTheRecordsLeaseHasEnded() throws {
        #expect(try Self.decide(Self.qq(left: .seconds(-60), token: 8, locked: true), live: 7) == .refuse)
    }

    @Test func aLiveHolderIsRefused() throws {
        #expect(try Self.decide(Self.qq(locked: true), live: 7) == .refuse)
    }

    @Test func aLiveHolderOfOurOwnNameIsRefused() throws {
        #expect(try Self.decide(Self.qq("us", locked: true), live: 7) == .refuse)
        #expect(try Self.decide(Self.qq("us", locked: true), live: 7, Self.ask(continuing: 7)) == .refuse)
    }

    @Test func aLiveHolderWhoseRecordWasEmptiedIsRefused() throws {
        #expect(try Self.decide(.nobody, live: 7, highest: 7) == .refuse)
    }

    @Test("a live holder whose record somebody else wrote over is refused", arguments: [1, 3600])
    func liveUnderForeignRecord(ago: Int) throws {
        #expect(try Self.decide(Self.go(ago: .seconds(ago)), live: 7, highest: 7) == .refuse)
    }

    @Test func survivorsOfAnEndedLeaseAreEndedFirst() throws {
        #expect(try Self.decide(Self.qq(left: .zero, locked: true), live: 7) == .endSurvivors(token: 7))
        #expect(try Self.decide(Self.qq("us", left: .zero, locked: true), live: 7) == .endSurvivors(token: 7))
    }

    @Test func survivorsOfAnotherTermAreNotEnded() throws {
        #expect(try Self.decide(Self.qq(left: .zero, locked: true), live: 6) == .refuse)
    }

    @Test("a lock file that was deleted tells nothing of the holder", arguments: [nil, 6] as [UInt64?])
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

    // MARK: Going on

    @Test func ourOwnLeaseGoesOn() throws {
        #expect(try Self.decide(Self.qq("us")) == .goOn(token: 7))
        #expect(try Self.decide(Self.qq("us"), Self.ask(continuing: 7)) == .goOn(token: 7))
    }

    @Test func anEarlierTermOfOursDoesNotGoOn() throws {
        #expect(try Self.decide(Self.qq("us"), Self.ask(continuing: 6)) == .refuse)
    }

    @Test func anEndedTermOfOursIsANewOne() throws {
        #expect(try Self.decide(Self.qq("us", left: .zero), Self.ask(continuing: 7)) == .newTerm(token: 8))
    }

    // MARK: Tokens

    @Test("never go back", arguments: [(nil, 0, 1), (nil, 9, 10), (7, 0, 8), (7, 9, 10), (9, 7, 10)] as [(UInt64?, UInt64, UInt64)])
    func tokens(recorded: UInt64?, highest: UInt64, next: UInt64) throws {
        var record = Self.qq(left: .zero)
        record.token = recorded
        #expect(try Self.decide(record, highest: highest) == .newTerm(token: next))
        record.holder = ""
        #expect(try Self.decide(record, highest: highest) == .newTerm(token: next))
    }

    @Test func atTheLargestTokenNothingTraps() throws {
        #expect(try Self.decide(Self.qq(left: .zero, token: LeaseRecord.largestToken)) == .newTerm(token: LeaseRecord.largestToken + 1))
    }

    // MARK: What a reader is told

    private static func state(
        _ record: LeaseRecord, live: UInt64? = nil, lockFile: UInt64? = 5, highest: UInt64 = 0, at moment: LeaseFileRules.Moment = here
    ) throws
        -> ElectionState
    {
        try LeaseFileRules(record: record, liveToken: live, lockFile: lockFile, highestToken: highest, moment: moment).state(
            name: "backup", ownTTL: .seconds(15))
    }

    @Test func aReaderSeesALiveHolder() throws {
        let state = try Self.state(Self.qq(locked: true), live: 7)
        #expect(state.phase == .held)
        #expect(state.leader == "them")
        #expect(state.token == FencingToken(7))
        #expect(state.remaining == .seconds(10))
        #expect(state.alive == true)
    }

    @Test func aReaderSeesACrash() throws {
        let state = try Self.state(Self.qq(locked: true))
        #expect(state.phase == .expired)
        #expect(state.alive == false)
        #expect(state.remaining == .zero)
    }

    @Test func aReaderCannotTellWhetherAHolderWithoutALockLives() throws {
        #expect(try Self.state(Self.qq()).alive == nil)
        #expect(try Self.state(Self.qq(locked: true, bootID: "there"), at: Self.shared).alive == nil)
    }

    @Test func aReaderSeesThatAnEmptiedElectionIsStillHeld() throws {
        let state = try Self.state(.nobody, live: 7, highest: 7)
        #expect(state.phase == .held)
        #expect(state.leader == nil)
        #expect(state.token == FencingToken(7))
        #expect(state.alive == true)
    }

    @Test func aReaderSeesTheLastTokenOfAFreeElection() throws {
        let state = try Self.state(.nobody, highest: 7)
        #expect(state.phase == .free)
        #expect(state.token == FencingToken(7))
    }

    @Test func anEndedLeaseIsExpiredWithItsLastHolder() throws {
        let state = try Self.state(Self.qq(left: .seconds(-5)))
        #expect(state.phase == .expired)
        #expect(state.leader == "them")
        #expect(state.remaining == .zero)
    }
}
