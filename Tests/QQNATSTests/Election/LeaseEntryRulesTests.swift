import QQCore
import Testing

@testable import QQNATS

@Suite("The rules for acquiring a lease on NATS") struct LeaseEntryRulesTests {
    typealias Samples = LeaseSamples

    private func decide(
        _ rules: LeaseEntryRules, _ identity: String = "node-b", continuing: String? = nil, cooldown: KeyValueEntry? = nil,
        at seconds: Double = 1,
        wallAhead: Double = 0
    ) -> LeaseEntryRules.Decision {
        rules.decide(
            LeaseEntryRules.Request(identity: identity, continuing: continuing, cooldown: cooldown),
            at: Samples.moment(seconds, wallAhead: wallAhead))
    }

    // MARK: Free

    @Test("any contender gets a lease whose key does not exist", arguments: LeaseFormat.allCases) func missing(format: LeaseFormat) {
        #expect(decide(Samples.rules(format, nil, lastSequence: 0)) == .take(over: 0, epoch: 1))
        #expect(decide(Samples.rules(format, nil, lastSequence: 41)) == .take(over: 0, epoch: 42))
    }

    @Test("any contender gets a released lease, over its tombstone", arguments: [.delete, .purge, .expired] as [KeyValueEntry.Operation])
    func tombstone(operation: KeyValueEntry.Operation) {
        for format in LeaseFormat.allCases {
            let rules = Samples.rules(format, Samples.entry("", revision: 7, operation: operation), lastSequence: 9)
            #expect(decide(rules) == .take(over: 7, epoch: 10))
        }
    }

    // MARK: Held

    @Test(
        "other contenders are refused while the lease runs, and get it as soon as it has expired",
        arguments: [(2.5, false), (3.0, true), (100, true)])
    func v2(age: Double, isFree: Bool) {
        let rules = Samples.rules(.v2, Samples.entry(Samples.v2(epoch: 3), revision: 7))
        #expect(decide(rules, at: age) == (isFree ? .take(over: 7, epoch: 11) : .refuse(until: .seconds(3) - .seconds(age))))
    }

    @Test(
        "in v1 contenders are refused until both the bucket's TTL and the stated end have passed, or the server would have removed the lease"
    )
    func v1() {
        func rules(expires: Double) -> LeaseEntryRules { Samples.rules(.v1, Samples.entry(Samples.v1(expires: expires), revision: 7)) }
        // expires_at, age in seconds, seconds by which the local wall clock is ahead, and seconds that the lease still runs.
        let table: [(Double, Double, Double, Double?)] = [
            (3, 1, 0, 2), (3, 2.5, 0, 0.5), (3, 3, 0, nil),
            // The holder's node has a longer TTL than the bucket was created for.
            (5, 3, 0, 2), (5, 5, 0, nil), (60, 3, 0, 3), (60, 5.5, 0, 0.5), (60, 6, 0, nil),
            // The holder's node has a shorter TTL, or its clock is behind.
            (1, 2, 0, 1), (-100, 2, 0, 1), (-100, 3, 0, nil),
            // A local clock that is ahead does not grant the lease early. One that is behind delays it, but not past its removal by the server.
            (3, 1, 100, 2), (3, 3, -1, 1), (3, 3, -100, 3), (3, 6, -100, nil),
        ]
        for (expires, age, ahead, left) in table {
            let decision = decide(rules(expires: expires), at: age, wallAhead: ahead)
            #expect(decision == left.map { .refuse(until: .seconds($0)) } ?? .take(over: 7, epoch: 11), "\(expires) \(age) \(ahead)")
        }
    }

    @Test("contenders are refused forever in a bucket that keeps values forever, unless v1 states an end") func forEver() {
        let v2 = Samples.rules(.v2, Samples.entry(Samples.v2()), keepsForEver: true)
        #expect(decide(v2, at: 1e6) == .refuse(until: nil))
        let v1 = Samples.rules(.v1, Samples.entry(Samples.v1(expires: 3)), keepsForEver: true)
        #expect(decide(v1, at: 1) == .refuse(until: .seconds(2)))
        #expect(decide(v1, at: 3) == .take(over: 10, epoch: 11))
    }

