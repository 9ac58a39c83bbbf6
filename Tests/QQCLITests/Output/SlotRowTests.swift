import QQCore
import Testing

@testable import QQCLI

@Suite("Rows of names with slots") struct SlotRowTests {
    private static func held(_ name: String, by leader: String, token: UInt64? = nil, for remaining: Duration? = nil) -> ElectionState {
        var state = ElectionState(name: name, phase: .held)
        (state.leader, state.remaining, state.ttl) = (leader, remaining, .seconds(10))
        state.token = token.map { FencingToken($0) }
        return state
    }

    private static func row(_ slots: [ElectionState], mine: Int? = nil) -> StatusRow {
        StatusRow(
            state: ElectionState(name: "web", slots: slots), isMine: mine != nil,
            slots: slots.enumerated().map { StatusRow(state: $1, isMine: mine == $0 + 1, slot: $0 + 1) })
    }

    private static let three = [
        held("s1", by: "a", token: 4, for: .seconds(8)), ElectionState(name: "s2", phase: .free), held("s3", by: "b", token: 9),
    ]

    private static let columns = StatusRow.Columns(own: [], areQueued: false, areAdvised: false, areNoted: false)

    private func texts(_ row: StatusRow) -> [[String]] { row.shown.map { $0.cells(Self.columns, at: .goZero).map(\.text) } }

    @Test("a record has the leaders and tokens joined, and the numbers of held slots and of slots at its end") func record() {
        #expect(Self.row(Self.three).record([]) == ["web", "held", "a,b", "4,9", "8", "2", "3"])
        #expect(Self.row([Self.three[1], Self.three[1]]).record([]) == ["web", "free", nil, nil, nil, "0", "2"])
        #expect(Self.row([Self.three[0]]).record([]) == ["web", "held", "a", "4", "8", "1", "1"])
        #expect(StatusRow(state: Self.three[0], isMine: false).record([]) == ["s1", "held", "a", "4", "8"])
    }

    @Test("a table has a row for the name and, indented, one for each slot") func table() {
        #expect(
            texts(Self.row(Self.three, mine: 3)) == [
                ["web", "2 of 3 slots (one is ours)", "-", "in 8s", "-"], ["  slot 1", "a", "-", "in 8s", "4"],
                ["  slot 2", "nobody", "-", "-", "-"], ["  slot 3", "b (us)", "-", "-", "9"],
            ])
        let many = (1...20).map { $0 == 7 ? Self.held("s7", by: "a") : ElectionState(name: "s\($0)", phase: .free) }
        #expect(texts(Self.row(many)).map(\.first) == ["web", "  slot 7"])
    }

    @Test("each holder of a slot has its own note in the last column, and the name has none") func notes() {
        var slots = Self.three
        slots[0].note = "build 417"
        let columns = StatusRow.Columns(own: [], areQueued: false, areAdvised: false, areNoted: true)
        #expect(columns.heading.last == "NOTE")
        #expect(Self.row(slots).shown.map { $0.cells(columns, at: .goZero).last?.text } == ["-", "build 417", "-", "-"])
        #expect(Self.row([slots[0]]).note == "build 417")
        // The note of a term that has ended is not the note of a leader.
        slots[0].phase = .expired
        #expect(StatusRow(state: slots[0], isMine: false).note == nil)
    }

    @Test("slots of which only ours are known are not called free") func unknown() {
        let own = Self.row([Self.held("s1", by: "me"), ElectionState(name: "s2", phase: .unknown)], mine: 1)
        #expect(texts(own).map { $0[1] } == ["at least 1 of 2 slots (one is ours)", "me (us)", "not us"])
        let none = Self.row([ElectionState(name: "s1", phase: .unknown), ElectionState(name: "s2", phase: .unknown)])
        #expect(texts(none).map { $0[1] } == ["not us", "not us", "not us"])
    }

    @Test("a message names a limited number of holders") func leaders() {
        let many = (1...30).map { Self.held("s\($0)", by: "h\($0)") }
        #expect(SlotText.leaders(Array(many.prefix(2))) == "h1 and h2")
        #expect(SlotText.leaders(many) == "h1, h2, h3, h4, h5, h6, h7, h8 and 22 others")
    }
}
