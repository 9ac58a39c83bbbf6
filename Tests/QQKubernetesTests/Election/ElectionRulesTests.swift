import QQCore
import Testing

@testable import QQKubernetes

private let start = WallTime(seconds: 1_780_000_000)

private func at(_ seconds: Double) -> BootInstant { BootInstant(nanoseconds: 1_000_000_000_000) + .seconds(saturating: seconds) }

private func lease(
    _ holder: String?, duration: Int32? = 15, renewed: Duration = .zero, transitions: Int32 = 1, version: UInt64 = 10, uid: String = "u"
) -> LeaseObject {
    var object = LeaseObject([
        "metadata": [
            "name": "web", "uid": .string(uid), "resourceVersion": .string("\(version)"), "labels": ["app": "x"],
            "annotations": ["other": "kept"],
        ],
        "spec": ["strategy": "OldestEmulationVersion"],
    ])!
    var record = object.record
    (record.holder, record.duration, record.transitions) = (holder, duration, transitions)
    record.acquireTime = LeaseRecord.text(start)
    record.renewTime = LeaseRecord.text(start + renewed)
    object.write(record)
    return object
}

private func marked(_ object: LeaseObject, _ id: String = String(repeating: "a", count: 32), seconds: Int32 = 15) -> LeaseObject {
    var object = object
    object.mark(
        TermMark(
            id: id, token: FencingToken(9), identity: object.record.holder ?? "", acquireTime: object.record.acquireTime ?? "",
            transitions: object.record.transitions, seconds: seconds, isAttended: true))
    return object
}

@Suite struct LeaseObjectTests {
    @Test func `a write keeps everything that is not ours`() {
        var object = marked(lease("a"))
        object.release(wall: start + .seconds(5))
        #expect(object.body["metadata"]?["labels"] == ["app": "x"])
        #expect(object.body["metadata"]?["annotations"] == ["other": "kept"])
        #expect(object.body["spec"]?["strategy"] == "OldestEmulationVersion")
        #expect(object.body["spec"]?["leaseTransitions"] == 1)
    }

    @Test func `a released lease has a duration, no holder, and ended a second ago`() {
        var object = marked(lease("a"))
        object.release(wall: start + .seconds(5))
        #expect(object.record.holder == nil && object.record.duration == 1 && object.clearedMark == nil)
        #expect(object.body["spec"]?["renewTime"] == "2026-05-28T20:26:44.000000Z")
        #expect(object.body["spec"]?["holderIdentity"] == "")
    }

    @Test func `a mark counts for its own term alone`() {
        let object = marked(lease("a"))
        #expect(object.mark?.token == FencingToken(9) && object.mark?.identity == "a")
        for change in [
            { (record: inout LeaseRecord) in record.holder = "b" }, { $0.acquireTime = LeaseRecord.text(start + .seconds(1)) },
            { $0.transitions += 1 }, { $0.holder = nil },
        ] {
            var record = object.record
            change(&record)
            var other = object
            other.write(record)
            #expect(other.mark == nil)
        }
    }

    @Test func `an identity with spaces is read back`() {
        let mark = TermMark(
            token: nil, identity: "a  b c", acquireTime: "t", transitions: 0, seconds: 3, isAttended: false)
        #expect(TermMark(mark.text) == mark)
        #expect(TermMark("") == nil && TermMark("x y") == nil)
    }

    @Test func `numbers and times from outside are clamped`() {
        let object = LeaseObject([
            "metadata": ["name": "x", "resourceVersion": "007"],
            "spec": [
                "leaseDurationSeconds": 99_999_999_999, "leaseTransitions": -5, "renewTime": "never", "holderIdentity": 7,
                "acquireTime": "0001-01-01T00:00:00.000000Z",
            ],
        ])!
        #expect(object.record.duration == .max && object.record.transitions == 0 && object.record.holder == nil)
        #expect(object.record.renewedAt == nil && object.record.acquiredAt == nil && object.version == nil)
        #expect(LeaseObject("text") == nil && LeaseObject([:]) == nil)
    }

    @Test(arguments: ["web", "a.b-c.d", "0", String(repeating: "a", count: 253)]) func `a name is accepted`(name: String) {
        #expect(LeaseNaming.problem(withName: name) == nil)
    }

