import QQCore
import Testing

@testable import QQNATS

@Suite("Who may have a lease") struct LeaseEntryRulesTests {
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

    @Test("anybody, where the key is not there", arguments: LeaseFormat.allCases) func missing(format: LeaseFormat) {
        #expect(decide(Samples.rules(format, nil, lastSequence: 0)) == .take(over: 0, epoch: 1))
        #expect(decide(Samples.rules(format, nil, lastSequence: 41)) == .take(over: 0, epoch: 42))
    }

    @Test("anybody, where it was given up, over the tombstone", arguments: [.delete, .purge, .expired] as [KeyValueEntry.Operation])
    func tombstone(operation: KeyValueEntry.Operation) {
        for format in LeaseFormat.allCases {
            let rules = Samples.rules(format, Samples.entry("", revision: 7, operation: operation), lastSequence: 9)
            #expect(decide(rules) == .take(over: 7, epoch: 10))
        }
    }

    // MARK: Held

    @Test("nobody else while it runs; anybody when it has ended, at once", arguments: [(2.5, false), (3.0, true), (100, true)])
    func v2(age: Double, isFree: Bool) {
        let rules = Samples.rules(.v2, Samples.entry(Samples.v2(epoch: 3), revision: 7))
        #expect(decide(rules, at: age) == (isFree ? .take(over: 7, epoch: 11) : .refuse(until: .seconds(3) - .seconds(age))))
    }

    @Test("in v1 nobody before both the bucket's TTL and the stated end have passed, or the server would have removed it") func v1() {
        func rules(expires: Double) -> LeaseEntryRules { Samples.rules(.v1, Samples.entry(Samples.v1(expires: expires), revision: 7)) }
        // expires_at, seconds of age, how far our wall clock is ahead, and how long the lease still runs.
        let table: [(Double, Double, Double, Double?)] = [
            (3, 1, 0, 2), (3, 2.5, 0, 0.5), (3, 3, 0, nil),
            // The holder's node has a longer TTL than the bucket was made for.
            (5, 3, 0, 2), (5, 5, 0, nil), (60, 3, 0, 3), (60, 5.5, 0, 0.5), (60, 6, 0, nil),
            // Or a shorter one, or its clock is behind.
            (1, 2, 0, 1), (-100, 2, 0, 1), (-100, 3, 0, nil),
            // Our clock is ahead: no reason to come early. Behind: later, but no later than the server removes it.
            (3, 1, 100, 2), (3, 3, -1, 1), (3, 3, -100, 3), (3, 6, -100, nil),
        ]
        for (expires, age, ahead, left) in table {
            let decision = decide(rules(expires: expires), at: age, wallAhead: ahead)
            #expect(decision == left.map { .refuse(until: .seconds($0)) } ?? .take(over: 7, epoch: 11), "\(expires) \(age) \(ahead)")
        }
    }

    @Test("nobody for ever, in a bucket that keeps values for ever, unless v1 states an end") func forEver() {
        let v2 = Samples.rules(.v2, Samples.entry(Samples.v2()), keepsForEver: true)
        #expect(decide(v2, at: 1e6) == .refuse(until: nil))
        let v1 = Samples.rules(.v1, Samples.entry(Samples.v1(expires: 3)), keepsForEver: true)
        #expect(decide(v1, at: 1) == .refuse(until: .seconds(2)))
        #expect(decide(v1, at: 3) == .take(over: 10, epoch: 11))
    }

    // MARK: Junk

    @Test("anybody, where junk has stood for a lease's length", arguments: LeaseFormat.allCases) func junk(format: LeaseFormat) {
        let rules = Samples.rules(format, Samples.entry("rubbish", revision: 7), lastSequence: 20)
        #expect(decide(rules, at: 1) == .refuse(until: .seconds(2)))
        #expect(decide(rules, at: 3) == .take(over: 7, epoch: 21))
        // The bucket says nothing: our own TTL.
        let forEver = Samples.rules(format, Samples.entry("rubbish", revision: 7), lastSequence: 20, keepsForEver: true)
        #expect(decide(forEver, at: 6) == .refuse(until: .seconds(1)))
        #expect(decide(forEver, at: 7) == .take(over: 7, epoch: 21))
    }

    // MARK: Ours

    @Test("we, where it is the term that we go on with") func goesOn() {
        let rules = Samples.rules(.v2, Samples.entry(Samples.v2("node-b"), revision: 12, id: "qq:\(Samples.termID):9:3"))
        #expect(decide(rules, continuing: Samples.termID) == .renew(at: 12))
    }

    @Test("not we, where another process leads under our name") func sameName() {
        let rules = Samples.rules(.v2, Samples.entry(Samples.v2("node-b"), revision: 12, id: "qq:\(Samples.termID):9:3"))
        #expect(decide(rules) == .refuse(until: .seconds(2)))
        #expect(decide(rules, continuing: "abcdefghijklmnopqrstuv") == .refuse(until: .seconds(2)))
        // Nor where it is a Go node with our name, however well its term is guessed.
        let node = Samples.rules(.v2, Samples.entry(Samples.v2("node-b", epoch: 3), revision: 12))
        #expect(decide(node) == .refuse(until: .seconds(2)))
        #expect(decide(node, continuing: "node-b/3") == .refuse(until: .seconds(2)))
    }

    @Test("not we, where our term bears another's name") func otherName() {
        let rules = Samples.rules(.v2, Samples.entry(Samples.v2("node-a"), revision: 12, id: "qq:\(Samples.termID)"))
        #expect(decide(rules, continuing: Samples.termID) == .refuse(until: .seconds(2)))
    }

