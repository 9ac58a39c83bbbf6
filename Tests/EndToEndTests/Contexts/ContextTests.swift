import Glibc
import QQCore
import Support
import Testing

@testable import QQCLI

@Suite("Contexts") struct ContextTests {
    private func home(_ box: Sandbox) -> [String: String] { ["XDG_CONFIG_HOME": box.path("config"), "QQ_SERVER": ""] }

    private func file(_ box: Sandbox) -> String { box.read("config/qq/contexts.yaml") }

    private func qq(_ box: Sandbox, _ words: String..., with more: [String: String] = [:]) async throws -> Run {
        try await box.start([Sandbox.binary] + words, environment: home(box).merging(more) { $1 }).finish()
    }

    @Test("contexts name servers for every command") func using() async throws {
        try await inSandbox { box in
            let (one, two) = (box.path("one"), box.path("two"))
            for folder in [one, two] { try #require(mkdir(folder, 0o700) == 0) }
            #expect(try await qq(box, "context", "show").ending == .exited(1))
            #expect(try await qq(box, "context", "add", "one", "-s", "file://" + one, "--id", "me", "--ttl", "60s").ending == .exited(0))
            #expect(try await qq(box, "context", "add", "two", "-s", "file://" + two).ending == .exited(0))
            #expect(try await qq(box, "context", "add", "two", "-s", "file:///x").ending == .exited(78))
            #expect(try await qq(box, "context", "use", "one").ending == .exited(0))
            #expect(try await qq(box, "acquire", "x").text == "x\tme\t1\t60\n")
            #expect(readText(one + "/x.json").contains("me"))
            // Contexts chosen by flag and environment, and ignored if a server URL is given.
            #expect(try await qq(box, "status", "x", "--context", "two").ending == .exited(1))
            #expect(try await qq(box, "status", "x", with: ["QQ_CONTEXT": "two"]).ending == .exited(1))
            #expect(try await qq(box, "status", "x", "--context", "one", with: ["QQ_CONTEXT": "two"]).ending == .exited(0))
            #expect(try await qq(box, "acquire", "y", "-s", "file://" + two).text.contains("\tme\t") == false)
            #expect(try await qq(box, "status", "x", with: ["QQ_SERVER": "file://" + two]).ending == .exited(1))
            // Flags override the context.
            #expect(try await qq(box, "acquire", "z", "--ttl", "5s").text == "z\tme\t1\t5\n")
            let test = try await qq(box, "context", "test", "two")
            #expect(test.ending == .exited(0) && test.text.hasPrefix("file://" + two + "\treachable"), "\(test.errors)")
            #expect(try await qq(box, "__complete", "contexts", "t").text == "two\n")
            let unknown = try await qq(box, "status", "x", "--context", "tow")
            #expect(unknown.ending == .exited(78) && unknown.errors.contains("did you mean two?"), "\(unknown.errors)")
            try checkSchema(try await qq(box, "context", "list", "--json").text, Schemas.contextList)
            try checkSchema(try await qq(box, "context", "show", "two", "--json").text, Schemas.contextShow)
            try checkSchema(try await qq(box, "context", "show", "--effective", "--json").text, Schemas.contextEffective)
            try checkSchema(try await qq(box, "context", "use", "one", "--json").text, Schemas.contextChange)
            #expect(try await qq(box, "context", "rename", "one", "first").ending == .exited(0))
            #expect(file(box).hasPrefix("current: first\n"))
            #expect(try await qq(box, "context", "remove", "first").ending == .exited(0))
            #expect(try await qq(box, "context", "list").text == "two\t-\tfile://\(two)\n")
            #expect(try await box.start(["stat", "-c", "%a", box.path("config/qq/contexts.yaml")]).finish().text == "600\n")
        }
    }

    @Test("context show --effective names the origin of each value") func effective() async throws {
        try await inSandbox { box in
            _ = try await qq(box, "context", "add", "one", "-s", "nats://n1", "--id", "me", "--creds", "x.creds", "--tls-first")
            let run = try await qq(
                box, "context", "show", "one", "--effective", "--json", "--timeout", "1s", with: ["QQ_NATS_NKEY": "/other"])
            #expect(run.ending == .exited(0), "\(run.errors)")
            let settings = try object(run.text)["settings"]?.arrayValue ?? []
            func said(_ key: String) -> (String?, String?) {
                let found = settings.first { $0["key"]?.stringValue == key }
                return (found?["value"]?.stringValue, found?["origin"]?.stringValue)
            }
            #expect(said("server").0 == "nats://n1" && said("server").1?.hasPrefix("context one (") == true)
            #expect(said("timeout") == ("1s", "flag --timeout"))
            #expect(said("nkey") == ("/other", "environment QQ_NATS_NKEY"))
            // The other login replaces the context's.
            #expect(said("creds").1 == "default" && said("retries") == ("3", "default"))
            #expect(said("tls-first").0 == "true" && said("id").0 == "me")
        }
    }

    @Test("contexts are imported from a cluster.json and a kubeconfig, without secrets") func imports() async throws {
        try await inSandbox { box in
            try box.write(
                #"{"clusterId": "c", "nodeId": "n7", "nats": {"servers": ["nats://n1:4222", "nats://n2:4222"], "credentials": "me.creds"}, "election": {"leaseTtlMs": 9000}}"#,
                to: "cluster.json")
            let run = try await qq(box, "context", "add", "c", "--from", box.path("cluster.json"), "--timeout", "2s")
            #expect(run.ending == .exited(0), "\(run.errors)")
            let text = file(box)
            for line in ["server: nats://n1:4222,n2:4222", "id: n7", "ttl: 9s", "creds: \(box.path("me.creds"))", "timeout: 2s"] {
                #expect(text.contains("    \(line)\n"), "\(line): \(text)")
            }
            try box.write(#"{"nats": {"servers": ["nats://me:s3cret@n1"]}}"#, to: "secret.json")
            let secret = try await qq(box, "context", "add", "s", "--from", box.path("secret.json"))
            #expect(secret.ending == .exited(78) && !secret.errors.contains("s3cret") && !file(box).contains("s3cret"), "\(secret.errors)")
            let typed = try await qq(box, "context", "add", "s", "-s", "nats://me:s3cret@n1")
            #expect(typed.ending == .exited(64) && !typed.errors.contains("s3cret") && !file(box).contains("s3cret"), "\(typed.errors)")
            try box.write(
                "current-context: kind/x\ncontexts:\n- name: kind/x\n  context: {cluster: a, namespace: ops}\n", to: "kube.yaml")
            let kube = try await qq(box, "context", "add", "k", "--from-kubeconfig", with: ["KUBECONFIG": box.path("kube.yaml")])
            #expect(kube.ending == .exited(0) && file(box).contains("server: k8s://kind%2Fx/ops"), "\(kube.errors) \(file(box))")
        }
    }

    @Test("contexts survive concurrent changes, and a file written by hand keeps its comments") func concurrent() async throws {
        try await inSandbox { box in
            _ = try await qq(box, "context", "add", "base", "-s", "file:///base")
            try box.write("# by hand\n" + file(box).replacing("  base:", with: "  # the first\n  base:"), to: "config/qq/contexts.yaml")
            let all = try (0..<12).map { number in
                try box.start(
                    [Sandbox.binary, "context", "add", "c\(number)", "-s", "file:///c\(number)"], environment: home(box))
            }
            for run in all { #expect(try await run.finish().ending == .exited(0)) }
            let list = try await qq(box, "context", "list")
            #expect(list.text.split(separator: "\n").count == 13, "\(list.text)")
            #expect(file(box).contains("# by hand\n") && file(box).contains("  # the first\n"))
        }
    }

    @Test("an invalid contexts file stops the commands that use it, and no others") func broken() async throws {
        try await inSandbox { box in
            try #require(mkdir(box.path("config"), 0o700) == 0 && mkdir(box.path("config/qq"), 0o700) == 0)
            try box.write("contexts:\n  a:\n    sever: x\n", to: "config/qq/contexts.yaml")
            let status = try await qq(box, "status", "x")
            #expect(status.ending == .exited(78) && status.errors.contains("contexts.yaml, line 3"), "\(status.errors)")
            #expect(try await qq(box, "status", "x", "-s", "file://" + box.path(".")).ending == .exited(1))
            #expect(try await qq(box, "version").ending == .exited(0))
            let add = try await qq(box, "context", "add", "b", "-s", "file:///b")
            #expect(add.ending == .exited(78) && file(box) == "contexts:\n  a:\n    sever: x\n")
        }
    }
}
