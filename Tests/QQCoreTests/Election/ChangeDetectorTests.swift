import QQCore
import Testing

@Suite("Changes of a watched election") struct ChangeDetectorTests {
    private let start = BootInstant(nanoseconds: 1_000_000_000_000)

    private func state(_ leader: String?, for remaining: Duration = .seconds(10), of name: String = "x") -> ElectionState {
        var state = ElectionState(name: name, phase: leader == nil ? .free : .held)
        state.leader = leader
        if leader != nil { state.remaining = remaining }
        return state
    }

    @Test("the first state of each election is a change, and the same state read again is not") func first() {
        var changes = ChangeDetector(withRenewals: false)
        let found = [state("a"), state("a", of: "y"), state("a"), state("a", for: .seconds(9), of: "y")].map {
            changes.isChange($0, at: start)
        }
        #expect(found == [true, true, false, false])
        #expect(changes.last["y"]?.remaining == .seconds(9))
    }

    @Test("another leader and none are changes") func leaders() {
        var changes = ChangeDetector(withRenewals: false)
        let found = [state(nil), state("a"), state("b"), state(nil), state(nil)].map { changes.isChange($0, at: start) }
        #expect(found == [true, true, true, true, false])
    }

    @Test("a renewal is a change only if renewals count", arguments: [false, true]) func renewals(withRenewals: Bool) {
        var changes = ChangeDetector(withRenewals: withRenewals)
        let first = changes.isChange(state("a"), at: start)
        let aged = changes.isChange(state("a", for: .seconds(7)), at: start + .seconds(3))
        let renewed = changes.isChange(state("a"), at: start + .seconds(3))
        #expect(first && !aged && renewed == withRenewals)
    }

    @Test("a watch can compare states more closely") func comparison() {
        var changes = ChangeDetector(withRenewals: false) { $0.stepDownAskedBy == $1.stepDownAskedBy && $0.isAlike($1) }
        var asked = state("a")
        asked.stepDownAskedBy = "b"
        let found = [state("a"), asked, asked].map { changes.isChange($0, at: start) }
        #expect(found == [true, true, false])
    }
}