    @Test("we with a new term, where ours has ended") func ended() {
        let rules = Samples.rules(
            .v2, Samples.entry(Samples.v2("node-b", epoch: 3), revision: 12, id: "qq:\(Samples.termID)"), lastSequence: 12)
        #expect(decide(rules, continuing: Samples.termID, at: 3) == .take(over: 12, epoch: 13))
    }

    // MARK: Age

    @Test("is told by the server's clock, from when it was read") func serverClock() {
        var rules = Samples.rules(.v2, Samples.entry(Samples.v2()))
        // The entry was two seconds old when we first saw it, and the server said so.
        rules.serverClock = ServerClock(time: Samples.start + .seconds(2), readAt: Samples.bootStart)
        #expect(decide(rules, at: 0.5) == .refuse(until: .milliseconds(500)))
        #expect(decide(rules, at: 1) == .take(over: 10, epoch: 11))
    }

    @Test("is told by when we first saw it, where the server's clock is behind or does not say") func firstSeen() {
        var rules = Samples.rules(.v2, Samples.entry(Samples.v2()))
        for clock in [nil, ServerClock(time: Samples.start - .seconds(3600), readAt: Samples.bootStart)] {
            rules.serverClock = clock
            #expect(decide(rules, at: 2) == .refuse(until: .seconds(1)))
            #expect(decide(rules, at: 3) == .take(over: 10, epoch: 11))
        }
    }

    @Test("is never told by our wall clock") func ourClock() {
        let rules = Samples.rules(.v2, Samples.entry(Samples.v2()), clock: false)
        #expect(decide(rules, at: 1, wallAhead: 3600) == .refuse(until: .seconds(2)))
        #expect(decide(rules, at: 1, wallAhead: -3600) == .refuse(until: .seconds(2)))
    }

    @Test("is not below zero") func early() {
        var rules = Samples.rules(.v2, Samples.entry(Samples.v2()))
        rules.serverClock = ServerClock(time: Samples.start - .seconds(5), readAt: Samples.bootStart)
        rules.firstSeen = Samples.bootStart + .seconds(9)
        #expect(rules.age(at: Samples.moment(1)) == .zero)
        #expect(rules.likelyAge(at: Samples.moment(1)) == .zero)
    }

    // MARK: Epochs

    @Test(
        "counts on from the higher of the stream's last sequence and the last epoch",
        arguments: [(3, 10, 11), (9, 10, 11), (10, 10, 11), (11, 10, 12), (500, 10, 501), (-7, 0, 1), (.max, 10, .max)]
            as [(Int64, UInt64, Int64)])
    func epochs(last: Int64, sequence: UInt64, next: Int64) {
        #expect(Samples.rules(.v2, Samples.entry(Samples.v2(epoch: last)), lastSequence: sequence).nextEpoch == next)
    }

    @Test("does not overflow") func hugeSequence() {
        #expect(Samples.rules(.v2, nil, lastSequence: .max).nextEpoch == .max)
    }

    // MARK: Cooldown

    private func cooldown(_ value: String, operation: KeyValueEntry.Operation = .put) -> KeyValueEntry {
        Samples.entry(value, revision: 4, key: "cooldown.node-b", operation: operation)
    }

    @Test("not we, while we cool down") func coolingDown() {
        let rules = Samples.rules(.v2, nil, lastSequence: 9)
        let until = String(Samples.start.milliseconds + 2500)
        #expect(decide(rules, cooldown: cooldown(until), at: 1) == .coolingDown(.milliseconds(1500)))
        #expect(decide(rules, cooldown: cooldown(until), at: 2.5) == .take(over: 0, epoch: 10))
        #expect(decide(rules, cooldown: cooldown(until, operation: .delete), at: 1) == .take(over: 0, epoch: 10))
        // An expired lease and junk are no other case.
        #expect(
            decide(Samples.rules(.v2, Samples.entry(Samples.v2())), cooldown: cooldown("\(Samples.start.milliseconds + 5000)"), at: 4)
                == .coolingDown(.seconds(1)))
    }

    @Test("is not delayed by a cooldown that is junk", arguments: ["", "soon", "1e30", "99999999999999999999", "{}", " 1"])
    func junkCooldown(value: String) {
        #expect(decide(Samples.rules(.v2, nil, lastSequence: 9), cooldown: cooldown(value)) == .take(over: 0, epoch: 10))
    }

    @Test("is not delayed longer than the server keeps a cooldown") func longCooldown() {
        let value = String(Samples.start.milliseconds + 3_600_000)
        #expect(decide(Samples.rules(.v2, nil), cooldown: cooldown(value)) == .coolingDown(.seconds(3)))
        #expect(decide(Samples.rules(.v1, nil), cooldown: cooldown(value)) == .coolingDown(.seconds(6)))
        #expect(decide(Samples.rules(.v1, nil), cooldown: cooldown("9223372036854775807")) == .coolingDown(.seconds(6)))
        #expect(decide(Samples.rules(.v1, nil, keepsForEver: true), cooldown: cooldown(value)) == .coolingDown(.seconds(7)))
    }

    @Test("renews through a cooldown, and says who leads rather than that we cool down") func heldInCooldown() {
        let value = String(Samples.start.milliseconds + 2500)
        let ours = Samples.rules(.v2, Samples.entry(Samples.v2("node-b"), revision: 12, id: "qq:\(Samples.termID)"))
        #expect(decide(ours, continuing: Samples.termID, cooldown: cooldown(value)) == .renew(at: 12))
        #expect(decide(Samples.rules(.v2, Samples.entry(Samples.v2())), cooldown: cooldown(value)) == .refuse(until: .seconds(2)))
    }
}
