import QQCore
import Testing

@testable import QQFile

@Suite("Renewals that a watch of the same process need not read")
struct OwnRenewalsTests {
    let folder = TemporaryFolder()
    let clock = TestClock()

    @Test("a renewal moves the end of the lease, and nothing has to be read again") func renewed() async throws {
        let coordinator = try folder.coordinator(clock)
        let held = try await coordinator.get(ask("a", livenessLock: true))
        let row = try #require(try await coordinator.readWatched("backup").row)
        for _ in 0..<3 {
            clock.putForward(.seconds(200))
            guard case .renewed(let renewed) = try await coordinator.renew(held.grant) else { throw NotRefused() }
            #expect(coordinator.deadline("backup", in: row) == renewed.deadline)
            #expect(try await coordinator.readWatched("backup").row == row)
        }
        held.livenessLock?.close()
    }

    @Test("a change by another process has to be read, also after the next renewal") func changed() async throws {
        let coordinator = try folder.coordinator(clock)
        let held = try await coordinator.get(ask("a", livenessLock: true))
        let row = try #require(try await coordinator.readWatched("backup").row)
        let other = try folder.coordinator(clock)
        _ = try await other.askToStepDown(try await other.read("backup"), by: "admin", byForce: true)
        #expect(coordinator.deadline("backup", in: row) == nil)
        #expect(try await coordinator.readWatched("backup").row == nil)
        _ = try await coordinator.renew(held.grant)
        #expect(coordinator.deadline("backup", in: row) == nil)
        let next = try await coordinator.readWatched("backup")
        #expect(next.state.stepDownAskedBy == "admin")
        let nextRow = try #require(next.row)
        #expect(coordinator.deadline("backup", in: nextRow) != nil)
        held.livenessLock?.close()
    }

    @Test("a lease that has ended, or whose lock is closed, has to be read") func ended() async throws {
        let coordinator = try folder.coordinator(clock)
        let held = try await coordinator.get(ask("a", livenessLock: true))
        let row = try #require(try await coordinator.readWatched("backup").row)
        #expect(coordinator.deadline("backup", in: row) != nil)
        clock.putForward(.seconds(601))
        #expect(coordinator.deadline("backup", in: row) == nil)
        let next = try await coordinator.get(ask("a", "next", livenessLock: true))
        let nextRow = try #require(try await coordinator.readWatched("next").row)
        #expect(coordinator.deadline("next", in: nextRow) != nil)
        next.livenessLock?.close()
        #expect(coordinator.deadline("next", in: nextRow) == nil)
        #expect(try await coordinator.readWatched("next").row == nil)
        held.livenessLock?.close()
    }

    @Test("a term without a lock, a released one and that of another process have to be read") func others() async throws {
        let coordinator = try folder.coordinator(clock)
        _ = try await coordinator.get(ask("a"))
        #expect(try await coordinator.readWatched("backup").row == nil)
        let held = try await coordinator.get(ask("a", "next", livenessLock: true))
        #expect(try await folder.coordinator(clock).readWatched("next").row == nil)
        let row = try #require(try await coordinator.readWatched("next").row)
        _ = try await coordinator.release(held.grant)
        #expect(coordinator.deadline("next", in: row) == nil)
        held.livenessLock?.close()
    }
}
