import QQCore
import Testing

@testable import QQNATS

@Suite("A lease in its bucket") struct LeaseEntryTests {
    typealias Samples = LeaseSamples

    @Test("a lease is free if its key does not exist or was released", arguments: [.delete, .purge, .expired] as [KeyValueEntry.Operation])
    func free(operation: KeyValueEntry.Operation) {
        for format in LeaseFormat.allCases {
            let missing = LeaseEntry(nil, format: format)
            #expect(missing.content == .free && missing.revision == 0 && missing.token == nil && missing.termID == nil)
            let tombstone = LeaseEntry(Samples.entry(Samples.v2(), revision: 11, operation: operation), format: format)
            #expect(tombstone.content == .free && tombstone.revision == 11 && tombstone.token == nil && tombstone.termID == nil)
        }
    }

    @Test("a Go node's term is identified by node and epoch") func goNode() {
        let lease = LeaseEntry(Samples.entry(Samples.v2(epoch: 3), revision: 12), format: .v2)
        #expect(lease.value?.nodeID == "node-a" && lease.messageID == nil)
        #expect(lease.token == FencingToken(12) && lease.termID == "node-a/3" && lease.revision == 12)
    }

    @Test("a term of qq is identified by its message ID, and keeps its token") func ours() {
        let taken = LeaseEntry(Samples.entry(Samples.v2(), revision: 12, id: "qq:\(Samples.termID)"), format: .v2)
        #expect(taken.token == FencingToken(12) && taken.termID == Samples.termID)
        let renewed = LeaseEntry(Samples.entry(Samples.v2(), revision: 40, id: "qq:\(Samples.termID):12:9"), format: .v2)
        #expect(renewed.token == FencingToken(12) && renewed.termID == Samples.termID && renewed.revision == 40)
    }

    @Test(
        "an impossible message ID is ignored",
        arguments: ["qq:0123456789abcdefghijKL:40:1", "qq:0123456789abcdefghijKL:41:1", "order-17", ""])
    func falseMark(id: String) {
        let lease = LeaseEntry(Samples.entry(Samples.v2(), revision: 40, id: id), format: .v2)
        #expect(lease.messageID == nil && lease.token == FencingToken(40) && lease.termID == "node-a/3")
    }

    @Test("a junk value counts as a term of its own") func junk() {
        let lease = LeaseEntry(Samples.entry("rubbish", revision: 5), format: .v2)
        guard case .junk(let reason) = lease.content else {
            Issue.record("not junk")
            return
        }
        #expect(!reason.isEmpty)
        #expect(lease.value == nil && lease.token == FencingToken(5) && lease.termID == "junk/5" && lease.revision == 5)
    }

    // MARK: Snapshots for readers

    private func snapshot(_ rules: LeaseEntryRules, _ seconds: Double, wallAhead: Double = 0) -> LeaseSnapshot {
        LeaseSnapshot(rules, at: Samples.moment(seconds, wallAhead: wallAhead))
    }

    @Test("a lease is shown while it is held and after it has expired") func shown() {
        let rules = Samples.rules(.v2, Samples.entry(Samples.v2(), revision: 12))
        let held = snapshot(rules, 1)
        #expect(held.phase == .held && held.leader == "node-a" && held.epoch == 3 && held.revision == 12 && held.token == FencingToken(12))
        #expect(held.remaining == .seconds(2) && held.ttl == .seconds(3) && held.renewedAt == Samples.start && held.acquiredAt == nil)
        let expired = snapshot(rules, 3)
        #expect(expired.phase == .expired && expired.leader == "node-a" && expired.remaining == .zero)
    }

    @Test("the start of a term is shown if it is recorded") func acquiredAt() {
        #expect(snapshot(Samples.rules(.v1, Samples.entry(Samples.v1())), 1).acquiredAt == Samples.start)
        #expect(snapshot(Samples.rules(.v2, Samples.entry(Samples.v2(), id: "qq:\(Samples.termID)")), 1).acquiredAt == Samples.start)
        #expect(snapshot(Samples.rules(.v2, Samples.entry(Samples.v2(), id: "qq:\(Samples.termID):2:1")), 1).acquiredAt == nil)
    }

