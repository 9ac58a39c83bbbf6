import QQCore
import Support
import Testing

@testable import QQCLI

/// Every command on Kubernetes, and its output.
@Suite("Commands on Kubernetes") struct KubernetesCommandTests {
    @Test("acquire and release print documented JSON for success and failure") func acquire() async throws {
        try await onKubernetes { k8s in
            let granted = try await k8s.run("acquire", "x", "--id", "me", "--ttl", "60s", "--json")
            #expect(granted.ending == .exited(0), "\(granted.errors)")
            try checkSchema(granted.text, Schemas.acquire)
            let answer = try object(granted.text)
            #expect(answer["acquired"] == true && answer["id"] == "me" && answer["system"] == "kubernetes")
            #expect((answer["token"]?.uint64Value ?? 0) > 0)
            #expect(k8s.server.store.holder("x") == "me")
            let refused = try await k8s.run("acquire", "x", "--id", "other", "--json")
            #expect(refused.ending == .exited(1))
            try checkSchema(refused.text, Schemas.acquire)
            #expect(try object(refused.text)["leader"] == "me")
            let late = try await k8s.run("acquire", "x", "--id", "other", "--json", "--wait=300ms")
            #expect(late.ending == .exited(75), "\(late.errors)")
            try checkSchema(late.text, Schemas.acquire)
            let released = try await k8s.run("release", "x", "--json")
            #expect(released.ending == .exited(0), "\(released.errors)")
            try checkSchema(released.text, Schemas.release)
            #expect(k8s.server.store.holder("x") ?? "" == "")
            let again = try await k8s.run("release", "x", "--json")
            #expect(again.ending == .exited(1))
            try checkSchema(again.text, Schemas.release)
        }
    }

    @Test("a guarded command gets the token, passes its exit code on, and its lease is released; POD_NAME is the identity")
    func guarded() async throws {
        try await onKubernetes(LeaseAPI.Grant.electing) { k8s in
            let run = try await k8s.run(
                ["acquire", "x", "--", "sh", "-c", "echo $QQ_ID $QQ_TOKEN $QQ_SERVER; exit 7"], environment: ["POD_NAME": "web-0"])
            #expect(run.ending == .exited(7), "\(run.errors)")
            let words = run.text.split(whereSeparator: \.isWhitespace)
            #expect(words.count == 3 && words.first == "web-0" && words.last == "k8s:///team" && UInt64(words[1]) != nil, "\(run.text)")
            #expect(k8s.server.store.holder("x") ?? "" == "")
        }
    }

    @Test("keepalive prints documented events through waiting, election, loss and release, and with --once") func keepalive() async throws {
        try await onKubernetes { k8s in
            try k8s.lead("x", as: "controller")
            let run = try k8s.qq(
                "keepalive", "x", "--id", "me", "--ttl", "2s", "--renew-every", "300ms", "--json", "--on-elected", "echo up >>hooks",
                "--on-lost",
                "echo down >>hooks")
            try await waitUntil("qq waits: \(run.errors)") { run.output.contains("waiting") }
            try k8s.lead("x", as: "")
            try await waitUntil("the lease is renewed: \(run.output) \(run.errors)") { run.output.contains("renewed") }
            try k8s.lead("x", as: "thief", for: 1)
            try await waitUntil("qq has lost the lease: \(run.output) \(run.errors)") { run.output.contains("lost") }
            try await waitUntil("qq leads again: \(run.output) \(run.errors)") { try run.told().count { $0["event"] == "elected" } == 2 }
            // SIGTERM ends a hook that runs.
            try await waitUntil("the second hook has run") { k8s.box.read("hooks") == "up\ndown\nup\n" }
            try await run.terminate()
            try checkSchema(run.output, Schemas.keepalive, lines: run.output.split(separator: "\n").count)
            #expect(try run.told().last?["event"] == "released" && k8s.server.store.holder("x") ?? "" == "")
            #expect(k8s.box.read("hooks") == "up\ndown\nup\ndown\n")
            #expect(try await k8s.run("acquire", "y", "--id", "me", "--ttl", "5s").ending == .exited(0))
            let once = try await k8s.run("keepalive", "y", "--once", "--ttl", "60s", "--json")
            #expect(once.ending == .exited(0), "\(once.errors)")
            try checkSchema(once.text, Schemas.keepalive)
            #expect(try await k8s.run("status", "y", "--mine").ending == .exited(0))
        }
    }

