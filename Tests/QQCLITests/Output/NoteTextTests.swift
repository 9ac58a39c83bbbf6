import QQCore
import Testing

@testable import QQCLI

@Suite("Texts with notes") struct NoteTextTests {
    private static func state(_ note: String?) -> ElectionState {
        var state = ElectionState(name: "web", phase: .held)
        (state.leader, state.note, state.token, state.remaining) = ("ann", note, FencingToken(7), .seconds(9))
        return state
    }

    private static let expired: ElectionState = {
        var found = state("build 417")
        found.phase = .expired
        return found
    }()

    private let time = WallTime(seconds: 1_790_000_000)

    @Test("messages show the note in brackets after the leader, while it leads") func messages() {
        #expect(Rendering.sentence(Self.state("build 417")) == "held by ann (build 417), token 7, for 9s unless renewed")
        #expect(Rendering.sentence(Self.state(nil)) == "held by ann, token 7, for 9s unless renewed")
        #expect(!Rendering.sentence(Self.expired).contains("build 417"))
        #expect(WaitingText.turn(Self.state("build 417"), for: "bob") == "web: held by ann (build 417), waiting for its turn")
    }

    @Test("watch shows the note beside the leader on a terminal, and not in lines for programs") func watch() {
        let change = Change(.elected, Self.state("build 417"), at: time)
        #expect(LineDisplay.leader(change) == "ann (build 417)  token 7")
        #expect(LineDisplay.record(change) == LineDisplay.record(Change(.elected, Self.state(nil), at: time)))
    }

    @Test("the live view shows the note beside the leader") func live() {
        var view = LiveView(["web"], at: "here")
        view.update(Self.state("build 417"), word: nil, time: "12:00:00", at: BootInstant(nanoseconds: 1))
        let lines = view.frame(width: 120, height: 24, at: BootInstant(nanoseconds: 2)).map { $0.map(\.text).joined() }
        #expect(lines.contains { $0.contains("ann (build 417)") }, "\(lines)")
    }

    @Test("JSON has the note of the leader under its own key, apart from the identity") func json() throws {
        let server = try Systems.url("file:///x")
        func note(_ state: ElectionState) -> [JSONValue?] {
            [
                Schemas.election(StatusRow(state: state, isMine: false))["note"],
                Schemas.event(Change(.state, state, at: time), server: server)["note"],
            ]
        }
        #expect(note(Self.state("build 417")) == ["build 417", "build 417"])
        #expect(note(Self.state(nil)) == [.null, .null])
        #expect(note(Self.expired) == [.null, .null])
        #expect(Schemas.election(StatusRow(state: Self.state("build 417"), isMine: false))["leader"] == "ann")
    }

    @Test("a note makes no difference between two states of one term") func comparison() {
        #expect(Self.state("a").isSameTerm(as: Self.state("b")) && Self.state("a").isAlike(Self.state(nil)))
        #expect(Change(from: Self.state("a"), to: Self.state("b")).kind == .renewed)
    }
}