    @Test(arguments: ["", "Web", "a_b", "-a", "a-", "a..b", ".a", "a/b", "ä", String(repeating: "a", count: 254)])
    func `a name that the server refuses is refused`(name: String) { #expect(LeaseNaming.problem(withName: name) != nil) }

    @Test func `a name with its namespace has a hint where that is written`() throws {
        let node = try Bench().node()
        let error = try #require(throws: CoordinationError.self) {
            try node.qq.validate(name: "team/web", identity: "a", ttl: .seconds(15))
        }
        #expect(error.kind == .usage && error.hint == "the namespace is in the server URL: -s k8s://CONTEXT/NAMESPACE")
    }

    @Test func `a TTL has whole seconds`() {
        #expect(LeaseNaming.seconds(.seconds(1)) == 1 && LeaseNaming.seconds(.seconds(Int64(Int32.max))) == .max)
        #expect(LeaseNaming.seconds(.milliseconds(1500)) == nil && LeaseNaming.seconds(.zero) == nil)
        #expect(LeaseNaming.seconds(.seconds(Int64(Int32.max) + 1)) == nil)
    }
}

@Suite struct LeaseHistoryTests {
    private func isTakeable(
        _ history: LeaseHistory, _ time: Double, wall: Duration? = nil, server: WallTime? = nil, own: OwnTerms = OwnTerms()
    ) -> Bool {
        let wall = wall.map { start + $0 } ?? start + .seconds(saturating: time)
        if case .takeable = history.verdict(at: at(time), wall: wall, server: server, own: own) { return true }
        return false
    }

    @Test func `a lease is counted from when its record was seen, by the record's duration`() {
        let history = LeaseHistory(lease("a", duration: 20), at: at(5))
        #expect(!isTakeable(history, 24.9) && isTakeable(history, 25))
    }

    @Test func `a single look takes only what ended more than one whole lease ago`() {
        let history = LeaseHistory(lease("a"), at: at(0))
        #expect(!isTakeable(history, 0, wall: .seconds(30)) && isTakeable(history, 0, wall: .seconds(31)))
        #expect(history.verdict(at: at(0), wall: start + .seconds(20)) == .refused(.unobserved, until: at(15)))
        #expect(history.verdict(at: at(0), wall: start + .seconds(10)) == .refused(.held, until: at(15)))
    }

    @Test func `a renewal ahead of our clock counts as held`() {
        #expect(!isTakeable(LeaseHistory(lease("a", renewed: .seconds(3600)), at: at(0)), 0))
    }

    @Test func `a holder that was seen to renew is not judged by a wall clock`() {
        var history = LeaseHistory(lease("a"), at: at(0))
        history.note(lease("a", renewed: .seconds(5), version: 11), own: [], at: at(5))
        #expect(!isTakeable(history, 19.9, wall: .seconds(7200)) && isTakeable(history, 20))
    }

    @Test func `a label edit is no renewal`() {
        var history = LeaseHistory(lease("a"), at: at(0))
        var edited = lease("a", version: 11)
        edited.annotate("label", "x")
        history.note(edited, own: [], at: at(10))
        #expect(isTakeable(history, 15) && history.object == edited)
    }

    @Test func `a write that the server made lately keeps a slow clock from passing for a dead holder`() {
        var json = lease("a").json
        var metadata = json["metadata"]!.objectValue!
        metadata["managedFields"] = [["manager": "x", "time": .string((start + .seconds(3600)).rfc3339())]]
        json["metadata"] = .object(metadata)
        let history = LeaseHistory(LeaseObject(.object(json)), at: at(0))
        #expect(!isTakeable(history, 0, wall: .seconds(3600), server: start + .seconds(3601)))
        #expect(isTakeable(history, 0, wall: .seconds(3620), server: start + .seconds(3616)))
    }

    @Test func `without holder or duration the lease is free, as for client-go`() {
        #expect(isTakeable(LeaseHistory(lease(nil), at: at(0)), 0))
        #expect(isTakeable(LeaseHistory(lease("a", duration: nil), at: at(0)), 0))
        #expect(LeaseHistory(nil, at: at(0)).verdict(at: at(0), wall: start) == .absent)
    }

