import Glibc
import QQCore
import QQNetwork
import Testing

@testable import QQKubernetes

/// "kubeconfig, as client-go reads it", in shared/protocols/kubernetes.md: which files, and how they are merged.
@Suite struct KubeconfigTests {
    private let folder: ConfigurationFolder

    init() throws { folder = try ConfigurationFolder() }

    private func config(_ name: String, context: String? = nil) -> String {
        (context.map { "current-context: \($0)\n" } ?? "") + """
            clusters: [{name: c-\(name), cluster: {server: 'https://\(name):6443'}}, {name: both, cluster: {server: 'https://\(name)-both'}}]
            contexts: [{name: \(name), context: {cluster: c-\(name)}}, {name: shared, context: {cluster: both, namespace: of-\(name)}}]
            """
    }

    @Test func `an explicit file is the only one, and must exist`() throws {
        folder.variables["KUBECONFIG"] = try folder.write(config("a", context: "a"), to: "a")
        let other = try folder.write(config("b", context: "b"), to: "b")
        #expect(try folder.access(kubeconfig: other).server.host == "b")
        let error = try folder.error { try folder.access(kubeconfig: folder.path + "/missing") }
        #expect(error.kind == .configuration && error.description.contains("there is no such file (\(folder.path)/missing)"))
        // The pod's service account does not take the place of a file that was named.
        try pod()
        #expect(
            try folder.error { try folder.access(kubeconfig: try folder.write("{}", to: "empty")) }.reason
                == "the kubeconfig has no current-context")
    }

    @Test func `KUBECONFIG is a list whose empty, missing and repeated entries are skipped`() throws {
        let a = try folder.write(config("a"), to: "a")
        let b = try folder.write(config("b", context: "b"), to: "b")
        folder.variables["KUBECONFIG"] = ":\(folder.path)/missing::\(a):\(b):\(a):"
        #expect(try folder.access().server.host == "b")
        #expect(try folder.access("k8s://a").server.host == "a")
        #expect(Kubeconfig.paths(folder.environment) == [folder.path + "/missing", a, b])
    }

    @Test func `a slash in a context's name that was written as it is has a hint`() throws {
        folder.variables["KUBECONFIG"] = try folder.write(
            """
            clusters: [{name: c, cluster: {server: 'https://h:6443'}}]
            contexts: [{name: 'arn:aws:eks:eu:1:cluster/prod', context: {cluster: c}}]
            """, to: "a")
        let error = try folder.error { try folder.access("k8s://arn:aws:eks:eu:1:cluster/prod") }
        #expect(error.hint == "write the slash in the context's name as %2F: -s k8s://arn:aws:eks:eu:1:cluster%2Fprod", "\(error)")
    }

    @Test func `without KUBECONFIG the file in the home folder applies`() throws {
        folder.variables["HOME"] = folder.path
        try folder.write(config("home", context: "home"), to: ".kube/config")
        #expect(try folder.access().server.host == "home")
        folder.variables["KUBECONFIG"] = try folder.write(config("b"), to: "b")
        #expect(try folder.error { try folder.access("k8s://home") }.reason.contains("no context is called \"home\""))
    }

    @Test func `an entry is taken whole from the first file, and current-context from the first that has one`() throws {
        folder.variables["KUBECONFIG"] =
            [
                try folder.write(config("a"), to: "a"), try folder.write(config("b", context: "''"), to: "b"),
                try folder.write(config("c", context: "c"), to: "c"),
            ]
            .joined(separator: ":")
        #expect(try folder.access().server.host == "c")
        let shared = try folder.access("k8s://shared")
        #expect(shared.server.host == "a-both" && shared.namespace == "of-a")
    }

    @Test func `a broken file of the list is an error, also if another one has the context`() throws {
        let a = try folder.write(config("a", context: "a"), to: "a")
        for (text, reason) in [
            ("token: \"s3cret\n", "not YAML"), ("- s3cret", "it is not a mapping"), ("users: s3cret", "users is not a list"),
            ("users: [s3cret]", "users has an item that is not a mapping"), ("s3cret", "it is not a mapping"),
        ] {
            folder.variables["KUBECONFIG"] = a + ":" + (try folder.write(text, to: "broken"))
            let error = try folder.error { try folder.access() }
            #expect(error.kind == .configuration && error.reason.hasPrefix(reason), "\(error)")
            #expect(error.location?.hasPrefix(folder.path + "/broken, line ") == true, "\(error)")
        }
    }

    @Test(arguments: ["clusters", "contexts", "users"]) func `a name twice in one file is an error that shows no token`(list: String) throws
    {
        let text = "\(list):\n- {name: n, user: {token: s3cret}}\n- {user: {token: s3cret}, name: n}\n"
        let error = try folder.error { try folder.access("k8s://x", text: text) }
        #expect(error.reason == "two \(list) are called \"n\"" && error.location == folder.path + "/config, line 3", "\(error)")
    }

    @Test func `a key twice in one mapping is an error that shows no token`() throws {
        let error = try folder.error { try folder.access(user: "{token: s3cret, token: s3cret}") }
        #expect(error.reason == "a key is given twice", "\(error)")
    }

    @Test func `apiVersion and kind can be missing, and unknown fields are left alone`() throws {
        let text =
            "colour: blue\npreferences: {}\n"
            + config("a", context: "a").replacing("cluster: {server", with: "cluster: {shape: round, server")
        #expect(try folder.access(text: text).server.host == "a")
    }

    @Test func `JSON is read as YAML`() throws {
        let text =
            #"{"current-context":"x","contexts":[{"name":"x","context":{"cluster":"c"}}],"clusters":[{"name":"c","cluster":{"server":"https://j"}}]}"#
        #expect(try folder.access(text: text).server.host == "j")
    }

    @Test func `without any context the pod's service account is used, if there is one`() throws {
        let error = try folder.error { try folder.access() }
        #expect(error.reason == "KUBECONFIG and HOME are not set, and this is not a pod with a service account")
        folder.variables["HOME"] = folder.path
        #expect(
            try folder.error { try folder.access() }.description.hasSuffix(
                "there is no kubeconfig, and this is not a pod with a service account (\(folder.path)/.kube/config)"))
        try pod()
        #expect(try folder.access().origin == .inCluster)
        folder.variables["KUBECONFIG"] = "/dev/null"
        #expect(try folder.access().origin == .inCluster)
        folder.variables["KUBECONFIG"] = try folder.write(config("a"), to: "a")
        #expect(try folder.access().origin == .inCluster)
        folder.variables["KUBECONFIG"] = try folder.write(config("a", context: "a"), to: "a")
        #expect(try folder.access().origin == .kubeconfig(context: "a", files: folder.path + "/a"))
    }

    @Test func `the hint for a missing choice names the contexts`() throws {
        let error = try folder.error { try folder.access(text: config("a b")) }
        #expect(
            error.reason == "the kubeconfig has no current-context"
                && error.hint == "choose a context, such as -s k8s://a%20b; there are a b, shared")
        #expect(
            try folder.error { try folder.access("k8s://typo", text: config("a")) }.hint
                == "choose a context, such as -s k8s://a; there are a, shared")
    }

    @Test func `a context that leads nowhere is an error`() throws {
        func reason(_ context: String) throws -> String {
            try folder.error { try folder.access(text: "current-context: x\ncontexts: [{name: x, context: \(context)}]\n") }.reason
        }
        #expect(try reason("{user: ops}") == "context \"x\": it has no cluster")
        #expect(try reason("{cluster: c}") == "context \"x\": its cluster \"c\" is not among the clusters")
        #expect(try reason("") == "context \"x\": it has no cluster")
        #expect(try reason("[1]") == "context \"x\": context is not a mapping")
        #expect(try folder.error { try folder.access(text: "current-context: y\n") }.reason == "no context is called \"y\"")
    }

    @Test func `a file that is not regular does not make qq wait`() throws {
        let fifo = folder.path + "/fifo"
        try #require(mkfifo(fifo, 0o600) == 0)
        #expect(try folder.error { try folder.access(kubeconfig: fifo) }.reason == "it is not a regular file")
        #expect(try folder.error { try folder.access(kubeconfig: "/dev/zero") }.reason == "it is not a regular file")
        #expect(try folder.error { try folder.access(kubeconfig: folder.path) }.reason == "Is a directory")
        #expect(try folder.error { try folder.access(kubeconfig: "/dev/null") }.reason == "the kubeconfig has no current-context")
    }

    @Test func `a huge file is refused`() throws {
        let text = "current-context: x\n# " + String(repeating: "x", count: KubeconfigFile.largest)
        #expect(try folder.error { try folder.access(text: text) }.reason == "it is larger than 4096 KiB")
    }

    // MARK: Namespaces

    @Test func `the namespace is that of the URL, else of the context, else default`() throws {
        let named = kubeconfig(user: "{}", context: "{cluster: c, user: ops, namespace: team}")
        #expect(try folder.access("k8s:///other", text: named).namespace == "other")
        #expect(try folder.access("k8s://x", text: named).namespace == "team")
        #expect(try folder.access("k8s://x/a", text: named).namespace == "a")
        #expect(try folder.access(text: kubeconfig(user: "{}")).namespace == "default")
        #expect(try folder.access(text: kubeconfig(user: "{}", context: "{cluster: c, namespace: ''}")).namespace == "default")
    }

    @Test(arguments: ["-a", "a-", "A", "a.b", "a/b", String(repeating: "a", count: 64)])
    func `a name that no namespace can have is refused before anything is sent`(name: String) throws {
        let text = kubeconfig(user: "{}", context: "{cluster: c, namespace: '\(name)'}")
        #expect(try folder.error { try folder.access(text: text) }.kind == .configuration)
        #expect(try folder.access("k8s:///fine", text: text).namespace == "fine")
        if !name.contains("/") { #expect(try folder.error { try folder.access("k8s:///\(name)", text: text) }.kind == .usage) }
    }

    // MARK: Service accounts

    private func pod(token: String = "s3cret\n", namespace: String? = "team\n", authority: String? = "PEM") throws {
        folder.variables["KUBERNETES_SERVICE_HOST"] = "10.96.0.1"
        folder.variables["KUBERNETES_SERVICE_PORT"] = "443"
        try folder.write(token, to: "serviceaccount/token")
        if let namespace { try folder.write(namespace, to: "serviceaccount/namespace") }
        if let authority { try folder.write(authority, to: "serviceaccount/ca.crt") }
    }

    @Test func `a pod's service account names server, authorities, token and namespace`() throws {
        try pod()
        let access = try folder.access("k8s://in-cluster")
        #expect(access.server.description == "https://10.96.0.1" && access.namespace == "team" && access.notes.isEmpty)
        #expect(access.tls.authority?.content == .file(folder.path + "/serviceaccount/ca.crt"))
        let file = TokenFile(path: folder.path + "/serviceaccount/token", fallback: Secret("s3cret"))
        #expect(access.credential.method == .tokenFile(file))
        #expect(access.credentialDescription == "the service account's token \(file.path)")
        folder.variables["KUBERNETES_SERVICE_HOST"] = "fd00::1"
        folder.variables["KUBERNETES_SERVICE_PORT"] = "6443"
        #expect(try folder.access("k8s://in-cluster").server.description == "https://[fd00::1]:6443")
    }

    @Test func `the namespace in a pod is that of the URL, of POD_NAMESPACE, of the service account, or default`() throws {
        try pod()
        folder.variables["POD_NAMESPACE"] = "mine"
        #expect(try folder.access("k8s://in-cluster/other").namespace == "other")
        #expect(try folder.access("k8s:///other").namespace == "other")
        #expect(try folder.access("k8s://in-cluster").namespace == "mine")
        folder.variables["POD_NAMESPACE"] = nil
        folder.remove("serviceaccount/namespace")
        #expect(try folder.access("k8s://in-cluster").namespace == "default")
        folder.variables["POD_NAMESPACE"] = "No Name"
        #expect(try folder.error { try folder.access("k8s://in-cluster") }.reason.contains("POD_NAMESPACE"))
    }

    @Test func `a pod without ca.crt uses the system's authorities, and says so`() throws {
        try pod(authority: nil)
        let access = try folder.access("k8s://in-cluster")
        #expect(access.tls.authority == nil && access.tls.checksServer)
        #expect(access.notes.count == 1 && access.notes[0].contains("ca.crt cannot be read"))
    }

    @Test func `a pod without a usable token is an error`() throws {
        try pod(token: " \n")
        #expect(try folder.error { try folder.access("k8s://in-cluster") }.reason == "its token cannot be used: it is empty")
        folder.remove("serviceaccount/token")
        #expect(try folder.error { try folder.access("k8s://in-cluster") }.reason == "its token cannot be used: No such file or directory")
    }

    @Test func `in-cluster outside a pod is an error, and takes no kubeconfig`() throws {
        #expect(try folder.error { try folder.access("k8s://in-cluster") }.reason.contains("are not set, so this is not a pod"))
        try pod()
        #expect(try folder.error { try folder.access("k8s://in-cluster", text: "{}") }.kind == .usage)
        folder.variables["KUBERNETES_SERVICE_PORT"] = "99999"
        #expect(try folder.error { try folder.access("k8s://in-cluster") }.reason.contains("are not a host and a port"))
    }

    @Test func `a context that is called in-cluster can be the current one`() throws {
        try pod()
        let text = kubeconfig(user: "{}").replacing("current-context: x", with: "current-context: in-cluster").replacing(
            "{name: x,", with: "{name: in-cluster,")
        folder.variables["KUBECONFIG"] = try folder.write(text, to: "config")
        #expect(try folder.access().server.host == "h")
        #expect(try folder.access("k8s://in-cluster").server.host == "10.96.0.1")
    }

    @Test func `the identity is POD_NAME, or else generated`() throws {
        #expect(try KubernetesAccess.identity { $0 == "POD_NAME" ? "web-7" : nil } == "web-7")
        #expect(Identity.isOurAlone(try KubernetesAccess.identity { _ in nil }))
        #expect(throws: CoordinationError.self) { try KubernetesAccess.identity { _ in "a\nb" } }
    }
}
