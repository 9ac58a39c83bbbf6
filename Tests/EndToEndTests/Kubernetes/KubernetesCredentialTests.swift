import Glibc
import QQCore
import Support
import Testing

@testable import QQCLI

/// Credentials that change or come from a program.
@Suite("Credentials on Kubernetes") struct KubernetesCredentialTests {
    private static let version = "client.authentication.k8s.io/v1beta1"

    /// Puts another user into the kubeconfig, which ends with the user.
    private func change(_ k8s: KubernetesPlace, user: String) throws {
        let text = readText(k8s.kubeconfig)
        let start = try #require(text.firstRange(of: "\n  user:\n")?.upperBound)
        try k8s.box.write(text[..<start] + "    " + user + "\n", to: k8s.kubeconfig)
    }

    /// Makes the user's credential the output of this script.
    private func use(_ script: String, _ k8s: KubernetesPlace, command: String = "./plugin", more: String = "") throws {
        try k8s.box.write(Array(("#!/bin/sh\n" + script + "\n").utf8), to: "plugin", mode: 0o755)
        try change(k8s, user: "exec: {apiVersion: \(Self.version), command: \(command)\(more)}")
    }

    /// A script that prints a token: `token-1` in its first run, `token-2` in its second, and so on. Each run adds a line to `runs`.
    private func counting(_ k8s: KubernetesPlace) -> String {
        let runs = k8s.box.path("runs")
        return """
            echo x >> \(runs)
            n=$(wc -l < \(runs))
            echo "login $n" >&2
            echo '{"apiVersion":"\(Self.version)","kind":"ExecCredential","status":{"token":"token-'$n'"}}'
            """
    }

    private func runs(_ k8s: KubernetesPlace) -> Int { k8s.box.read("runs").split(separator: "\n").count }

    @Test("an exec plugin gives the credential; its stderr is shown, and it gets neither secrets nor the terminal") func plugin()
        async throws
    {
        try await onKubernetes { k8s in
            k8s.server.accept(token: "token-1", of: LeaseAPI.User("ops"))
            let seen = k8s.box.path("seen")
            try use("{ env; ls -l /proc/self/fd; readlink /proc/self/fd/0; } > \(seen)\n" + counting(k8s), k8s)
            let run = try await k8s.run(
                ["status", "x"], environment: ["QQ_NATS_PASSWORD": "s3cret", "QQ_NATS_USER": "me", "PLUGIN_SEES": "this"])
            #expect(run.ending == .exited(1) && run.errors.contains("qq: plugin: login 1\n"), "\(run.errors)")
            let environment = k8s.box.read("seen")
            #expect(!environment.contains("s3cret") && environment.contains("PLUGIN_SEES=this"), "\(environment)")
            #expect(environment.contains(#"KUBERNETES_EXEC_INFO={"kind":"ExecCredential""#) && environment.hasSuffix("/dev/null\n"))
        }
    }