    @Test("a free lease is shown without any value of a tombstone") func shownFree() {
        for entry in [nil, Samples.entry("", operation: .delete)] {
            let free = snapshot(Samples.rules(.v2, entry), 1)
            #expect(free.phase == .free && free.leader == nil && free.token == nil && free.remaining == nil && free.revision == nil)
            #expect(free.ttl == .seconds(3))
        }
    }

    @Test("a junk value is shown without a leader") func shownJunk() {
        let rules = Samples.rules(.v1, Samples.entry("rubbish"))
        #expect(snapshot(rules, 1).phase == .held && snapshot(rules, 1).leader == nil && snapshot(rules, 1).junk != nil)
        #expect(snapshot(rules, 1).remaining == .seconds(2) && snapshot(rules, 1).epoch == nil)
        #expect(snapshot(rules, 3).phase == .expired)
    }

    @Test("a lease is shown by the local wall clock if the server does not send its time") func oldServer() {
        let rules = Samples.rules(.v2, Samples.entry(Samples.v2()), clock: false)
        #expect(snapshot(rules, 0, wallAhead: 2).remaining == .seconds(1))
        #expect(snapshot(rules, 0, wallAhead: 60).phase == .expired)
        #expect(snapshot(rules, 1, wallAhead: -60).remaining == .seconds(2))
    }

    @Test("a lease in a bucket that keeps values forever has no known end") func forEver() {
        let held = snapshot(Samples.rules(.v2, Samples.entry(Samples.v2()), keepsForEver: true), 1000)
        #expect(held.phase == .held && held.remaining == nil && held.ttl == nil)
    }

    @Test("a negative epoch is not shown") func negativeEpoch() {
        #expect(snapshot(Samples.rules(.v2, Samples.entry(Samples.v2(epoch: -1))), 1).epoch == nil)
    }
}

@Suite("The writes of a term") struct LeaseTermTests {
    /// The headers without the message ID, to compare with those that the recorded nodes sent.
    private func headers(_ write: KeyValueWrite) -> [String] {
        write.headers.fields.filter { $0.name != "Nats-Msg-Id" }.map { "\($0.name): \($0.value)" }
    }

