import QQCore
import Testing

@testable import QQCLI

@Suite("Rendering of numbers")
struct RenderingTests {
    @Test("every number that a peer can send is shown as some text")
    func extremes() {
        let lengths: [Duration] = [
            .zero, .nanoseconds(1), .nanoseconds(Int64.max), .nanoseconds(Int64.min), .seconds(Int64.max), .seconds(Int64.min),
            .milliseconds(1500),
            WallTime.latest - .goZero, .zero - (WallTime.latest - .goZero),
        ]
        for length in lengths {
            #expect(!Rendering.seconds(length).isEmpty)
            #expect(Rendering.rounded(length).doubleValue != nil)
            #expect(Rendering.json(length).doubleValue != nil)
            var state = ElectionState(name: "x", phase: .held)
            (state.leader, state.token, state.epoch, state.revision) = ("a", FencingToken(.max), .max, .max)
            (state.remaining, state.ttl, state.acquiredAt, state.renewedAt) = (length, length, .goZero, .latest)
            #expect(!Rendering.sentence(state).isEmpty)
            var view = LiveView(["x"], at: "here")
            view.update(state, word: "elected", time: "12:00:00", at: BootInstant(nanoseconds: 1))
            for now in [BootInstant(nanoseconds: 0), .distantFuture] {
                for width in [1, 80, 100_000] { #expect(!view.frame(width: width, height: 24, at: now).isEmpty) }
            }
        }
        #expect(Rendering.seconds(.nanoseconds(Int64.max)) == "9223372036.855")
        #expect(Rendering.seconds(.milliseconds(1500)) == "1.5")
    }
}
