import Foundation
import QQCore
import Testing

@testable import QQFile

@Suite("Lease files that another program edited")
struct KeptFieldsTests {
    private let folder = TemporaryFolder()

    /// Changes the holder, the renewal time and the duration, and keeps all other fields, as a script with jq does.
    private func put(_ holder: String, renewed: WallTime = .now(), lasting: Duration = .seconds(600)) throws {
        guard case .object(var object) = try JSONValue.parse(Array((folder.text("backup.json") ?? "").utf8)) else { return }
        let changes: [String: JSONValue] = [
            "holder": .string(holder), "renewTime": .string(renewed.rfc3339Nano), "leaseDuration": .integer(lasting.nanoseconds),
        ]
        object = JSONObject(object.members.map { .init(name: $0.name, value: changes[$0.name] ?? $0.value) })
        try folder.write(JSONWriter.string(.object(object), style: .indented) + "\n", to: "backup.json")
    }

    @Test("an edited lease file is held by its new holder until the lease ends") func newHolder() async throws {
        let coordinator = try folder.coordinator()
        let held = try await coordinator.get(ask("a", ttl: .seconds(15), livenessLock: true))
        held.livenessLock?.close()
        try await eventually("the holder's death") { try await coordinator.read("backup").alive == false }
        try put("script")
        let state = try await coordinator.read("backup")
        #expect(state.phase == .held)
        #expect(state.leader == "script")
        #expect(state.alive == nil)
        #expect(try await coordinator.blocker(of: ask("b", livenessLock: true)).leader == "script")
        try put("script", renewed: .now() - .seconds(601))
        #expect(try await coordinator.get(ask("b")).grant.token == FencingToken(2))
    }

    @Test("an edited lease file is judged by its new duration, not by the earlier holder's") func newDuration() async throws {
        let coordinator = try folder.coordinator()
        _ = try await coordinator.get(ask("a", ttl: .seconds(600)))
        try put("script", renewed: .now() - .seconds(6), lasting: .seconds(5))
        #expect(try await coordinator.read("backup").phase == .expired)
        #expect(try await coordinator.get(ask("b")).grant.token == FencingToken(2))
    }

    @Test("an edited lease file is refused while the earlier holder's processes live") func earlierHolderLives() async throws {
        let coordinator = try folder.coordinator()
        let held = try await coordinator.get(ask("a", livenessLock: true))
        try put("script", renewed: .now() - .seconds(3600), lasting: .seconds(5))
        _ = try await coordinator.blocker(of: ask("b", livenessLock: true))
        held.livenessLock?.close()
        try await coordinator.takeOver(ask("b"))
    }

    @Test("an edited lease file with the same holder keeps its liveness lock and can be renewed") func sameHolder() async throws {
        let coordinator = try folder.coordinator()
        let held = try await coordinator.get(ask("a", livenessLock: true))
        try put("a", renewed: .now() - .seconds(3600))
        #expect(try await coordinator.read("backup").alive == true)
        guard case .renewed = try await coordinator.renew(held.grant) else {
            Issue.record("lost")
            return
        }
        held.livenessLock?.close()
    }
}