    @Test func `a lease that was cleared and not released is waited out`() {
        var cleared = marked(lease("a"))
        var record = cleared.record
        (record.holder, record.duration, record.renewTime) = (nil, 1, LeaseRecord.text(start + .seconds(100)))
        cleared.write(record)
        let history = LeaseHistory(cleared, at: at(100))
        #expect(!isTakeable(history, 114) && isTakeable(history, 115))
        var own = OwnTerms()
        own.add(String(repeating: "a", count: 32), [])
        #expect(isTakeable(history, 100, own: own))
        // client-go has led and released it since.
        record.transitions += 1
        record.acquireTime = record.renewTime
        cleared.write(record)
        #expect(isTakeable(LeaseHistory(cleared, at: at(100)), 100))
    }

    @Test func `a lease that a client-go leader wiped with the transitions of its own term is waited out`() {
        for transitions in [Int32(0), 1] {
            var wiped = marked(lease("a"))
            var record = wiped.record
            (record.holder, record.duration, record.transitions) = (nil, 1, transitions)
            record.renewTime = LeaseRecord.text(start + .seconds(100))
            record.acquireTime = record.renewTime
            wiped.write(record)
            let history = LeaseHistory(wiped, at: at(100))
            #expect(!isTakeable(history, 114) && isTakeable(history, 115))
        }
    }

    @Test func `a lease that a Consensus node took over and released, without a word about transitions, is taken at once`() {
        var released = marked(lease("a"))
        var record = released.record
        (record.holder, record.duration) = (nil, 5)
        record.acquireTime = LeaseRecord.text(start + .seconds(60))
        record.renewTime = LeaseRecord.text(start + .seconds(66))
        released.write(record)
        #expect(isTakeable(LeaseHistory(released, at: at(100)), 100))
    }

    @Test func `a lease that lost its whole spec is waited out`() {
        var json = marked(lease("a")).json
        json["spec"] = [:]
        let history = LeaseHistory(LeaseObject(.object(json)), at: at(100))
        #expect(!isTakeable(history, 114) && isTakeable(history, 115))
    }

    @Test func `a lease that was seen held and then without holder, but with its mark, is waited out whatever its transitions are`() {
        var history = LeaseHistory(marked(lease("a", transitions: 0)), at: at(0))
        var wiped = marked(lease("a", transitions: 0, version: 11))
        var record = wiped.record
        (record.holder, record.duration, record.transitions, record.acquireTime) = (nil, 1, 7, LeaseRecord.text(start + .seconds(4)))
        wiped.write(record)
        history.note(wiped, own: [], at: at(4))
        #expect(!isTakeable(history, 18.9) && isTakeable(history, 19))
    }

    @Test func `a lease of ours that was left is taken just as it was left, and not once it was lost`() {
        let object = marked(lease("a"))
        let history = LeaseHistory(object, at: at(0))
        var own = OwnTerms()
        own.add(String(repeating: "a", count: 32), [object.record])
        #expect(isTakeable(history, 0, own: own))
        var (renewed, record) = (object, object.record)
        record.renewTime = LeaseRecord.text(start + .seconds(1))
        renewed.write(record)
        #expect(!isTakeable(LeaseHistory(renewed, at: at(0)), 0, own: own))
        var lost = OwnTerms()
        lost.add(String(repeating: "a", count: 32), [])
        #expect(!isTakeable(history, 0, own: lost))
    }

    @Test func `a deleted lease is waited out, also when it was made again or the store was set back`() {
        for gone in [nil, lease(nil, version: 20, uid: "v"), lease(nil, version: 5)] {
            var history = LeaseHistory(lease("a"), at: at(0))
            history.note(gone, own: [], at: at(3))
            // It can have been renewed until then.
            #expect(history.verdict(at: at(17.9), wall: start) == .refused(.vanished, until: at(18)))
            #expect(history.verdict(at: at(18), wall: start) != .refused(.vanished, until: at(18)))
        }
    }

    @Test func `a lease of a qq that something shortened is waited out for as long as its holder works`() {
        for duration in [nil, Int32(1)] {
            var shortened = marked(lease("a"))
            var record = shortened.record
            record.duration = duration
            shortened.write(record)
            let history = LeaseHistory(shortened, at: at(0))
            #expect(!isTakeable(history, 14.9) && isTakeable(history, 15))
            #expect(!isTakeable(history, 0, wall: .seconds(29)) && isTakeable(history, 0, wall: .seconds(31)))
        }
    }

