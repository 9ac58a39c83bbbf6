import Glibc
import QQCore
import Support
import Testing

@Suite("Credentials that change during a hold, and where they show")
struct CredentialChangeTests {
    @Test("a token that expires is read again from its file, and the lease is kept") func tokenFile() async throws {
        try await onCluster { place in
            place.server.api.change { $0.tokens["first-token"] = LeaseAPI.User("qq-watch") }
            try place.box.write("first-token\n", to: "token")
            let file = try place.kubeconfig(user: "tokenFile: token")
            let holder = try await place.hold("x", "--id", "q", "--ttl", "12s", "--renew-every", "1s", kubeconfig: file)
            try place.box.write("second-token", to: "token")
            place.server.api.change { settings in
                settings.tokens["first-token"] = nil
                settings.tokens["second-token"] = LeaseAPI.User("qq-watch")
            }
            try await place.waitForRenewals(3)
            #expect(holder.child.isRunning && place.holder() == "q", "\(holder.errors)")
            try await holder.terminate()
        }
    }

    @Test("an exec plugin is run again when its token is refused, and no sooner") func plugin() async throws {
        try await onCluster { place in
            place.server.api.change { $0.tokens["token-1"] = LeaseAPI.User("qq-watch") }
            let plugin = try place.plugin(#"n=$(($(cat runs 2>/dev/null || echo 0) + 1)); echo $n >runs"#, token: "token-$n")
            let holder = try await place.hold("x", "--id", "q", "--ttl", "12s", "--renew-every", "1s", kubeconfig: plugin)
            try await place.waitForRenewals(2)
            #expect(place.box.read("runs") == "1\n")
            place.server.api.change { settings in
                settings.tokens["token-1"] = nil
                settings.tokens["token-2"] = LeaseAPI.User("qq-watch")
            }
            try await place.waitForRenewals(3)
            #expect(holder.child.isRunning && place.holder() == "q", "\(holder.errors)")
            #expect(place.box.read("runs") == "2\n")
            try await holder.terminate()
        }
    }

    @Test("a plugin that hangs when it is needed costs the lease, and the command ends before that") func hangingPlugin() async throws {
        try await onCluster(.heavy) { place in
            place.server.api.change { $0.tokens["token-1"] = LeaseAPI.User("qq-watch") }
            let plugin = try place.plugin("[ -e hang ] && sleep 60; true", token: "token-1")
            let holder = try place.qq(place.stamping(id: "q", work: ["--child"]), kubeconfig: plugin)
            _ = try await place.box.waitForTerms(1)
            try place.box.write("", to: "hang")
            let peer = try place.clientGo("go")
            place.server.api.change { $0.tokens["token-1"] = nil }
            let run = try await holder.finish()
            #expect(run.ending == .exited(79), "\(run.errors)")
            try await place.waitForLeader(peer)
            #expect(place.violations(peers: ["go"]) == [])
            try await waitUntil("the plugin ends with qq", within: .seconds(90)) { place.box.living.allSatisfy { $0.name != "sleep" } }
        }
    }

    @Test("a kubeconfig that is replaced or removed during a hold changes nothing for the holder") func replaced() async throws {
        try await onCluster { place in
            let file = try place.kubeconfig(user: "token: \(place.token("watch"))")
            let holder = try await place.hold("x", "--id", "q", "--ttl", "12s", "--renew-every", "1s", kubeconfig: file)
            try place.box.write("][", to: file)
            try await place.waitForRenewals(2)
            unlink(file)
            try await place.waitForRenewals(2)
            #expect(holder.child.isRunning, "\(holder.errors)")
            try await holder.terminate()
            try await waitUntil("it is released") { place.holder() == "" }
        }
    }

    private static let secret = "s3cret-t0ken"

    @Test("a token appears in no output, no environment, no argument and no file", arguments: ["token", "tokenFile", "exec"])
    func secrets(kind: String) async throws {
        try await onCluster { place in
            place.server.api.change { $0.tokens[Self.secret] = LeaseAPI.User("qq-watch") }
            try place.box.write(Self.secret, to: "token")
            let file =
                switch kind {
                case "token": try place.kubeconfig(user: "token: " + Self.secret)
                case "tokenFile": try place.kubeconfig(user: "tokenFile: token")
                default: try place.plugin("true", token: Self.secret)
                }
            let lines = [
                "status x -v", "status --all --json", "acquire x -v -- env", "acquire x -v", "release x -v", "cluster-status",
                "cluster-status --json",
                "acquire x --json", "step-down x --yes", "watch x --until led --for 1s", "keepalive x --once", "acquire NOT_A_NAME -v",
                "status x --server k8s://other -v",
            ]
            for line in lines {
                let run = try await place.qq(line.split(separator: " ").map(String.init), kubeconfig: file).finish()
                #expect(!run.text.contains(Self.secret) && !run.errors.contains(Self.secret), "\(line)")
            }
            // Also when it is refused.
            place.server.api.change { $0.tokens[Self.secret] = nil }
            let refused = try await place.qq(["status", "x", "-v"], kubeconfig: file).finish()
            #expect(refused.ending == .exited(77) && !refused.errors.contains(Self.secret), "\(refused.ending) \(refused.errors)")
            for folder in ["run/qq", "state/qq"] {
                for name in names(in: place.box.path(folder)) {
                    #expect(!place.box.read(folder + "/" + name).contains(Self.secret), "\(name)")
                }
            }
            place.server.api.change { $0.tokens[Self.secret] = LeaseAPI.User("qq-watch") }
            let holder = try await place.hold("x", "--id", "q", kubeconfig: file)
            for process in place.box.living {
                for part in ["cmdline", "environ"] {
                    #expect(!readText("/proc/\(process.pid)/\(part)").contains(Self.secret), "\(process.name) \(part)")
                }
            }
            try await holder.terminate()
        }
    }
}