    // MARK: Junk

    @Test("any contender gets a lease with a junk value as old as a lease's TTL", arguments: LeaseFormat.allCases) func junk(
        format: LeaseFormat
    ) {
        let rules = Samples.rules(format, Samples.entry("rubbish", revision: 7), lastSequence: 20)
        #expect(decide(rules, at: 1) == .refuse(until: .seconds(2)))
        #expect(decide(rules, at: 3) == .take(over: 7, epoch: 21))
        // The bucket has no TTL, so the contender's own counts.
        let forEver = Samples.rules(format, Samples.entry("rubbish", revision: 7), lastSequence: 20, keepsForEver: true)
        #expect(decide(forEver, at: 6) == .refuse(until: .seconds(1)))
        #expect(decide(forEver, at: 7) == .take(over: 7, epoch: 21))
    }

    // MARK: Own terms

    @Test("a holder that continues its term renews it") func goesOn() {
        let rules = Samples.rules(.v2, Samples.entry(Samples.v2("node-b"), revision: 12, id: "qq:\(Samples.termID):9:3"))
        #expect(decide(rules, continuing: Samples.termID) == .renew(at: 12))
    }

    @Test("a contender is refused if another process leads under the same identity") func sameName() {
        let rules = Samples.rules(.v2, Samples.entry(Samples.v2("node-b"), revision: 12, id: "qq:\(Samples.termID):9:3"))
        #expect(decide(rules) == .refuse(until: .seconds(2)))
        #expect(decide(rules, continuing: "abcdefghijklmnopqrstuv") == .refuse(until: .seconds(2)))
        // A Go node with the same identity leads, and its term ID was guessed.
        let node = Samples.rules(.v2, Samples.entry(Samples.v2("node-b", epoch: 3), revision: 12))
        #expect(decide(node) == .refuse(until: .seconds(2)))
        #expect(decide(node, continuing: "node-b/3") == .refuse(until: .seconds(2)))
    }

    @Test("a contender is refused if its term has another identity") func otherName() {
        let rules = Samples.rules(.v2, Samples.entry(Samples.v2("node-a"), revision: 12, id: "qq:\(Samples.termID)"))
        #expect(decide(rules, continuing: Samples.termID) == .refuse(until: .seconds(2)))
    }

    @Test("a holder whose term has expired gets a new term") func ended() {
        let rules = Samples.rules(
            .v2, Samples.entry(Samples.v2("node-b", epoch: 3), revision: 12, id: "qq:\(Samples.termID)"), lastSequence: 12)
        #expect(decide(rules, continuing: Samples.termID, at: 3) == .take(over: 12, epoch: 13))
    }

    // MARK: Age

    @Test("the age of a lease is computed from the server's clock at the time of the read") func serverClock() {
        var rules = Samples.rules(.v2, Samples.entry(Samples.v2()))
        // The entry was two seconds old at the first read, by the server's clock.
        rules.serverClock = ServerClock(time: Samples.start + .seconds(2), readAt: Samples.bootStart)
        #expect(decide(rules, at: 0.5) == .refuse(until: .milliseconds(500)))
        #expect(decide(rules, at: 1) == .take(over: 10, epoch: 11))
    }

    @Test("the age of a lease counts from the first read if the server's clock is behind or unknown") func firstSeen() {
        var rules = Samples.rules(.v2, Samples.entry(Samples.v2()))
        for clock in [nil, ServerClock(time: Samples.start - .seconds(3600), readAt: Samples.bootStart)] {
            rules.serverClock = clock
            #expect(decide(rules, at: 2) == .refuse(until: .seconds(1)))
            #expect(decide(rules, at: 3) == .take(over: 10, epoch: 11))
        }
    }

    @Test("the age of a lease never depends on the local wall clock") func ourClock() {
        let rules = Samples.rules(.v2, Samples.entry(Samples.v2()), clock: false)
        #expect(decide(rules, at: 1, wallAhead: 3600) == .refuse(until: .seconds(2)))
        #expect(decide(rules, at: 1, wallAhead: -3600) == .refuse(until: .seconds(2)))
    }

