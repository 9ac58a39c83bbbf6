import Glibc
import QQCore
import Support
import Testing

@testable import QQCLI

/// Each slot is used by its name, as `--slots` does it.
@Suite("Slots beside consul lock -n") struct ConsulSlotTests {
    private let first = "x-slot-1-of-2"
    private let second = "x-slot-2-of-2"

    private func lock(_ consul: ConsulPlace, _ command: String = "exec sleep 600", limit: Int = 2) -> ConsulLock {
        var settings = ConsulLock.Settings()
        settings.limit = limit
        settings.retry = .milliseconds(100)
        return ConsulLock("locks/x", command, at: consul.agents[0].port, settings, in: consul.box)
    }

    /// The sessions in `.lock`.
    private func holders(_ consul: ConsulPlace) throws -> [String] {
        guard let entry = consul.store.key(consul.key()) else { return [] }
        let value = try #require(ConsulRecording.decodeValue(entry["Value"]?.stringValue ?? ""))
        return try object(value)["Holders"]?.objectValue?.members.map(\.name) ?? []
    }

    @Test("holders of both kinds are never more than there are slots, and each release lets the next one in") func together() async throws {
        try await onConsul { consul in
            let lock = lock(consul)
            try await waitUntil("consul lock holds: \(lock.output)") { lock.isHolding }
            let holder = try await consul.hold(first, "--id", "q")
            let holding = try holders(consul)
            #expect(holding.count == 2)
            let refused = try await consul.run("acquire", second, "--id", "next", "--", "true")
            #expect(refused.ending == .exited(1) && refused.errors.contains("onsul lock"), "\(refused.errors)")
            let other = self.lock(consul)
            let waiter = try consul.qq("acquire", second, "--id", "next", "--wait", "--", "sh", "-c", "echo held; exec sleep 600")
            try await waitUntil("both wait: \(other.output) \(waiter.errors)") {
                other.session != nil && consul.store.count(.blockingRead) > 3
            }
            #expect(!other.isHolding && !waiter.output.contains("held"))
            // Either of them gets the place of the first to go, and the other that of the second one.
            lock.interrupt()
            #expect(try await lock.ended() == 0, "\(lock.output)")
            try await waitUntil("one of them holds") { other.isHolding || waiter.output.contains("held") }
            let count = try holders(consul).count
            #expect(count == 2 && !(other.isHolding && waiter.output.contains("held")))
            try await holder.terminate()
            try await waitUntil("both hold: \(other.output) \(waiter.errors)", within: .seconds(90)) {
                other.isHolding && waiter.output.contains("held")
            }
            other.interrupt()
            #expect(try await other.ended() == 0, "\(other.output)")
            try await waiter.terminate()
            #expect(consul.store.keys == [] && consul.store.sessions == [], "\(consul.store.keys)")
        }
    }

    @Test("slots have a number, a token that others see, and are listed; what is no slot is refused") func shown() async throws {
        try await onConsul { consul in
            let holder = try consul.qq("acquire", first, "--id", "q", "--", "sh", "-c", "echo $QQ_TOKEN; exec sleep 600")
            try await waitUntil("it is held: \(holder.errors)") { holder.output.hasSuffix("\n") }
            let lock = lock(consul)
            try await waitUntil("consul lock holds: \(lock.output)") { lock.isHolding }
            let state = try object(try await consul.run("status", first, "--json").text)
            #expect(state["token"]?.uint64Value.map { "\($0)\n" } == holder.output && state["kind"] == "qq", "\(state)")
            #expect(state["key"] == "locks/x/.slot-1-of-2", "\(state)")
            let foreign = try object(try await consul.run("status", second, "--json").text)
            #expect(foreign["session"]?.stringValue == lock.session && foreign["kind"] == "semaphore", "\(foreign)")
            for (name, reason) in [("x-slot-1-of-3", "has 2 slots, and not 3"), ("x", "semaphore")] {
                let run = try await consul.run("acquire", name, "--id", "next", "--", "true")
                #expect(run.code == 78 && run.errors.contains(reason), "\(run.ending) \(run.errors)")
            }
            let whole = try await consul.run(["acquire", first, "--id", "next", "--", "true"], at: consul.url(nil, "/locks?key=leader"))
            #expect(whole.code == 80 && whole.errors.contains("no slots"), "\(whole.ending) \(whole.errors)")
            lock.interrupt()
            #expect(try await lock.ended() == 0)
            try await holder.terminate()
        }
    }

