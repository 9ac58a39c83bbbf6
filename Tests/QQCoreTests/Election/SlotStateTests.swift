import QQCore
import Testing

@Suite("States of names with slots") struct SlotStateTests {
    /// Names elections as most systems do.
    private struct Naming: ElectionNaming {
        let server: ServerURL

        init() throws { server = try ServerURL.parse("test://", as: [.init(name: "test", schemes: [.init("test")], authority: .none)]) }
    }

    private static func held(_ name: String, by leader: String, token: UInt64? = nil, for remaining: Duration? = nil) -> ElectionState {
        var state = ElectionState(name: name, phase: .held)
        state.leader = leader
        state.token = token.map { FencingToken($0) }
        state.remaining = remaining
        state.ttl = .seconds(10)
        return state
    }

    private static func state(_ phase: ElectionState.Phase) -> ElectionState {
        var state = ElectionState(name: "", phase: phase)
        if phase != .free { state.leader = "someone" }
        return state
    }

    @Test(
        "a name is held if a slot is, else unknown if one is, else expired if one is",
        arguments: [
            ([.free, .free], .free), ([.free, .held], .held), ([.unknown, .held, .expired], .held), ([.expired, .free], .expired),
            ([.expired, .unknown, .free], .unknown), ([.held], .held), ([.expired], .expired),
        ] as [([ElectionState.Phase], ElectionState.Phase)])
    func phases(slots: [ElectionState.Phase], expected: ElectionState.Phase) {
        let group = ElectionState(name: "web", slots: slots.map { Self.state($0) })
        #expect(group.phase == expected)
        #expect(group.isLed == (expected == .held))
        #expect(group.slots.count == slots.count)
        #expect(group.holdings.count == slots.count { $0 == .held })
    }

    @Test("a name with several slots has the lease that ends first, and no leader or token of its own") func several() {
        var group = ElectionState(
            name: "web",
            slots: [
                Self.held("web-slot-1-of-3", by: "a", token: 4, for: .seconds(8)), ElectionState(name: "web-slot-2-of-3", phase: .free),
                Self.held("web-slot-3-of-3", by: "b", token: 9, for: .seconds(3)),
            ])
        #expect(group.name == "web" && group.leader == nil && group.token == nil && group.termID == nil)
        #expect(group.remaining == .seconds(3) && group.ttl == .seconds(10))
        #expect(group.holdings.compactMap(\.leader) == ["a", "b"])
        #expect(group.isOwn == nil && group.waiters == nil)
        group.slots[0].isOwn = false
        group.slots[2].isOwn = true
        group.slots[2].waiters = 2
        let again = ElectionState(name: "web", slots: group.slots)
        #expect(again.isOwn == true && again.waiters == 2)
    }

    @Test("the only slot of a name lends it leader, token and all details") func only() {
        var slot = Self.held("web-slot-1-of-1", by: "a", token: 4, for: .seconds(8))
        slot.epoch = 7
        let group = ElectionState(name: "web", slots: [slot])
        #expect(group.name == "web" && group.leader == "a" && group.token == FencingToken(4) && group.epoch == 7)
        #expect(group.slots == [slot])
    }

    @Test("two states of a name with slots are alike if each slot is alike") func alike() {
        let first = ElectionState(name: "web", slots: [Self.held("1", by: "a", token: 1), Self.held("2", by: "b", token: 2)])
        var renewed = first
        renewed.slots[0].remaining = .seconds(1)
        let swapped = ElectionState(name: "web", slots: [Self.held("1", by: "b", token: 3), Self.held("2", by: "a", token: 4)])
        let freed = ElectionState(name: "web", slots: [first.slots[0], ElectionState(name: "2", phase: .free)])
        let other = ElectionState(name: "web", slots: first.slots + [ElectionState(name: "3", phase: .free)])
        #expect(first.isAlike(renewed) && first.isSameTerm(as: renewed))
        for different in [swapped, freed, other, ElectionState(name: "web", phase: .held)] {
            #expect(!first.isAlike(different) && !different.isAlike(first))
            #expect(!first.isSameTerm(as: different) && !different.isSameTerm(as: first))
        }
    }

