import QQCore
import Testing

@testable import QQCLI

@Suite("Names that watch follows") struct WatchedNamesTests {
    private let began = BootInstant(nanoseconds: 1_000_000_000_000)

    private func state(_ name: String, by leader: String? = nil, for remaining: Duration? = nil) -> ElectionState {
        var state = ElectionState(name: name, phase: leader == nil ? .free : .held)
        (state.leader, state.remaining) = (leader, remaining)
        return state
    }

    @Test("a name without slots is what was read") func plain() {
        var watched = WatchedNames(["web", "db"])
        #expect(watched.elections == ["web", "db"] && !watched.areRead)
        let first = watched.take(state("web", by: "a"), at: began)
        #expect(first.map(\.state.leader) == ["a"] && first[0].before == nil && first[0].slot == nil)
        #expect(watched.state(of: "db", at: began) == nil && !watched.areRead)
        _ = watched.take(state("db"), at: began)
        #expect(watched.areRead && watched.unled == ["db"])
        let second = watched.take(state("web"), at: began)
        #expect(second[0].before?.leader == "a" && second[0].slot == nil)
        #expect(watched.take(state("other"), at: began).isEmpty)
    }

    @Test("a name with slots is known when all its slots are, and each later read is of a slot") func slots() {
        var watched = WatchedNames(["web"])
        watched.follow(["s1", "s2", "s3"], of: "web")
        #expect(watched.elections == ["s1", "s2", "s3"])
        #expect(watched.take(state("s2", by: "b", for: .seconds(9)), at: began).isEmpty)
        #expect(watched.take(state("s1"), at: began + .seconds(1)).isEmpty && !watched.areRead)
        let whole = watched.take(state("s3"), at: began + .seconds(2))
        #expect(whole.count == 1 && whole[0].slot == nil && whole[0].before == nil && watched.areRead)
        #expect(whole[0].state.name == "web" && whole[0].state.slots.map(\.leader) == [nil, "b", nil])
        // The rest of the lease is what is left of it now, not when it was read.
        #expect(whole[0].state.slots[1].remaining == .seconds(7) && whole[0].state.remaining == .seconds(7))
        let next = watched.take(state("s1", by: "a", for: .seconds(10)), at: began + .seconds(20))
        #expect(next.count == 1 && next[0].slot == 1 && next[0].before?.phase == .free)
        #expect(next[0].state.holdings.compactMap(\.leader) == ["a", "b"])
        #expect(next[0].state.slots[1].remaining == .zero)
        #expect(watched.unled.isEmpty)
    }

    @Test("slots that appear where a name was free begin as free ones") func new() {
        var watched = WatchedNames(["web"])
        _ = watched.take(state("web"), at: began)
        #expect(watched.unled == ["web"])
        watched.follow(["s1", "s2"], of: "web", areNew: true)
        #expect(watched.areRead && watched.unled.isEmpty)
        let seen = watched.take(state("s2", by: "b"), at: began)
        #expect(seen.count == 1 && seen[0].slot == 2 && seen[0].before?.phase == .free && seen[0].state.phase == .held)
    }

    @Test("a slot that is also watched by its own name is told of for both") func both() {
        var watched = WatchedNames(["web", "s1"])
        watched.follow(["s1"], of: "web")
        #expect(watched.elections == ["s1"])
        #expect(watched.take(state("s1", by: "a"), at: began).map(\.state.name) == ["web", "s1"])
    }

    @Test("a change of a slot is told with the slot, and of the name with all holders") func changes() {
        let whole = ElectionState(name: "web", slots: [state("s1", by: "a"), state("s2", by: "b")])
        let time = WallTime(seconds: 1_790_000_000, nanoseconds: 0)
        let first = Change(.state, whole, at: time)
        #expect(LineDisplay.record(first).dropFirst(1) == ["web", "state", "a,b", nil, nil, "2", "2"])
        #expect(LineDisplay.leader(first) == "a and b  (2 of 2 slots)")
        let changed = Change(from: state("s2"), to: whole, slot: 2)
        #expect(changed.kind == .elected && changed.changed.leader == "b")
        #expect(LineDisplay.record(changed).dropFirst(1) == ["web", "elected", "b", nil, "2", "2", "2"])
        #expect(LineDisplay.leader(changed) == "b  (slot 2; 2 of 2 slots)")
        #expect(
            Change(from: whole.slots[0], to: ElectionState(name: "web", slots: [state("s1"), whole.slots[1]]), slot: 1).kind == .released)
        // A name without slots is told as before.
        #expect(LineDisplay.record(Change(.elected, state("x", by: "a"), at: time)).dropFirst(1) == ["x", "elected", "a", nil])
    }
}