    @Test("a killed qq's guardian gives the slot up, and leaves nothing behind") func killed() async throws {
        try await onConsul { consul in
            let holder = try consul.qq(consul.stamping(first, id: "q", ["--ttl", "120s"], work: ["--child", "--daemon", "--ignore-term"]))
            try await waitUntil("all its processes run: \(holder.errors)") { consul.box.stamps().count("daemon") > 0 }
            let next = try consul.qq(consul.stamping(first, id: "next", ["--ttl", "120s", "--wait"], work: ["--for", "50"]))
            try await consul.box.waitForWaiter(next)
            holder.child.signal(SIGKILL)
            #expect(try await next.finish(within: .seconds(120)).ending == .exited(0), "\(next.errors)")
            #expect(consul.box.stamps().violations == [])
            #expect(consul.store.keys == [] && consul.store.sessions == [], "\(consul.store.keys)")
        }
    }

    @Test("a lease of a slot that is left held is released by its saved grant") func saved() async throws {
        try await onConsul { consul in
            let taken = try await consul.run("acquire", first, "--id", "q")
            #expect(taken.ending == .exited(0))
            let refused = try await consul.run("acquire", first, "--id", "next", "--", "true")
            #expect(refused.ending == .exited(1))
            let renewed = try await consul.run("keepalive", first, "--once")
            #expect(renewed.ending == .exited(0))
            let released = try await consul.run("release", first)
            #expect(released.ending == .exited(0))
            #expect(consul.store.keys == [] && consul.store.sessions == [], "\(consul.store.keys)")
        }
    }

    @Test("step-down asks the holder of one slot, and leaves the others alone") func asked() async throws {
        try await onConsul { consul in
            let holder = try await consul.hold(first, "--id", "one")
            let other = try await consul.hold(second, "--id", "two")
            #expect(try await consul.run("step-down", first, "--node", "one", "--yes").ending == .exited(0), "\(holder.errors)")
            _ = try await holder.finish()
            let count = try holders(consul).count
            #expect(count == 1 && other.child.isRunning)
            try await other.terminate()
        }
    }

    @Test("a holder that is made to step down by force keeps consul lock -n out until its command is dead") func forced() async throws {
        try await onConsul { consul in
            let holder = try consul.qq(consul.stamping(first, id: "q", ["--ttl", "10s", "--kill-after", "2s"], work: ["--ignore-term"]))
            _ = try await consul.box.waitForTerms(1)
            let other = try await consul.hold(second, "--id", "two", "--ttl", "60s")
            let lock = lock(consul, "exec \(Sandbox.stamp) \(consul.box.path("stamps")) --for 5")
            try await waitUntil("consul lock waits: \(lock.output)") { lock.session != nil }
            let forced = bootNow()
            #expect(try await consul.run("step-down", first, "--force", "--yes").ending == .exited(0))
            #expect(try await holder.finish().ending == .exited(79), "\(holder.errors)")
            #expect(try await lock.ended(within: .seconds(120)) == 0, "\(lock.output)")
            let terms = consul.box.stamps().terms
            try #require(terms.count == 2)
            #expect(terms[0].last < terms[1].first && terms[1].first > forced + 9_900_000_000)
            #expect(other.child.isRunning, "\(other.errors)")
            try await other.terminate()
        }
    }

    @Test("a watch of a name follows its slots as soon as one is held") func watched() async throws {
        try await onConsul { consul in
            let watch = try consul.qq("watch", "x", "--json")
            func events() throws -> [String] { try watch.told().compactMap { $0["event"]?.stringValue } }
            try await waitUntil("the present state: \(watch.errors)") { try events() == ["state"] }
            try await consul.waitForQuery(watch)
            let holder = try await consul.hold("x", "--slots", "2", "--id", "q")
            try await waitUntil("the holder of a slot: \(watch.output) \(watch.errors)", within: .seconds(30)) {
                try events().contains("elected")
            }
            let seen = try events()
            #expect(seen.starts(with: ["state", "elected"]), "\(watch.output)")
            try await holder.terminate()
            try await watch.terminate()
        }
    }

    @Test("a slot whose semaphore another program deletes is lost immediately") func deleted() async throws {
        try await onConsul { consul in
            let holder = try consul.qq(consul.stamping(first, id: "q", ["--ttl", "60s"], work: ["--ignore-term"]))
            _ = try await consul.box.waitForTerms(1)
            try await consul.waitForQuery(holder)
            consul.store.delete(consul.key())
            let run = try await holder.finish(within: .seconds(90))
            #expect(run.ending == .exited(79) && run.errors.contains("lost \(first) while the command ran"), "\(run.errors)")
        }
    }
}