    @Test("a grant is a term of a name if it is the term of a slot") func grants() {
        let group = ElectionState(
            name: "web", slots: [Self.held("web-slot-1-of-2", by: "a", token: 1), Self.held("web-slot-2-of-2", by: "a", token: 2)])
        func grant(_ name: String, _ token: UInt64) -> Grant {
            Grant(
                name: name, identity: "a", token: FencingToken(token), ttl: .seconds(10), deadline: .distantFuture, acquiredAt: .goZero,
                expiresAt: .goZero)
        }
        #expect(group.isTerm(of: grant("web-slot-2-of-2", 2)))
        #expect(!group.isTerm(of: grant("web-slot-1-of-2", 2)))
        #expect(!group.isTerm(of: grant("web", 2)))
    }

    @Test("a list shows a name with slots once, with slots that were not listed as free") func grouped() throws {
        let list = [
            Self.held("app", by: "x"), Self.held("web-slot-2-of-3", by: "b", token: 2),
            ElectionState(name: "web-slot-3-of-3", phase: .free),
            Self.held("web-slot-4-of-3", by: "y"), Self.held("zoo", by: "z"),
        ]
        let groups = try Naming().grouped(list)
        #expect(groups.map(\.name) == ["app", "web", "web-slot-4-of-3", "zoo"])
        #expect(groups.map(\.slots.count) == [0, 3, 0, 0])
        #expect(groups[1].slots.map(\.name) == ["web-slot-1-of-3", "web-slot-2-of-3", "web-slot-3-of-3"])
        #expect(groups[1].slots.map(\.phase) == [.free, .held, .free])
        #expect(groups[1].otherSlotCounts == [])
        #expect(try Naming().grouped([list[0], list[4]]) == [list[0], list[4]])
        #expect(try Naming().grouped([]) == [])
    }

    @Test("a name with two numbers of slots is listed once for each, and each names the other number") func mixed() throws {
        let groups = try Naming().grouped([
            Self.held("web", by: "plain"), Self.held("web-slot-1-of-2", by: "a"), Self.held("web-slot-1-of-5", by: "b"),
        ])
        #expect(groups.map(\.name) == ["web", "web", "web"])
        #expect(groups.map(\.slots.count) == [0, 2, 5])
        #expect(groups.map(\.otherSlotCounts) == [[], [5], [2]])
    }

    @Test("names of the greatest numbers of slots do not make a list endless") func bounded() throws {
        let list = (0..<1500).map { Self.held(Slot(1, of: Slot.most, election: "x\($0)").name, by: "a") }
        let groups = try Naming().grouped(list)
        #expect(groups.count == list.count)
        #expect(groups.reduce(0) { $0 + $1.slots.count } == 100_000)
        #expect(groups.reduce(0) { $0 + $1.holdings.count } == list.count)
    }

    @Test("a filter admits a name with slots if one slot has the leader and the lease that it asks for") func filter() {
        var group = ElectionState(
            name: "web",
            slots: [
                Self.held("web-slot-1-of-3", by: "alice", for: .seconds(8)), Self.held("web-slot-2-of-3", by: "bob", for: .seconds(80)),
                ElectionState(name: "web-slot-3-of-3", phase: .free),
            ])
        #expect(ElectionFilter(isLed: true).admits(group))
        #expect(ElectionFilter(leader: "bob").admits(group))
        #expect(!ElectionFilter(leader: "carol").admits(group))
        #expect(ElectionFilter(endsWithin: .seconds(10)).admits(group))
        #expect(!ElectionFilter(leader: "bob", endsWithin: .seconds(10)).admits(group))
        #expect(ElectionFilter(name: "we").admits(group))
        #expect(!ElectionFilter(name: "slot-1").admits(group))
        #expect(!ElectionFilter(isContested: true).admits(group))
        group.waiters = 1
        #expect(ElectionFilter(isContested: true).admits(group))
        #expect(!ElectionFilter(isLed: true).admits(ElectionState(name: "web", slots: [ElectionState(name: "1", phase: .free)])))
    }
}