    @Test("a term in v1 is written as a v1 node writes it") func v1() throws {
        let term = LeaseTerm(
            format: .v1, nodeID: "node-a", epoch: 1, termID: LeaseSamples.termID,
            acquiredAt: try JetStreamSamples.time("2026-11-21T00:37:09.699873909Z"),
            ttl: .seconds(3))
        let acquisition = term.acquisition(over: 0)
        #expect(acquisition.key == "lease")
        #expect(headers(acquisition) == ["Nats-Expected-Last-Subject-Sequence: 0"])
        #expect(acquisition.headers["Nats-Msg-Id"] == "qq:\(LeaseSamples.termID)")
        #expect(
            String(decoding: acquisition.value, as: UTF8.self)
                == #"{"node_id":"node-a","epoch":1,"expires_at":"2026-11-21T00:37:12.699873909Z","acquired_at":"2026-11-21T00:37:09.699873909Z"}"#
        )
        let renewal = term.renewal(1, token: FencingToken(2), over: 2, wall: try JetStreamSamples.time("2026-11-21T00:37:10.702363263Z"))
        #expect(renewal.key == "lease")
        #expect(headers(renewal) == ["Nats-Expected-Last-Subject-Sequence: 2"])
        #expect(renewal.headers["Nats-Msg-Id"] == "qq:\(LeaseSamples.termID):2:1")
        #expect(String(decoding: renewal.value, as: UTF8.self) == LeaseValueTests.recordedV1)
    }

    @Test("a term in v2 is written as a v2 node writes it") func v2() throws {
        let term = LeaseTerm(
            format: .v2, nodeID: "node-b", epoch: 2, termID: LeaseSamples.termID, acquiredAt: WallTime(milliseconds: 1_795_221_420_455),
            ttl: .seconds(3))
        let acquisition = term.acquisition(over: 11)
        #expect(acquisition.key == "leader")
        #expect(headers(acquisition) == ["Nats-Expected-Last-Subject-Sequence: 11"])
        #expect(String(decoding: acquisition.value, as: UTF8.self) == #"{"node_id":"node-b","epoch":2,"acquired_at":1795221420455}"#)
        let renewal = term.renewal(7, token: FencingToken(12), over: 18, wall: WallTime(milliseconds: 1_795_221_420_501))
        #expect(headers(renewal) == ["Nats-Expected-Last-Subject-Sequence: 18"])
        #expect(renewal.headers["Nats-Msg-Id"] == "qq:\(LeaseSamples.termID):12:7")
        #expect(String(decoding: renewal.value, as: UTF8.self) == #"{"node_id":"node-b","epoch":2,"acquired_at":1795221420501}"#)
    }

    @Test("a release deletes the lease only at its last revision") func release() {
        let release = LeaseTerm.release(.v2, at: 9)
        #expect(release.key == "leader" && release.value.isEmpty)
        #expect(headers(release) == ["KV-Operation: DEL", "Nats-Expected-Last-Subject-Sequence: 9"])
    }

    @Test("a cooldown is written as Go nodes write it") func cooldown() {
        let wall = WallTime(seconds: 1_795_221_420, nanoseconds: 453_900_000)
        let cooldown = LeaseTerm.cooldown(.v2, node: "node-a", ttl: .seconds(3), wall: wall, over: 0)
        #expect(cooldown.key == "cooldown.node-a" && headers(cooldown) == ["Nats-Expected-Last-Subject-Sequence: 0"])
        #expect(String(decoding: cooldown.value, as: UTF8.self) == "1795221423453")
        #expect(LeaseTerm.cooldown(.v1, node: "node-a", ttl: .seconds(3), wall: wall).headers.isEmpty)
        let end = LeaseTerm.endOfCooldown(.v1, node: "node-b")
        #expect(end.key == "cooldown-node-b" && headers(end) == ["KV-Operation: DEL"])
    }

    @Test("each write of a term repeats its note, which readers see and a write of a Go node ends", arguments: LeaseFormat.allCases)
    func note(format: LeaseFormat) {
        var term = LeaseTerm(
            format: format, nodeID: "n", epoch: 5, termID: LeaseSamples.termID, acquiredAt: LeaseSamples.start, ttl: .seconds(3))
        term.note = "build 417"
        let writes = [
            term.acquisition(over: 0), term.renewal(1, token: FencingToken(9), over: 9, wall: LeaseSamples.start + .seconds(1)),
        ]
        func snapshot(_ value: [UInt8]) -> LeaseSnapshot {
            var entry = LeaseSamples.entry("")
            entry.value = value
            return LeaseSnapshot(LeaseSamples.rules(format, entry), at: LeaseSamples.moment(0.5))
        }
        for write in writes {
            let found = snapshot(write.value)
            #expect(found.note == "build 417" && found.leader == "n" && found.phase == .held)
        }
        #expect(snapshot(Array((format == .v1 ? LeaseSamples.v1("go") : LeaseSamples.v2("go")).utf8)).note == nil)
        #expect(LeaseTerm.release(format, at: 9).value.isEmpty)
    }

    @Test("a written term is read back as the same term") func roundTrip() throws {
        for format in LeaseFormat.allCases {
            let term = LeaseTerm(
                format: format, nodeID: "n", epoch: 5, termID: MessageID.newTermID(), acquiredAt: LeaseSamples.start, ttl: .seconds(3))
            func stored(_ write: KeyValueWrite, _ revision: UInt64) -> LeaseEntry {
                var entry = LeaseSamples.entry("", revision: revision)
                entry.value = write.value
                entry.headers = write.headers
                return LeaseEntry(entry, format: format)
            }
            let taken = stored(term.acquisition(over: 0), 20)
            #expect(taken.termID == term.termID && taken.token == FencingToken(20) && taken.value?.epoch == 5)
            let renewed = stored(term.renewal(1, token: FencingToken(20), over: 20, wall: LeaseSamples.start + .seconds(1)), 21)
            #expect(renewed.termID == term.termID && renewed.token == FencingToken(20))
        }
    }
}
