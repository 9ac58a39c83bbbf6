import Support
import Testing

@testable import QQCLI

@Suite("qq beside consul lock") struct ConsulLockTests {
    private func lock(_ consul: ConsulPlace, _ work: String = "") -> ConsulLock {
        var settings = ConsulLock.Settings()
        settings.retry = .milliseconds(100)
        return ConsulLock(
            "locks/x", "exec \(Sandbox.stamp) \(consul.box.path("stamps")) \(work)", at: consul.agents[0].port, settings, in: consul.box)
    }

    @Test("consul lock keeps qq out until it releases, and qq then starts") func behind() async throws {
        try await onConsul { consul in
            let lock = lock(consul)
            try await waitUntil("consul lock holds: \(lock.output)") { consul.box.stamps().all.count > 0 }
            let refused = try await consul.run("acquire", "x", "--id", "q", "--", "true")
            #expect(refused.ending == .exited(1) && refused.errors.contains("onsul lock"), "\(refused.errors)")
            let state = try object(try await consul.run("status", "x", "--json").text)
            #expect(state["kind"] == "lock" && state["session"]?.stringValue == lock.session, "\(state)")
            let waiter = try consul.qq(consul.stamping(id: "q", work: ["--for", "50"]))
            try await consul.box.waitForWaiter(waiter)
            lock.interrupt()
            #expect(try await waiter.finish().ending == .exited(0), "\(waiter.errors)")
            #expect(try await lock.ended() == 0, "\(lock.output)")
            #expect(overlaps([consul.box.stamps()]) == [] && consul.box.stamps().begun == 2)
        }
    }

    @Test("qq keeps consul lock out until it releases, and consul lock then starts") func ahead() async throws {
        try await onConsul { consul in
            let holder = try consul.qq(consul.stamping(id: "q"))
            _ = try await consul.box.waitForTerms(1)
            let seen = consul.store.count(.blockingRead)
            let lock = lock(consul, "--for 50")
            try await waitUntil("consul lock waits: \(lock.output)") { lock.session != nil && consul.store.count(.blockingRead) > seen }
            #expect(lock.child == nil)
            try await holder.terminate()
            #expect(try await lock.ended() == 0, "\(lock.output)")
            #expect(overlaps([consul.box.stamps()]) == [] && consul.box.stamps().begun == 2)
            // consul lock has deleted the key.
            #expect(consul.store.key(consul.key()) == nil && consul.store.sessions == [])
            #expect(try await consul.run("acquire", "x", "--id", "q", "--", "true").ending == .exited(0))
        }
    }

    @Test("step-down --force ends consul lock's command, and its lock-delay keeps qq out") func forced() async throws {
        try await onConsul { consul in
            let lock = lock(consul)
            try await waitUntil("consul lock holds: \(lock.output)") { consul.box.stamps().all.count > 0 }
            let asked = try await consul.run("step-down", "x", "--yes", "--node", "elsewhere")
            #expect(asked.ending != .exited(0) && lock.isHolding, "\(asked.errors)")
            #expect(try await consul.run("step-down", "x", "--force", "--yes").ending == .exited(0))
            #expect(consul.store.isDelayed(consul.key()))
            let refused = try await consul.run("acquire", "x", "--id", "q", "--", "true")
            #expect(refused.ending == .exited(1) && refused.errors.contains("nobody can have it"), "\(refused.errors)")
            #expect(try await lock.ended() == 0, "\(lock.output)")
        }
    }

    @Test("the key of a semaphore, and a key with other flags, are refused") func otherKeys() async throws {
        try await onConsul { consul in
            consul.store.put(consul.key("slots"), "{}", flags: ConsulPlace.semaphoreFlags)
            consul.store.put(consul.key("data"), "content", flags: 7)
            let before = consul.changes
            for (name, reason) in [("slots", "semaphore"), ("data", "is not a lock")] {
                let run = try await consul.run("acquire", name, "--id", "q", "--", "true")
                #expect(run.code == 78 && run.errors.contains(reason), "\(run.ending) \(run.errors)")
            }
            #expect(consul.changes == before)
        }
    }
}
