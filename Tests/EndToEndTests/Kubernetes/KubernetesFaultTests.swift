import Glibc
import QQCore
import Support
import Testing

@Suite("qq and an API server in trouble")
struct KubernetesFaultTests {
    @Test("a waiter rides out a server that is down, and reports it once") func downWhileWaiting() async throws {
        try await onCluster { place in
            let proxy = try place.proxy()
            place.write(holder: "other", duration: 60)
            let waiter = try place.qq(["acquire", "x", "--wait", "--id", "q", "--", "true"], at: proxy.port)
            try await waitUntil("qq waits: \(waiter.errors)") {
                place.server.api.count(.get, name: "x") + place.server.api.count(.watch) > 0
            }
            try await Task.sleep(for: .milliseconds(300))
            proxy.kill()
            try await Task.sleep(for: .seconds(2))
            #expect(waiter.child.isRunning, "\(waiter.errors)")
            let lines = waiter.errors.split(separator: "\n").filter { $0.contains("127.0.0.1:\(proxy.port)") }
            #expect(lines.count <= 1, "\(waiter.errors)")
            proxy.pass()
            place.write(holder: "", duration: 1)
            #expect(try await waiter.finish().ending == .exited(0), "\(waiter.errors)")
        }
    }

    @Test("a watch that tells nothing does not keep a waiter from a lease that has ended") func silentWatch() async throws {
        try await onCluster { place in
            place.server.api.fail([.watch], times: nil, with: .silentWatch)
            place.write(holder: "other", duration: 2)
            let began = bootNow()
            let waiter = try place.qq(place.stamping(id: "q", work: ["--for", "5"]))
            #expect(try await waiter.finish(within: .seconds(90)).ending == .exited(0), "\(waiter.errors)")
            let term = try #require(place.box.stamps().terms.first)
            #expect(term.first < began + 5_000_000_000 + busyTime(since: began), "\((term.first - began) / 1_000_000) ms")
        }
    }

    @Test("a waiter without the verbs list and watch polls, and gets the lease soon after its release") func polling() async throws {
        try await onCluster { place in
            place.write(holder: "other", duration: 60)
            let waiter = try place.qq(place.stamping(id: "q", work: ["--for", "5"]), user: "ops")
            try await waitUntil("qq polls: \(waiter.errors)") { place.server.api.count(.get, name: "x") > 2 }
            let left = bootNow()
            place.write(holder: "", duration: 1)
            #expect(try await waiter.finish().ending == .exited(0), "\(waiter.errors)")
            let term = try #require(place.box.stamps().terms.first)
            #expect(term.first < left + 5_000_000_000 + busyTime(since: left))
            #expect(place.server.api.count(.watch, name: "x") <= 1, "it does not ask again for what is forbidden")
        }
    }

    @Test(
        "without the verbs list and watch, a waiter says once that it polls",
        arguments: [["keepalive", "x"], ["acquire", "x", "--wait", "--", "sleep", "60"]])
    func pollingIsTold(words: [String]) async throws {
        try await onCluster { place in
            place.write(holder: "other", duration: 60)
            let keeper = try place.qq(words.prefix(2) + ["--id", "q", "--ttl", "2s", "-v"] + words.dropFirst(2), user: "ops")
            try await waitUntil("qq polls: \(keeper.output) \(keeper.errors)") { place.server.api.count(.get, name: "x") > 2 }
            place.write(holder: "", duration: 1)
            try await waitUntil("q leads: \(keeper.output)") { place.holder() == "q" }
            let told = (keeper.output + keeper.errors).split(separator: "\n").filter { $0.contains("not allowed to watch") }
            #expect(told.count == 1, "\(keeper.output) \(keeper.errors)")
            try await keeper.terminate()
        }
    }

    @Test("get, create and update are enough to acquire, renew, release and take over") func minimalRole() async throws {
        try await onCluster { place in
            for _ in 0..<2 {
                let holder = try place.qq(place.stamping(id: "q", work: ["--for", "1500"]), user: "ops")
                #expect(try await holder.finish().ending == .exited(0), "\(holder.errors)")
            }
            #expect(place.box.stamps().offences == [] && place.box.stamps().terms.count == 2)
            #expect(place.server.api.count(.patch) + place.server.api.count(.delete) == 0)
        }
    }

