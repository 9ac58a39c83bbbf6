import QQCore
import Support
import Testing

@testable import QQCLI

/// Every command on Consul, and its output.
@Suite("Commands on Consul") struct ConsulCommandTests {
    @Test("acquire and release print documented JSON for success and failure") func acquire() async throws {
        try await onConsul { consul in
            let granted = try await consul.run("acquire", "x", "--id", "me", "--ttl", "60s", "--json")
            #expect(granted.ending == .exited(0), "\(granted.errors)")
            try checkSchema(granted.text, Schemas.acquire)
            let answer = try object(granted.text)
            #expect(answer["acquired"] == true && answer["id"] == "me" && answer["system"] == "consul", "\(granted.text)")
            #expect(answer["token"] != nil && answer["token"] == consul.store.key(consul.key())?["ModifyIndex"])
            #expect(consul.leader() == "me" && consul.store.key(consul.key())?["Flags"]?.uint64Value == ConsulPlace.lockFlags)
            let session = try #require(consul.session().flatMap { consul.store.session($0) })
            #expect(session["TTL"] == "60s" && session["Behavior"] == "release" && session["NodeChecks"] == [], "\(session)")
            let refused = try await consul.run("acquire", "x", "--id", "other", "--json")
            #expect(refused.ending == .exited(1))
            try checkSchema(refused.text, Schemas.acquire)
            #expect(try object(refused.text)["leader"] == "me")
            let late = try await consul.run("acquire", "x", "--id", "other", "--json", "--wait=300ms")
            #expect(late.ending == .exited(75), "\(late.errors)")
            try checkSchema(late.text, Schemas.acquire)
            #expect(consul.store.sessions.count == 1, "a refused contender leaves no session")
            let released = try await consul.run("release", "x", "--json")
            #expect(released.ending == .exited(0), "\(released.errors)")
            try checkSchema(released.text, Schemas.release)
            #expect(consul.session() == nil && consul.store.sessions == [] && !consul.store.isDelayed(consul.key()))
            let again = try await consul.run("release", "x", "--json")
            #expect(again.ending == .exited(1))
            try checkSchema(again.text, Schemas.release)
        }
    }

    @Test("a guarded command gets the token, passes its exit code on, and its lease is released") func guarded() async throws {
        try await onConsul { consul in
            let before = consul.store.index
            let run = try await consul.run("acquire", "x", "--id", "me", "--", "sh", "-c", "echo $QQ_ID $QQ_TOKEN $QQ_SERVER; exit 7")
            #expect(run.ending == .exited(7), "\(run.errors)")
            let words = run.text.split(whereSeparator: \.isWhitespace).map(String.init)
            #expect(words.count == 3 && words.first == "me" && words.last == consul.url(), "\(run.text)")
            let token = try #require(words.dropFirst().first.flatMap { UInt64($0) })
            #expect(token > before && token < consul.store.index)
            #expect(consul.session() == nil && consul.store.sessions == [] && !consul.store.isDelayed(consul.key()))
        }
    }

    @Test("keepalive prints documented events through waiting, election, loss and release, and with --once") func keepalive() async throws {
        try await onConsul { consul in
            let other = try consul.lead("x")
            let run = try consul.qq(
                "keepalive", "x", "--id", "me", "--ttl", "10s", "--renew-every", "300ms", "--json", "--on-elected", "echo up >>hooks",
                "--on-lost", "echo down >>hooks")
            try await waitUntil("qq waits: \(run.errors)") { run.output.contains("waiting") }
            try consul.leave("x", other)
            try await waitUntil("the lease is renewed: \(run.output) \(run.errors)") { run.output.contains("renewed") }
            // A deleted key has no lock-delay: qq can lead again immediately.
            consul.store.delete(consul.key())
            try await waitUntil("qq has lost the lease: \(run.output) \(run.errors)") { run.output.contains("lost") }
            try await waitUntil("qq leads again: \(run.output) \(run.errors)") { try run.told().count { $0["event"] == "elected" } == 2 }
            // SIGTERM ends a hook that runs.
            try await waitUntil("the second hook has run") { consul.box.read("hooks") == "up\ndown\nup\n" }
            try await run.terminate()
            try checkSchema(run.output, Schemas.keepalive, lines: run.output.split(separator: "\n").count)
            #expect(try run.told().last?["event"] == "released" && consul.session() == nil)
            #expect(consul.box.read("hooks") == "up\ndown\nup\ndown\n")
            // A lease left by `acquire` is renewed once.
            #expect(try await consul.run("acquire", "y", "--id", "me", "--ttl", "60s").ending == .exited(0))
            let renewals = consul.store.count(.renew)
            let once = try await consul.run("keepalive", "y", "--once", "--ttl", "60s", "--json")
            #expect(once.ending == .exited(0), "\(once.errors)")
            try checkSchema(once.text, Schemas.keepalive)
            #expect(consul.store.count(.renew) > renewals)
            #expect(try await consul.run("status", "y", "--mine").ending == .exited(0))
        }
    }