    @Test func `of the writes without an answer the newest are kept`() {
        var own = OwnTerms()
        let object = marked(lease("a"))
        for version in 1...1000 {
            own.add(.init(mark: object.mark!, record: object.record, uid: "u", version: "\(version)", sentAt: at(0)))
        }
        #expect(own.attempts.count == 64 && own.attempts.last?.version == "1000")
    }

    @Test func `a lease that is being deleted is not taken`() {
        var json = lease(nil).json
        var metadata = json["metadata"]!.objectValue!
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        json["metadata"] = .object(metadata)
        let history = LeaseHistory(LeaseObject(.object(json)), at: at(0))
        #expect(history.verdict(at: at(99), wall: start + .seconds(999)) == .refused(.deleting, until: nil))
    }

    @Test func `one read is judged by the holder's clock, a holder that was seen to renew by ours`() {
        var history = LeaseHistory(lease("a"), at: at(0))
        var state = history.state("web", at: at(0), wall: start + .seconds(5))
        #expect(state.phase == .held && state.remaining == .seconds(10) && state.details["clock"] == "holder")
        state = history.state("web", at: at(0), wall: start + .seconds(16))
        #expect(state.phase == .expired)
        state = history.state("web", at: at(0), wall: start - .seconds(100))
        #expect(state.phase == .held && state.remaining == .seconds(15))
        history.note(lease("a", renewed: .seconds(1), version: 11), own: [], at: at(1))
        state = history.state("web", at: at(2), wall: start + .seconds(5000))
        #expect(state.phase == .held && state.remaining == .seconds(14) && state.details["clock"] == "own")
    }
}

@Suite struct HeldLeaseTests {
    private func held(ttl: Int32 = 15) -> HeldLease {
        let object = marked(lease("a", duration: ttl), seconds: ttl)
        return HeldLease(mark: object.mark!, object: object, shownSince: at(0))
    }

    private func answered(_ object: LeaseObject, _ version: UInt64) -> LeaseObject {
        var json = object.json
        var metadata = json["metadata"]!.objectValue!
        metadata["resourceVersion"] = .string("\(version)")
        json["metadata"] = .object(metadata)
        return LeaseObject(.object(json))!
    }

    @Test func `a renewal within the same second does not extend the lease`() {
        var lease = held()
        let (object, renewal) = lease.renewal(at: at(0.4), wall: start + .milliseconds(400))
        lease.confirm(renewal, as: answered(object, 11))
        #expect(!renewal.isSeen && lease.deadline == at(15))
        let (next, seen) = lease.renewal(at: at(1.1), wall: start + .milliseconds(1100))
        lease.confirm(seen, as: answered(next, 12))
        #expect(seen.isSeen && lease.deadline == at(16.1))
    }

    @Test func `a renewal that comes when a wall clock repeats a second differs in its duration`() {
        var lease = held()
        let (object, renewal) = lease.renewal(at: at(4), wall: start + .milliseconds(400))
        lease.confirm(renewal, as: answered(object, 11))
        #expect(renewal.isSeen && object.record.duration == 16 && lease.deadline == at(19))
    }

    @Test func `a lease of one second is extended by every renewal`() {
        var lease = held(ttl: 1)
        for step in 1...20 {
            let time = Double(step) / 3
            let (object, renewal) = lease.renewal(at: at(time), wall: start + .seconds(saturating: time))
            lease.confirm(renewal, as: answered(object, UInt64(10 + step)))
            #expect(renewal.isSeen && lease.deadline == at(time) + .seconds(1))
        }
    }

    @Test func `a short lease makes every late renewal differ`() {
        var lease = held(ttl: 1)
        let (object, renewal) = lease.renewal(at: at(0.6), wall: start + .milliseconds(600))
        #expect(renewal.isSeen && object.record.duration == 2)
        lease.confirm(renewal, as: answered(object, 11))
        #expect(lease.deadline == at(1.6))
        let (next, second) = lease.renewal(at: at(0.9), wall: start + .milliseconds(900))
        // Not the duration of the first record again: a contender that missed the second would see no difference.
        #expect(second.isSeen && next.record.duration == 3)
    }