    @Test("the age of a lease is not negative") func early() {
        var rules = Samples.rules(.v2, Samples.entry(Samples.v2()))
        rules.serverClock = ServerClock(time: Samples.start - .seconds(5), readAt: Samples.bootStart)
        rules.firstSeen = Samples.bootStart + .seconds(9)
        #expect(rules.age(at: Samples.moment(1)) == .zero)
        #expect(rules.likelyAge(at: Samples.moment(1)) == .zero)
    }

    // MARK: Epochs

    @Test(
        "the next epoch follows the higher of the stream's last sequence and the last epoch",
        arguments: [(3, 10, 11), (9, 10, 11), (10, 10, 11), (11, 10, 12), (500, 10, 501), (-7, 0, 1), (.max, 10, .max)]
            as [(Int64, UInt64, Int64)])
    func epochs(last: Int64, sequence: UInt64, next: Int64) {
        #expect(Samples.rules(.v2, Samples.entry(Samples.v2(epoch: last)), lastSequence: sequence).nextEpoch == next)
    }

    @Test("the next epoch does not overflow") func hugeSequence() {
        #expect(Samples.rules(.v2, nil, lastSequence: .max).nextEpoch == .max)
    }

    // MARK: Cooldown

    private func cooldown(_ value: String, operation: KeyValueEntry.Operation = .put) -> KeyValueEntry {
        Samples.entry(value, revision: 4, key: "cooldown.node-b", operation: operation)
    }

    @Test("a contender is refused during its cooldown") func coolingDown() {
        let rules = Samples.rules(.v2, nil, lastSequence: 9)
        let until = String(Samples.start.milliseconds + 2500)
        #expect(decide(rules, cooldown: cooldown(until), at: 1) == .coolingDown(.milliseconds(1500)))
        #expect(decide(rules, cooldown: cooldown(until), at: 2.5) == .take(over: 0, epoch: 10))
        #expect(decide(rules, cooldown: cooldown(until, operation: .delete), at: 1) == .take(over: 0, epoch: 10))
        // The same holds for an expired lease.
        #expect(
            decide(Samples.rules(.v2, Samples.entry(Samples.v2())), cooldown: cooldown("\(Samples.start.milliseconds + 5000)"), at: 4)
                == .coolingDown(.seconds(1)))
    }

    @Test("a junk cooldown does not delay a contender", arguments: ["", "soon", "1e30", "99999999999999999999", "{}", " 1"])
    func junkCooldown(value: String) {
        #expect(decide(Samples.rules(.v2, nil, lastSequence: 9), cooldown: cooldown(value)) == .take(over: 0, epoch: 10))
    }

    @Test("a cooldown lasts no longer than the server keeps it") func longCooldown() {
        let value = String(Samples.start.milliseconds + 3_600_000)
        #expect(decide(Samples.rules(.v2, nil), cooldown: cooldown(value)) == .coolingDown(.seconds(3)))
        #expect(decide(Samples.rules(.v1, nil), cooldown: cooldown(value)) == .coolingDown(.seconds(6)))
        #expect(decide(Samples.rules(.v1, nil), cooldown: cooldown("9223372036854775807")) == .coolingDown(.seconds(6)))
        #expect(decide(Samples.rules(.v1, nil, keepsForEver: true), cooldown: cooldown(value)) == .coolingDown(.seconds(7)))
    }

    @Test("a holder renews during its cooldown, and a contender is refused because of the holder rather than the cooldown")
    func heldInCooldown() {
        let value = String(Samples.start.milliseconds + 2500)
        let ours = Samples.rules(.v2, Samples.entry(Samples.v2("node-b"), revision: 12, id: "qq:\(Samples.termID)"))
        #expect(decide(ours, continuing: Samples.termID, cooldown: cooldown(value)) == .renew(at: 12))
        #expect(decide(Samples.rules(.v2, Samples.entry(Samples.v2())), cooldown: cooldown(value)) == .refuse(until: .seconds(2)))
    }
}