    @Test(
        "one bad answer to a renewal costs neither lease nor command",
        arguments: ["504 applied", "504", "504 late", "closed applied", "closed", "429", "409", "500", "401"])
    func oneBadAnswer(kind: String) async throws {
        try await onCluster { place in
            let faults: [String: LeaseAPI.Fault] = [
                "504 applied": .timeout(applied: .yes), "504": .timeout(), "504 late": .timeout(applied: .later(.milliseconds(200))),
                "closed applied": .closed(applied: .yes), "closed": .closed(), "429": .tooManyRequests(), "409": .conflict,
                "500": .unavailable(), "401": .unauthorized,
            ]
            let holder = try await place.hold("x", "--id", "q", "--ttl", "12s", "--renew-every", "1s")
            place.server.api.fail([.update], name: "x", with: try #require(faults[kind]))
            try await place.waitForRenewals(3)
            #expect(holder.child.isRunning && place.holder() == "q", "\(holder.errors)")
            #expect(!holder.errors.contains("lost"), "\(holder.errors)")
            try await holder.terminate()
            try await waitUntil("it is released") { place.holder() == "" }
        }
    }

    @Test("a lease is not lost when the server restarts, with its watches and connections") func restart() async throws {
        try await onCluster { place in
            let holder = try await place.hold("x", "--id", "q", "--ttl", "12s", "--renew-every", "1s")
            let waiter = try place.qq(place.stamping(id: "next", ttl: "12s", work: ["--for", "5"]))
            try await place.box.waitForWaiter(waiter)
            for killed in [false, true] {
                try await place.restart(killed: killed)
                try await place.waitForRenewals(2)
            }
            #expect(holder.child.isRunning && place.holder() == "q", "\(holder.errors)")
            try await holder.terminate()
            #expect(try await waiter.finish().ending == .exited(0), "\(waiter.errors)")
        }
    }

    @Test("a holder goes over to another API server when its own goes away") func replicas() async throws {
        try await onCluster { place in
            let other = try await place.replica()
            let proxy = try place.proxy()
            let holder = try await place.hold("x", "--id", "q", "--ttl", "12s", "--renew-every", "1s", at: proxy.port)
            let waiter = try place.qq(place.stamping(id: "next", ttl: "12s", work: ["--for", "5"]), at: proxy.port)
            try await place.box.waitForWaiter(waiter)
            proxy.upstream = other.port
            proxy.cut()
            try await waitUntil("renewals at the other server: \(holder.errors)") { other.api.count(.update, name: "x") > 1 }
            #expect(holder.child.isRunning && place.holder() == "q", "\(holder.errors)")
            try await holder.terminate()
            #expect(try await waiter.finish().ending == .exited(0), "\(waiter.errors)")
        }
    }

    @Test("a lease of 1 s is held as long as the server answers") func oneSecond() async throws {
        try await onCluster(.heavy) { place in
            let holder = try place.qq(place.stamping(id: "q", ttl: "1s", work: ["--for", "4000"]))
            let run = try await holder.finish()
            let times = place.server.api.calls.filter { $0.name == "x" }.map {
                let spec = $0.json?["spec"]
                return
                    "\($0.time) \($0.method) \($0.status ?? 0) \(spec?["renewTime"]?.stringValue ?? "") \(spec?["leaseDurationSeconds"]?.int64Value ?? 0)"
            }
            #expect(run.ending == .exited(0) && !run.errors.contains("lost"), "\(run.errors) \(times)")
            let renewals = place.server.api.calls.filter { $0.verb == .update && $0.status == 200 }.compactMap {
                $0.json?["spec"]?["renewTime"]?.stringValue.flatMap { try? WallTime.parse(rfc3339: $0) }
            }
            // A candidate of client-go sees each second's first renewal only.
            #expect(zip(renewals, renewals.dropFirst()).allSatisfy { $1 - $0 < .seconds(1) })
        }
    }

    @Test("a release whose outcome is uncertain is tried again, and the command's exit code stays", arguments: [true, false])
    func uncertainRelease(isApplied: Bool) async throws {
        try await onCluster { place in
            let holder = try place.qq(["acquire", "x", "--id", "q", "--", "sh", "-c", "echo held; read line; exit 3"])
            try await waitUntil("it is held") { holder.output.contains("held") || !holder.child.isRunning }
            place.server.api.fail([.update], name: "x", with: .timeout(applied: isApplied ? .yes : .no))
            // Standard input is at its end, so that the command ends by itself.
            let run = try await holder.finish()
            #expect(run.ending == .exited(3), "\(run.errors)")
            #expect(place.holder() == "", "\(run.errors)")
        }
    }

    @Test("a namespace that does not exist is named") func missingNamespace() async throws {
        try await onCluster { place in
            let run = try await place.run("-s", place.url(namespace: "nowhere"), "acquire", "x", "--", "true", user: "admin")
            #expect(run.code == 78 || run.code == 69 || run.code == 1, "\(run.ending) \(run.errors)")
            #expect(run.errors.contains("namespace") && run.errors.contains("nowhere"), "\(run.errors)")
        }
    }

    @Test("commands that read make no write") func reading() async throws {
        try await onCluster { place in
            place.write(holder: "other", duration: 60)
            for words in [
                ["status", "x"], ["status", "none"], ["status", "--all"], ["status", "x", "--json"], ["cluster-status"],
                ["watch", "x", "--until", "led"],
            ] {
                let run = try await place.run(words)
                #expect(run.ending == .exited(0) || words[1] == "none", "\(words) \(run.errors)")
            }
            let refused = try await place.run("acquire", "x", "--", "true")
            #expect(refused.ending == .exited(1), "\(refused.errors)")
            let writes = place.server.api.calls.filter { $0.verb?.isWrite ?? false && !$0.path.contains("selfsubject") }
            #expect(writes.isEmpty, "\(writes.map { "\($0.method) \($0.path)" })")
        }
    }
}