    /// - Parameter wall: the wall clock at a number of seconds.
    private func records(ttl: Int32, every pause: Double, _ wall: (Double) -> WallTime) -> [(sentAt: BootInstant, record: LeaseRecord)] {
        var lease = held(ttl: ttl)
        var records = [(sentAt: at(0), record: lease.object.record)]
        for step in 1...200 {
            let time = Double(step) * pause
            let (object, renewal) = lease.renewal(at: at(time), wall: wall(time))
            lease.confirm(renewal, as: answered(object, UInt64(10 + step)))
            if renewal.isSeen { records.append((at(time), object.record)) }
            let last = records[records.count - 1]
            #expect(renewal.isSeen || object.record.looksSame(as: last.record))
            #expect(lease.deadline == last.sentAt + .seconds(Int64(ttl)))
        }
        return records
    }

    @Test(arguments: [0.01, 0.13, 0.27, 0.34, 0.6, 1, 5])
    func `no record of a term looks like an earlier one to a contender that missed those in between`(pause: Double) {
        for ttl in [Int32(1), 2, 3, 15] {
            let clocks: [(Double) -> WallTime] = [
                { start + .seconds(saturating: $0) },
                // Set back by ten seconds, and by an hour.
                { start + .seconds(saturating: $0 > 12 ? $0 - 10 : $0) }, { start + .seconds(saturating: $0 > 1 ? $0 - 3600 : $0) },
                // Set back again and again.
                { start + .seconds(saturating: $0.truncatingRemainder(dividingBy: 2.5)) },
            ]
            for wall in clocks {
                let records = records(ttl: ttl, every: pause, wall).map(\.record)
                // What client-go compares; the holder and the transitions are those of the term.
                let seen = Set(records.map { [Int64($0.duration ?? 0), $0.acquiredAt?.seconds ?? 0, $0.renewedAt?.seconds ?? 0] })
                #expect(seen.count == records.count)
                #expect(records.allSatisfy { ttl...ttl + 8 ~= $0.duration ?? 0 })
                let renewals = records.map { $0.renewedAt ?? .goZero }
                #expect(renewals == renewals.sorted())
            }
        }
    }

    @Test func `a record does not run away from a wall clock that was set back`() {
        let records = records(ttl: 1, every: 0.13) { start + .seconds(saturating: $0 > 1 ? $0 - 3600 : $0) }
        #expect((records.last?.record.renewedAt ?? .latest) < start + .seconds(27))
    }

    @Test func `a lease with the longest TTL is renewed`() {
        var lease = held(ttl: .max)
        let (object, renewal) = lease.renewal(at: at(1_000_000_000), wall: start)
        lease.confirm(renewal, as: answered(object, 11))
        #expect(renewal.isSeen && object.record.duration == .max)
        #expect(object.record.renewTime == LeaseRecord.text(start + .seconds(1)))
    }

    @Test func `a lease whose object was deleted is lost while its finalizers still keep it`() {
        var lease = held()
        var json = answered(lease.object, 11).json
        var metadata = json["metadata"]!.objectValue!
        metadata["deletionTimestamp"] = "2026-05-28T20:26:41Z"
        json["metadata"] = .object(metadata)
        #expect(lease.found(LeaseObject(.object(json))) == .lost)
    }

    @Test func `what another writes into our lease is a loss, but a label is not`() {
        let lease = held()
        func finding(_ change: (inout LeaseObject) -> Void) -> HeldLease.Finding {
            var copy = lease
            var object = answered(lease.object, 12)
            change(&object)
            return copy.found(object)
        }
        #expect(finding { $0.annotate("x", "y") } == .ours(wasRenewed: false))
        for change in [
            { (record: inout LeaseRecord) in record.holder = nil }, { $0.holder = "b" }, { $0.duration = 1 },
            { $0.renewTime = LeaseRecord.text(start + .seconds(1)) }, { $0.transitions += 1 },
        ] {
            #expect(
                finding { object in
                    var record = object.record
                    change(&record)
                    object.write(record)
                } == .lost)
        }
        #expect(finding { $0.annotate(TermMark.key, nil) } == .lost)
        var copy = lease
        #expect(copy.found(nil) == .lost)
        #expect(copy.found(answered(lease.object, 9)) == .lost)
    }

    @Test func `a renewal without an answer counts from when it was sent, once it is seen`() {
        var lease = held()
        let (object, renewal) = lease.renewal(at: at(5), wall: start + .seconds(5))
        lease.leaveOpen(renewal)
        #expect(lease.found(lease.object) == .ours(wasRenewed: false) && lease.deadline == at(15))
        #expect(lease.found(answered(object, 11)) == .ours(wasRenewed: true) && lease.deadline == at(20) && lease.unanswered.isEmpty)
    }
}