    @Test("status shows leaders of qq and of others, alone and in lists by name and label, and writes nothing") func status() async throws {
        try await onKubernetes { k8s in
            #expect(try await k8s.run("acquire", "ours", "--id", "me", "--ttl", "60s").ending == .exited(0))
            try k8s.lead("theirs", as: "controller", ago: .seconds(5), labels: ["app": "web"])
            try k8s.lead("over", as: "controller", for: 1, ago: .seconds(30))
            try k8s.lead("free", as: "")
            k8s.server.api.forgetCalls()
            for (name, state) in [("ours", "held"), ("theirs", "held"), ("over", "expired"), ("free", "free"), ("never", "free")] {
                let run = try await k8s.run("status", name, "--json")
                #expect(run.ending == .exited(state == "held" ? 0 : 1), "\(name): \(run.text) \(run.errors)")
                try checkSchema(run.text, Schemas.status)
                #expect(try object(run.text)["state"] == .string(state), "\(run.text)")
            }
            let theirs = try object(try await k8s.run("status", "theirs", "--json").text)
            #expect(theirs["leader"] == "controller" && theirs["transitions"] == 3 && theirs["ttl"]?.doubleValue == 60)
            #expect(theirs["token"] == .null && (theirs["expires_in"]?.doubleValue ?? 0) > 50 && theirs["clock"] == "holder")
            let plain = try await k8s.run("status", "theirs").text.split(separator: "\t", omittingEmptySubsequences: false)
            #expect(plain.count == 8 && plain[5] == "3" && Double(plain[6]).map { $0 >= 5 } == true && plain[7] == "60\n", "\(plain)")
            func listed(_ words: String...) async throws -> [String] {
                let run = try await k8s.run(["status", "--all", "--json"] + words)
                let elections = try object(run.text)["elections"]?.arrayValue ?? []
                for election in elections { #expect(schemaProblems(try #require(election.objectValue), Schemas.status) == []) }
                return elections.compactMap { $0["name"]?.stringValue }
            }
            #expect(try await listed() == ["free", "ours", "over", "theirs"])
            #expect(try await listed("--match", "ur") == ["ours"])
            #expect(try await listed("--match", "app=web") == ["theirs"])
            #expect(try await listed("--held") == ["ours", "theirs"])
            #expect(k8s.writes == 0)
        }
    }

    @Test(
        "watch prints documented JSON for each change, with the right to watch and without it, and writes nothing",
        arguments: [true, false])
    func watch(_ mayWatch: Bool) async throws {
        try await onKubernetes(mayWatch ? LeaseAPI.Grant.watching : LeaseAPI.Grant.electing) { k8s in
            let run = try k8s.qq("watch", "x", "--json")
            func expect(_ events: [String]) async throws {
                try await waitUntil("\(events): \(run.output) \(run.errors)") {
                    try run.told().compactMap { $0["event"]?.stringValue } == events
                }
            }
            try await expect(["state"])
            try k8s.lead("x", as: "one")
            try await expect(["state", "elected"])
            try k8s.lead("x", as: "two", transitions: 4)
            try await expect(["state", "elected", "changed"])
            try k8s.lead("x", as: "", transitions: 4)
            try await expect(["state", "elected", "changed", "released"])
            try await run.terminate()
            try checkSchema(run.output, Schemas.watch, lines: 4)
            #expect(k8s.writes == 0)
        }
    }

    @Test("step-down asks a qq, outlasts another leader by force, and releases our own") func stepDown() async throws {
        try await onKubernetes { k8s in
            let nobody = try await k8s.run("step-down", "x", "--json")
            #expect(nobody.ending == .exited(1))
            try checkSchema(nobody.text, Schemas.stepDown)
            try k8s.lead("x", as: "controller", for: 1)
            let denied = try await k8s.run("step-down", "x")
            #expect(denied.ending == .exited(77) && denied.errors.contains("--force"), "\(denied.errors)")
            #expect(k8s.writes == 0)
            let forced = try await k8s.run("step-down", "x", "--force", "--yes", "--json")
            #expect(forced.ending == .exited(0), "\(forced.errors)")
            try checkSchema(forced.text, Schemas.stepDown)
            #expect(try object(forced.text)["leader"] == "controller" && k8s.server.store.holder("x") ?? "" == "")
            let holder = try k8s.qq("acquire", "y", "--id", "n1", "--ttl", "3s", "--", "sh", "-c", "echo held; exec sleep 600")
            try await waitUntil("the command runs: \(holder.errors)") { holder.output.contains("held") }
            let asked = try await k8s.run("step-down", "y", "--node", "n1", "--yes", "--id", "n2")
            #expect(asked.ending == .exited(0), "\(asked.errors)")
            let ended = try await holder.finish()
            #expect(ended.errors.contains("n2") && k8s.server.store.holder("y") ?? "" == "", "\(ended.errors)")
            #expect(try await k8s.run("acquire", "z", "--id", "me").ending == .exited(0))
            #expect(try await k8s.run("step-down", "z", "--json").ending == .exited(0))
            #expect(k8s.server.store.holder("z") ?? "" == "")
        }
    }

    @Test("a session acquires, lists, and releases; what it held is released at its end") func session() async throws {
        try await onKubernetes { k8s in
            try k8s.box.write("acquire x --id me\nleases\nstatus x\nacquire y --id me\nrelease y\n", to: "script")
            let run = try await k8s.run("-f", k8s.box.path("script"))
            #expect(run.ending == .exited(0), "\(run.text) \(run.errors)")
            #expect(run.text.contains("x\theld\tme"), "\(run.text)")
            #expect(k8s.server.store.holder("x") ?? "" == "" && k8s.server.store.holder("y") ?? "" == "")
        }
    }

    @Test("elections are completed by asking the server, which writes nothing") func completion() async throws {
        try await onKubernetes { k8s in
            try k8s.lead("web", as: "a")
            try k8s.lead("job", as: "a")
            let run = try await k8s.run("__complete", "elections", "--", "w")
            #expect(run.text == "web\n", "\(run.text) \(run.errors)")
            #expect(k8s.writes == 0)
        }
    }

    @Test("a context of qq names its kubeconfig, which overrides KUBECONFIG") func contexts() async throws {
        try await onKubernetes { k8s in
            let other = ["QQ_SERVER": "", "KUBECONFIG": k8s.box.path("missing"), "XDG_CONFIG_HOME": k8s.box.path("config")]
            let added = try await k8s.run(
                ["context", "add", "prod", "-s", "k8s://test/team", "--kubeconfig", "kubeconfig-ops"], environment: other)
            #expect(added.code == 0, "\(added.errors)")
            #expect(k8s.box.read("config/qq/contexts.yaml").contains("kubeconfig: \(k8s.kubeconfig)"))
            let found = try await k8s.run(["status", "x", "--context", "prod"], environment: other)
            #expect(found.code == 1 && found.errors.isEmpty, "\(found.errors)")
            let shown = try await k8s.run(["context", "show", "prod", "--effective"], environment: other)
            #expect(shown.text.contains("kubeconfig\t\(k8s.kubeconfig)\tcontext prod"), "\(shown.text)")
            let variable = try await k8s.run(["context", "show", "--effective"], environment: other)
            #expect(variable.text.contains("kubeconfig\t\(k8s.box.path("missing"))\tenvironment KUBECONFIG"), "\(variable.text)")
            let test = try await k8s.run(["context", "test", "prod"], environment: other)
            #expect(test.code == 0, "\(test.text) \(test.errors)")
        }
    }
}
