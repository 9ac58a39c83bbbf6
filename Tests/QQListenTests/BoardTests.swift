import QQCore
import Testing

@testable import QQListen

@Suite("The board between the loop and the listener") struct BoardTests {
    private func leader(_ board: Board, at now: ClockReading) -> Int {
        let request = Request("GET", "/leader?election=web")
        return Routes(snapshot: board.snapshot(for: request, at: now), now: now.moment).answer(to: request) { "" }.status
    }

    /// A board with an election whose lease of 15 s was requested at this second.
    private func board(from start: Double) -> Board {
        let board = Board(at: .at(start))
        board.add(Standing("web", identity: "me"))
        board.change("web") { $0.begins(.until(start + 15)) }
        return board
    }

    @Test("after a jump of the wall clock no work is allowed until a renewal that was sent later") func jump() {
        let board = board(from: 100)
        #expect(leader(board, at: .at(101)) == 200)
        #expect(leader(board, at: .at(102, ahead: 60)) == 503)
        #expect(leader(board, at: .at(103, ahead: 60)) == 503, "the wall clock stays ahead")
        // Sent before the pause, answered after it.
        board.change("web") { $0.extends(to: .until(101.5 + 15)) }
        #expect(leader(board, at: .at(104, ahead: 60)) == 503)
        board.change("web") { $0.extends(to: .until(104 + 15)) }
        #expect(leader(board, at: .at(105, ahead: 60)) == 200)
    }

    @Test("a jump that the loop notices counts as well, and is reported until the next one") func noticedByLoop() {
        let board = board(from: 100)
        #expect(board.beat(at: .at(101)) == nil)
        #expect(board.beat(at: .at(102, ahead: 60)) == .at(102))
        #expect(board.beat(at: .at(103, ahead: 60)) == .at(102))
        #expect(leader(board, at: .at(103, ahead: 60)) == 503)
        #expect(board.beat(at: .at(104, ahead: 61)) == .at(104))
    }

    @Test("a wall clock that is slewed, or set back, is no jump") func slewed() {
        let board = board(from: 100)
        for step in 1...9 { #expect(leader(board, at: .at(100 + Double(step), ahead: Double(step) * 0.09)) == 200) }
        #expect(leader(board, at: .at(109.5, ahead: -3600)) == 200)
    }

    @Test("both clocks are read again if reading took too long") func coherent() {
        var moments = [1.0, 5, 6, 6].map { BootInstant.at($0) }[...]
        let reading = ClockReading.now({ moments.removeFirst() }, wall: { WallTime(seconds: 9) })
        #expect(reading == ClockReading(.at(6), wall: WallTime(seconds: 9)) && moments.isEmpty)
    }

    @Test("an answer about one election takes only that one from the board") func onlyOne() {
        let board = Board(at: .at(0))
        for name in ["a", "b"] { board.add(Standing(name, identity: "me")) }
        func taken(_ target: String) -> [String] { board.snapshot(for: Request("GET", target), at: .at(0)).standings.map(\.election) }
        #expect(taken("/leader?election=b") == ["b"] && taken("/?election=a") == ["a"] && taken("/leader?election=c") == [])
        #expect(taken("/") == ["a", "b"] && taken("/livez") == ["a", "b"] && taken("/metrics") == [] && taken("/leader") == [])
    }
}