    @Test("status shows leaders of qq, of consul lock and of other programs, alone and in a list, and changes nothing") func status()
        async throws
    {
        try await onConsul { consul in
            #expect(try await consul.run("acquire", "ours", "--id", "me", "--ttl", "60s").ending == .exited(0))
            try consul.lead("theirs")
            try consul.leave("free", try consul.lead("free"))
            consul.store.put(consul.key("slots"), "{}", flags: ConsulPlace.semaphoreFlags)
            let before = (consul.changes, consul.store.sessions)
            for (name, state) in [("ours", "held"), ("theirs", "held"), ("free", "free"), ("never", "free")] {
                let run = try await consul.run("status", name, "--json")
                #expect(run.ending == .exited(state == "held" ? 0 : 1), "\(name): \(run.text) \(run.errors)")
                try checkSchema(run.text, Schemas.status)
                #expect(try object(run.text)["state"] == .string(state), "\(run.text)")
            }
            let ours = try object(try await consul.run("status", "ours", "--json").text)
            #expect(ours["leader"] == "me" && ours["kind"] == "qq" && ours["key"] == .string(consul.key("ours")), "\(ours)")
            #expect(ours["session"]?.stringValue == consul.session("ours") && ours["node"] == "client", "\(ours)")
            let theirs = try object(try await consul.run("status", "theirs", "--json").text)
            #expect(theirs["leader"] == "Consul API Lock" && theirs["kind"] == "lock" && theirs["lock_delay"]?.doubleValue == 15)
            #expect(theirs["ttl"]?.doubleValue == 3600 && theirs["token"] == consul.store.key(consul.key("theirs"))?["ModifyIndex"])
            let slots = try object(try await consul.run("status", "slots", "--json").text)
            #expect(slots["kind"] == "semaphore" && slots["state"] != "held", "\(slots)")
            func listed(_ words: String...) async throws -> [String] {
                let run = try await consul.run(["status", "--all", "--json"] + words)
                let elections = try object(run.text)["elections"]?.arrayValue ?? []
                for election in elections { #expect(schemaProblems(try #require(election.objectValue), Schemas.status) == []) }
                return elections.compactMap { $0["name"]?.stringValue }
            }
            #expect(try await listed() == ["free", "ours", "slots", "theirs"])
            #expect(try await listed("--held") == ["ours", "theirs"])
            #expect(consul.changes == before.0 && consul.store.sessions == before.1)
        }
    }

    @Test("watch prints documented JSON for each change, and changes nothing") func watch() async throws {
        try await onConsul { consul in
            let run = try consul.qq("watch", "x", "--json")
            func expect(_ events: [String]) async throws {
                try await waitUntil("\(events): \(run.output) \(run.errors)") {
                    try run.told().compactMap { $0["event"]?.stringValue } == events
                }
            }
            try await expect(["state"])
            let one = try consul.lead("x", value: "one")
            try await expect(["state", "elected"])
            try consul.leave("x", one)
            try await expect(["state", "elected", "released"])
            try consul.lead("x", value: "two")
            try await expect(["state", "elected", "released", "elected"])
            let before = consul.changes
            try await run.terminate()
            try checkSchema(run.output, Schemas.watch, lines: 4)
            #expect(try run.told().compactMap { $0["leader"]?.stringValue }.last == "two")
            let until = try consul.qq("watch", "x", "--until", "free", "--for", "15s", "--json")
            try await waitUntil("watch has started: \(until.errors)") { until.output.contains("state") }
            #expect(consul.changes == before)
            consul.store.destroySession(try #require(consul.session()))
            #expect(try await until.finish().ending == .exited(0))
        }
    }

    @Test("step-down asks a qq, destroys the session of another leader by force, and releases our own") func stepDown() async throws {
        try await onConsul { consul in
            let nobody = try await consul.run("step-down", "x", "--json")
            #expect(nobody.ending == .exited(1))
            try checkSchema(nobody.text, Schemas.stepDown)
            let other = try consul.lead("x", value: "controller")
            let before = consul.changes
            let denied = try await consul.run("step-down", "x")
            #expect(denied.ending == .exited(77) && denied.errors.contains("--force"), "\(denied.errors)")
            #expect(consul.changes == before && consul.session() == other)
            let forced = try await consul.run("step-down", "x", "--force", "--yes", "--json")
            #expect(forced.ending == .exited(0), "\(forced.errors)")
            try checkSchema(forced.text, Schemas.stepDown)
            #expect(try object(forced.text)["leader"] == "controller" && consul.session() == nil)
            #expect(consul.store.key(consul.key()) != nil && consul.store.isDelayed(consul.key()), "the key stays, with its lock-delay")
            let holder = try await consul.hold("y", "--id", "n1")
            let asked = try await consul.run("step-down", "y", "--node", "n1", "--yes", "--id", "n2")
            #expect(asked.ending == .exited(0), "\(asked.errors)")
            let ended = try await holder.finish()
            #expect(ended.errors.contains("n2"), "\(ended.errors)")
            #expect(consul.session("y") == nil && !consul.store.isDelayed(consul.key("y")))
            #expect(!consul.store.keys.contains { $0.hasSuffix(".step-down") }, "\(consul.store.keys)")
            #expect(try await consul.run("acquire", "z", "--id", "me").ending == .exited(0))
            #expect(try await consul.run("step-down", "z", "--json").ending == .exited(0))
            #expect(consul.session("z") == nil && consul.store.sessions == [])
        }
    }

    @Test("cluster-status shows agents, leader and servers, names what the token lacks, and changes nothing") func clusterStatus()
        async throws
    {
        try await onConsul(agents: ["server1", "client"]) { consul in
            func endpoints(_ code: Int32) async throws -> [JSONObject] {
                let run = try await consul.run("cluster-status", "--json")
                #expect(run.ending == .exited(code), "\(run.text) \(run.errors)")
                let line = try object(run.lines.first ?? "")
                #expect(schemaProblems(line, Schemas.clusterStatus) == [])
                let found = (line["endpoints"]?.arrayValue ?? []).compactMap(\.objectValue)
                for endpoint in found { #expect(schemaProblems(endpoint, Schemas.endpoint) == [], "\(run.text)") }
                try #require(found.count == 2)
                return found
            }
            let before = consul.changes
            var all = try await endpoints(0)
            #expect(all.allSatisfy { $0["can_grant"] == true && $0["leader"] == "server1:8300" && $0["datacenter"] == "dc1" })
            #expect(all[0]["node"] == "server1" && all[0]["is_server"] == true && all[0]["role"] == "Leader", "\(all[0])")
            #expect(all[1]["node"] == "client" && all[1]["is_server"] == false && all[1]["version"] == "1.8.7", "\(all[1])")
            let servers = all[0]["servers"]?.arrayValue ?? []
            #expect(servers.compactMap { $0["name"]?.stringValue } == ["server1", "server2", "server3"])
            await consul.agents[1].kill()
            all = try await endpoints(0)
            #expect(all[0]["reachable"] == true && all[1]["reachable"] == false && all[1]["problem"]?.stringValue?.isEmpty == false)
            #expect(consul.changes == before)
        }
    }

    @Test("a session of qq acquires, lists and releases; what it held is released at its end") func session() async throws {
        try await onConsul { consul in
            try consul.box.write("acquire x --id me\nleases\nstatus x\nacquire y --id me\nrelease y\n", to: "script")
            let run = try await consul.run("-f", consul.box.path("script"))
            #expect(run.ending == .exited(0), "\(run.text) \(run.errors)")
            #expect(run.text.contains("x\theld\tme"), "\(run.text)")
            #expect(consul.session("x") == nil && consul.session("y") == nil && consul.store.sessions == [])
        }
    }

    @Test("elections are completed by asking the cluster, which changes nothing") func completion() async throws {
        try await onConsul { consul in
            try consul.lead("web")
            try consul.lead("job")
            let before = consul.changes
            let run = try await consul.run("__complete", "elections", "--", "w")
            #expect(run.text == "web\n", "\(run.text) \(run.errors)")
            #expect(consul.changes == before)
        }
    }
}
