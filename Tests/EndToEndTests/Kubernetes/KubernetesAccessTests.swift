import QQCore
import Support
import Testing

@testable import QQCLI

/// What an operator sees of permissions, credentials and a server that fails.
@Suite("Permissions and failures on Kubernetes") struct KubernetesAccessTests {
    private func endpoint(_ run: Run) throws -> JSONObject {
        let answer = try object(run.lines.first ?? "")
        #expect(schemaProblems(answer, Schemas.clusterStatus) == [])
        let endpoint = try #require(answer["endpoints"]?.arrayValue?.first?.objectValue, "\(run.text) \(run.errors)")
        #expect(schemaProblems(endpoint, Schemas.endpoint) == [], "\(run.text)")
        return endpoint
    }

    @Test("cluster-status shows the server, the user, the permissions and the rule that is missing, and writes nothing")
    func clusterStatus() async throws {
        try await onKubernetes(LeaseAPI.Grant.electing) { k8s in
            let run = try await k8s.run("cluster-status", "--json")
            #expect(run.ending == .exited(0), "\(run.errors)")
            let endpoint = try endpoint(run)
            #expect(
                endpoint["can_grant"] == true && endpoint["user"] == "ops" && endpoint["namespace"] == "team" && endpoint["ready"] == true)
            #expect(endpoint["can_update"] == true && endpoint["can_watch"] == false)
            #expect(endpoint["missing_rule"]?.arrayValue?.last == "  verbs: [list, watch]")
            #expect(endpoint["version"]?.stringValue?.hasPrefix("v1.") == true)
            #expect(k8s.writes == 0)
            let terminal = try await Tmux([Sandbox.binary, "cluster-status"], in: k8s.box, environment: k8s.environment)
            let screen = try await terminal.expect("verbs: [list, watch]")
            #expect(screen.contains("missing rule") && screen.contains("can watch"), "\(screen)")
            k8s.server.beginShutdown()
            let leaving = try await k8s.run("cluster-status", "--json")
            #expect(leaving.ending == .exited(1), "\(leaving.errors)")
            let state = try self.endpoint(leaving)
            #expect(state["ready"] == false && state["failing_checks"] == ["shutdown"], "\(leaving.text)")
        }
    }

    @Test("cluster-status works without permissions, without a credential, with one that is not accepted, and without a server")
    func limitedClusterStatus() async throws {
        try await onKubernetes([]) { k8s in
            let nothing = try await k8s.run("cluster-status", "--json")
            #expect(nothing.ending == .exited(1))
            #expect(try endpoint(nothing)["can_get"] == false)
            let anonymous = try await k8s.server.kubeconfig(for: "nobody", credential: .none)
            let unknown = try await k8s.run(["cluster-status", "--json", "--kubeconfig", anonymous])
            #expect(unknown.ending == .exited(1), "\(unknown.errors)")
            #expect(try endpoint(unknown)["refused"]?.stringValue?.contains("anonymous") == true)
            k8s.server.expire(token: "token-ops")
            let refused = try await k8s.run("cluster-status", "--json")
            #expect(refused.ending == .exited(1), "\(refused.errors)")
            let reason = try #require(try endpoint(refused)["refused"]?.stringValue)
            #expect(reason.contains("does not accept") && !reason.contains("token-ops"), "\(reason)")
            await k8s.server.kill()
            let down = try await k8s.run("cluster-status")
            #expect(down.ending == .exited(69) && down.errors.contains("nothing listens there"), "\(down.errors)")
        }
    }

    @Test("a missing permission is exit code 77, with the rule that grants it and for whom") func forbidden() async throws {
        try await onKubernetes([.get]) { k8s in
            let create = try await k8s.run("acquire", "x")
            #expect(create.ending == .exited(77), "\(create.errors)")
            #expect(create.errors.contains("User ops is not allowed to create leases in namespace team"), "\(create.errors)")
            #expect(create.errors.contains("{apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create]}"), "\(create.errors)")
            try k8s.lead("x", as: "")
            let update = try await k8s.run("acquire", "x")
            #expect(update.ending == .exited(77) && update.errors.contains("verbs: [update]"), "\(update.errors)")
            let list = try await k8s.run("status", "--all")
            #expect(list.ending == .exited(77) && list.errors.contains("verbs: [list]"), "\(list.errors)")
            #expect(try await k8s.run("status", "x").ending == .exited(1))
        }
    }

    @Test("credentials that are missing or not accepted are exit code 77, and the credential is named but not shown") func credentials()
        async throws
    {
        try await onKubernetes { k8s in
            let anonymous = try await k8s.server.kubeconfig(for: "nobody", credential: .none)
            let unknown = try await k8s.run(["status", "x", "--kubeconfig", anonymous])
            #expect(unknown.ending == .exited(77) && unknown.errors.contains("anonymous"), "\(unknown.errors)")
            k8s.server.expire(token: "token-ops")
            let refused = try await k8s.run("acquire", "x", "--wait=5s")
            #expect(refused.ending == .exited(77), "\(refused.errors)")
            #expect(refused.errors.contains("does not accept") && refused.errors.contains("kubeconfig-ops"), "\(refused.errors)")
            #expect(!refused.errors.contains("token-ops"), "\(refused.errors)")
        }
    }

    @Test("a namespace that does not exist is exit code 78") func namespace() async throws {
        try await onKubernetes { k8s in
            k8s.server.allow("ops", LeaseAPI.Grant.watching, in: "missing")
            let run = try await k8s.run("acquire", "x", "-s", "k8s:///missing")
            #expect(run.ending == .exited(78) && run.errors.contains("there is no namespace missing"), "\(run.errors)")
        }
    }

    @Test("a server that has too many requests, or whose store fails, is exit code 69; a retry helps") func trouble() async throws {
        try await onKubernetes { k8s in
            k8s.server.api.fail([.get], times: nil, with: .tooManyRequests())
            let busy = try await k8s.run("status", "x", "--retries", "0")
            #expect(busy.ending == .exited(69) && busy.errors.contains("too many requests"), "\(busy.errors)")
            k8s.server.api.clearFaults()
            k8s.server.api.fail([.get], times: nil, with: .unavailable())
            let broken = try await k8s.run("status", "x", "--retries", "0")
            #expect(broken.ending == .exited(69) && broken.errors.contains("qq cluster-status"), "\(broken.errors)")
            k8s.server.api.clearFaults()
            k8s.server.api.fail([.get], times: 2, with: .unavailable())
            let retried = try await k8s.run("status", "x", "--backoff", "10ms..20ms")
            #expect(retried.ending == .exited(1), "\(retried.errors)")
        }
    }

    @Test("a server of another authority is exit code 78, and the hint names the field of the kubeconfig") func certificate() async throws {
        try await onKubernetes { k8s in
            let other = try await KubernetesServer.start(name: "other", in: k8s.box)
            let wrong = try await k8s.server.kubeconfig(for: "ops", file: "wrong", server: other.url)
            let run = try await k8s.run(["status", "x", "--kubeconfig", wrong])
            #expect(run.ending == .exited(78), "\(run.errors)")
            #expect(run.errors.contains("certificate") && !run.errors.contains("--tls-ca"), "\(run.errors)")
        }
    }
}
