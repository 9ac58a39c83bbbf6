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

    private func information(_ box: Sandbox) -> stat {
        var found = stat()
        lstat(box.path("config/qq/contexts.yaml"), &found)
        return found
    }

    private func writeContexts(_ text: String, _ box: Sandbox) throws {
        for folder in ["config", "config/qq"] { mkdir(box.path(folder), 0o700) }
        try box.write(text, to: "config/qq/contexts.yaml")
    }

    @Test("a change of the contexts keeps the permissions, the owner and the group of their file") func keepsOwner() async throws {
        try await inSandbox { box in
            try writeContexts("contexts:\n  a:\n    server: file:///a\n", box)
            chmod(box.path("config/qq/contexts.yaml"), 0o640)
            if isRoot { chown(box.path("config/qq/contexts.yaml"), 4321, 8765) }
            let before = information(box)
            #expect(try await qq(box, "context", "add", "b", "-s", "file:///b").ending == .exited(0))
            let after = information(box)
            #expect(file(box) == "contexts:\n  a:\n    server: file:///a\n  b:\n    server: file:///b\n")
            #expect(after.st_mode == before.st_mode && after.st_uid == before.st_uid && after.st_gid == before.st_gid)
        }
    }

    @Test("a read-only file of contexts, and a link to none, are left alone with the reason") func refusesToReplace() async throws {
        try await inSandbox { box in
            try writeContexts("contexts: {}\n", box)
            chmod(box.path("config/qq/contexts.yaml"), 0o400)
            let refused = try await qq(box, "context", "add", "b", "-s", "file:///b")
            #expect(refused.ending == .exited(77) && refused.errors.contains("the file is read-only"), "\(refused.errors)")
            #expect(file(box) == "contexts: {}\n" && information(box).st_mode & 0o777 == 0o400)
            unlink(box.path("config/qq/contexts.yaml"))
            symlink(box.path("nowhere/contexts.yaml"), box.path("config/qq/contexts.yaml"))
            let dangling = try await qq(box, "context", "add", "b", "-s", "file:///b")
            #expect(
                dangling.ending == .exited(69) && dangling.errors.contains("a link to a file that does not exist"), "\(dangling.errors)")
            #expect(information(box).st_mode & S_IFMT == S_IFLNK)
        }
    }

    @Test("a change of the contexts keeps a byte order mark and lines that end with CR LF, and refuses mixed ends") func keepsForm()
        async throws
    {
        try await inSandbox { box in
            let text = "\u{feff}# ours\r\ncontexts:\r\n  a: # one\r\n    server: file:///a\r\n"
            try writeContexts(text, box)
            #expect(try await qq(box, "context", "list").text.contains("a"))
            let added = try await qq(box, "context", "add", "b", "-s", "file:///b")
            #expect(added.ending == .exited(0), "\(added.errors)")
            #expect(Array(file(box).utf8) == Array((text + "  b:\r\n    server: file:///b\r\n").utf8))
            let mixed = "contexts:\r\n  a:\n    server: file:///a\n"
            try writeContexts(mixed, box)
            let refused = try await qq(box, "context", "add", "b", "-s", "file:///b")
            #expect(refused.ending == .exited(78) && refused.errors.contains("CR LF"), "\(refused.errors)")
            #expect(Array(file(box).utf8) == Array(mixed.utf8))
        }
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
            try await importsKubeconfig(box)
        }
    }

    private func importsKubeconfig(_ box: Sandbox) async throws {
        let context = """
            current-context: kind/x
            contexts: [{name: kind/x, context: {cluster: a, user: me, namespace: ops}}]

            """
        let cluster = """
            clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}]
            users: [{name: me, user: {token: s3cret}}]

            """
        try box.write(context + cluster, to: "kube.yaml")
        func add(_ name: String, _ list: String) async throws -> Run {
            try await qq(box, "context", "add", name, "--from-kubeconfig", with: ["KUBECONFIG": list])
        }
        let kept = "    server: k8s://kind%2Fx/ops\n    kubeconfig: \(box.path("kube.yaml"))\n"
        let listed = try await add("listed", box.path("missing") + ":" + box.path("kube.yaml"))
        #expect(listed.ending == .exited(0) && file(box).contains("  listed:\n" + kept), "\(listed.errors) \(file(box))")
        let named = try await qq(box, "context", "add", "named", "--from-kubeconfig", "--kubeconfig", box.path("kube.yaml"))
        #expect(named.ending == .exited(0) && file(box).contains("  named:\n" + kept), "\(named.errors) \(file(box))")
        // Context and cluster in two files.
        try box.write(context, to: "one.yaml")
        try box.write(cluster, to: "two.yaml")
        let merged = try await add("merged", box.path("one.yaml") + ":" + box.path("two.yaml"))
        #expect(merged.ending == .exited(0) && file(box).hasSuffix("  merged:\n    server: k8s://kind%2Fx/ops\n"), "\(file(box))")
        #expect(merged.errors.contains("while KUBECONFIG names all of them") && !listed.errors.contains("KUBECONFIG"), "\(merged.errors)")
        // A context that leads nowhere would not work.
        let broken = try await add("broken", box.path("one.yaml"))
        #expect(broken.ending == .exited(78) && broken.errors.contains("its cluster \"a\" is not among the clusters"), "\(broken.errors)")
        #expect(!file(box).contains("s3cret"))
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
