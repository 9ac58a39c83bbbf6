import QQCore
import Testing

@testable import QQCLI

@Suite("Texts about slots")
struct SlotTextTests {
    private func slot(_ number: Int, of count: Int, _ phase: ElectionState.Phase, _ leader: String? = nil) -> ElectionState {
        var state = ElectionState(name: Slot(number, of: count, election: "web").name, phase: phase)
        state.leader = leader
        return state
    }

    private func name(_ slots: [ElectionState]) -> ElectionState { ElectionState(name: "web", slots: slots) }

    @Test("if all slots are taken, their holders are named, up to four")
    func taken() {
        let three = name(["a", "b", "c"].enumerated().map { slot($0 + 1, of: 3, .held, $1) })
        #expect(Rendering.sentence(three) == "held: all 3 slots are taken (by a, b and c)")
        #expect(Rendering.sentence(name([slot(1, of: 1, .held, "a")])) == "held: its only slot is taken (by a)")
        let many = name((1...6).map { slot($0, of: 6, .held, "h\($0)") })
        #expect(Rendering.sentence(many) == "held: all 6 slots are taken (by h1, h2, h3, h4, and 2 more)")
        #expect(Rendering.sentence(name([slot(1, of: 2, .held), slot(2, of: 2, .held)])) == "held: all 2 slots are taken")
    }

    @Test("a system that does not say who leads does not say who holds slots")
    func unknown() {
        let state = name((1...2).map { slot($0, of: 2, .unknown) })
        #expect(Rendering.sentence(state) == "not ours; this system does not say who holds its 2 slots, if anyone")
    }

    @Test("if slots were refused although no lease is in force, each slot is told")
    func refused() {
        let state = name([slot(1, of: 2, .held, "a"), slot(2, of: 2, .expired, "b")])
        #expect(Rendering.sentence(state) == "not free: slot 1 is held by a; slot 2 is not held any more; last by b")
    }

    @Test("a waiter's progress line tells that all slots are taken")
    func progress() {
        let state = name([slot(1, of: 1, .held, "a")])
        #expect(WaitingText.turn(state, for: "us") == "web: held: its only slot is taken (by a), waiting for its turn")
    }

    @Test("the JSON of a grant has the name as it was asked for, and the slot")
    func json() throws {
        let server = try Systems.url("file:///tmp/x")
        let slot = Slot(2, of: 3, election: "web")
        let grant = Grant(
            name: slot.name, identity: "us", token: FencingToken(7), ttl: .seconds(9), deadline: BootInstant(nanoseconds: 9),
            acquiredAt: .now(),
            expiresAt: .now())
        let now = BootInstant(nanoseconds: 1)
        let object = Schemas.acquired(grant, as: "web", slot: slot, server: server, now: now)
        #expect(object["name"]?.stringValue == "web" && object["slot"]?.int64Value == 2 && object["slots"]?.int64Value == 3)
        let plain = Schemas.acquired(grant, server: server, now: now)
        #expect(plain["name"]?.stringValue == slot.name && plain["slot"] == nil && plain["slots"] == nil)
        let refused = Schemas.refused(ElectionState(name: "web", phase: .held), slots: 3, server: server)
        #expect(refused["slot"] == .null && refused["slots"]?.int64Value == 3)
    }

    @Test("--slots takes 1 to 100, and excludes --vip")
    func flag() throws {
        #expect(try invocation(["acquire", "web", "--slots", "100"])[Flags.slots] == 100)
        #expect(problem(["acquire", "web", "--slots", "101"])?.message.contains("from 1 to 100") == true)
        #expect(problem(["acquire", "web", "--slots", "0"]) != nil)
        #expect(
            problem(["keepalive", "web", "--slots", "2", "--vip", "10.0.0.5/24@eth0"])?.message == "--slots and --vip exclude each other")
    }
}
