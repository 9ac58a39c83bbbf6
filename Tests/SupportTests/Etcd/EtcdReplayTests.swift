import Support
import Testing

@Suite("Recordings of real clusters of etcd") struct EtcdReplayTests {
    @Test("the store answers all recorded rows like etcd 3.4, 3.5 and 3.6, and each skipped row has a listed reason")
    func replay() throws {
        var replay = EtcdReplay()
        let rows = try EtcdRecording().rows
        for row in rows { replay.play(row) }
        #expect(replay.differences.isEmpty, "\(replay.differences.joined(separator: "\n"))")
        #expect(rows.count == 572)
        #expect(replay.played + replay.texts + replay.skipped.values.reduce(0, +) == rows.count)
        #expect(replay.played == 467)
        #expect(replay.texts == 9)
        #expect(replay.skipped == [.note: 46, .http: 15, .services: 27, .health: 3, .transport: 4, .ownDeadline: 1])
    }
}