    @Test("an exec plugin that fails or gives no credential ends the command, and the error says how") func faults() async throws {
        try await onKubernetes { k8s in
            try use("echo 'no session' >&2; exit 3", k8s)
            let failed = try await k8s.run("status", "x", "--retries", "0")
            #expect(
                failed.ending == .exited(69) && failed.errors.contains("exec plugin plugin ended with exit code 3: no session"),
                "\(failed.errors)")
            try use("echo s3cret", k8s)
            let unread = try await k8s.run("status", "x")
            #expect(
                unread.ending == .exited(78) && unread.errors.contains("is not JSON") && !unread.errors.contains("s3cret"),
                "\(unread.errors)")
            try use(counting(k8s), k8s, more: ", interactiveMode: Always")
            let terminal = try await k8s.run("status", "x")
            #expect(terminal.ending == .exited(78) && terminal.errors.contains("needs a terminal"), "\(terminal.errors)")
            try use("", k8s, command: "no-such-plugin", more: ", installHint: get it")
            let missing = try await k8s.run("status", "x")
            #expect(missing.ending == .exited(78) && missing.errors.contains("no-such-plugin is not in PATH"), "\(missing.errors)")
            #expect(missing.errors.contains("get it") && runs(k8s) == 0, "\(missing.errors)")
        }
    }

    @Test("a lease is kept when its holder's token expires: the plugin is run again, and the command gets no token") func renewal()
        async throws
    {
        try await onKubernetes(LeaseAPI.Grant.electing) { k8s in
            for number in 1...2 { k8s.server.accept(token: "token-\(number)", of: LeaseAPI.User("ops")) }
            try use(counting(k8s), k8s)
            let (done, seen) = (k8s.box.path("done"), k8s.box.path("seen"))
            let run = try k8s.qq([
                "acquire", "x", "--ttl", "3s", "--", "sh", "-c", "env > \(seen); while [ ! -e \(done) ]; do sleep 0.1; done; exit 7",
            ])
            try await waitUntil("the command") { !k8s.box.read("seen").isEmpty }
            #expect(runs(k8s) == 1)
            k8s.server.expire(token: "token-1")
            try await waitUntil("another login: \(run.errors)") { runs(k8s) == 2 }
            let renewals = k8s.server.api.count(.update)
            try await waitUntil("renewals: \(run.errors)") { k8s.server.api.count(.update) > renewals + 2 }
            try k8s.box.write("", to: "done")
            let end = try await run.finish()
            #expect(end.ending == .exited(7) && runs(k8s) == 2, "\(end.errors)")
            #expect(end.errors.contains("plugin: login 1") && end.errors.contains("plugin: login 2"), "\(end.errors)")
            #expect(!k8s.box.read("seen").contains("token-1") && !k8s.box.read("seen").contains("KUBERNETES_EXEC_INFO"))
            #expect(k8s.server.store.holder("x") ?? "" == "")
        }
    }

    @Test("a token in a file is read again when the server refuses it") func tokenFile() async throws {
        try await onKubernetes(LeaseAPI.Grant.electing) { k8s in
            k8s.server.accept(token: "token-1", of: LeaseAPI.User("ops"))
            try k8s.box.write("token-1\n", to: "token")
            try change(k8s, user: "tokenFile: token")
            let run = try k8s.qq("keepalive", "x", "--ttl", "3s", "--json")
            try await waitUntil("the election: \(run.errors)") { run.output.contains("elected") }
            try k8s.box.write("token-2\n", to: "token")
            k8s.server.accept(token: "token-2", of: LeaseAPI.User("ops"))
            k8s.server.expire(token: "token-1")
            let renewals = k8s.server.api.count(.update)
            try await waitUntil("renewals: \(run.errors)") { k8s.server.api.count(.update) > renewals + 4 }
            try await run.terminate()
            #expect(!run.output.contains("lost") && !(run.output + run.errors).contains("token-"), "\(run.output) \(run.errors)")
        }
    }

    @Test("client certificates authenticate, from the kubeconfig and from an exec plugin") func certificates() async throws {
        try await onKubernetes { k8s in
            let named = try await k8s.server.kubeconfig(for: "ops", credential: .certificate, file: "certificate")
            let status = try await k8s.run(["cluster-status", "--json", "--kubeconfig", named])
            #expect(status.text.contains(#""user":"ops""#), "\(status.text) \(status.errors)")
            let pair = try await k8s.server.clientCertificate(for: LeaseAPI.User("ops"))
            let output: JSONValue = [
                "apiVersion": .string(Self.version), "kind": "ExecCredential",
                "status": [
                    "clientCertificateData": .string(readText(pair.certificate)), "clientKeyData": .string(readText(pair.key)),
                ],
            ]
            try k8s.box.write(JSONWriter.bytes(output), to: "credential.json")
            try use("exec cat \(k8s.box.path("credential.json"))", k8s)
            let plugin = try await k8s.run("cluster-status", "--json")
            #expect(plugin.text.contains(#""user":"ops""#), "\(plugin.text) \(plugin.errors)")
        }
    }
}
