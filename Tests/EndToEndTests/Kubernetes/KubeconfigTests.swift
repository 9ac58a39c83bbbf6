import Glibc
import QQCore
import Support
import Testing

/// One way to configure a client, with the files below the sandbox. `%SERVER%`, `%CA%`, `%TOKEN%` and so on are replaced.
struct KubeconfigCase: Sendable, CustomTestStringConvertible {
    var testDescription: String
    /// `:`-separated names of files below the sandbox.
    var kubeconfig = "a"
    var files: [String: String]
    /// The user as which both clients call, and the namespace; nil if both refuse the configuration before a call.
    var call: String? = "qq-watch team"

    init(_ name: String, _ files: [String: String], kubeconfig: String = "a", call: String? = "qq-watch team") {
        (testDescription, self.files, self.kubeconfig, self.call) = (name, files, kubeconfig, call)
    }

    /// A whole file with one context.
    static func file(
        cluster: String = "server: %SERVER%, certificate-authority: %CA%", user: String = "token: %TOKEN%",
        context: String = "namespace: team"
    ) -> String {
        """
        apiVersion: v1
        kind: Config
        current-context: one
        clusters: [{name: c, cluster: {\(cluster)}}]
        users: [{name: u, user: {\(user)}}]
        contexts: [{name: one, context: {cluster: c, user: u, \(context)}}]

        """
    }

    static let all: [KubeconfigCase] = [
        KubeconfigCase("one file", ["a": file()]),
        KubeconfigCase(
            "without apiVersion and kind, with fields that nobody knows",
            [
                "a": file(context: "namespace: team, extra: 1").split(separator: "\n").dropFirst(2).joined(separator: "\n")
                    + "\nunknown: {a: b}\n"
            ]),
        KubeconfigCase("no namespace: default", ["a": file(context: "extensions: []")], call: "qq-everywhere default"),
        KubeconfigCase("authority as data", ["a": file(cluster: "server: %SERVER%, certificate-authority-data: %CADATA%")]),
        KubeconfigCase(
            "paths relative to their file",
            [
                "sub/a": file(cluster: "server: %SERVER%, certificate-authority: ../ca.pem", user: "tokenFile: here/token"),
                "sub/here/token": " %TOKEN%\n",
            ],
            kubeconfig: "sub/a"),
        KubeconfigCase("tokenFile beats token", ["a": file(user: "token: wrong, tokenFile: t"), "t": "%TOKEN%"]),
        KubeconfigCase("no authority, skipping the check", ["a": file(cluster: "server: %SERVER%, insecure-skip-tls-verify: true")]),
        KubeconfigCase(
            "tls-server-name", ["a": file(cluster: "server: %SERVER%, certificate-authority: %CA%, tls-server-name: localhost")]),
        KubeconfigCase("client certificate", ["a": file(user: "client-certificate: %CERT%, client-key: %KEY%")], call: "client team"),
        KubeconfigCase("impersonation", ["a": file(user: "token: %ADMIN%, as: qq-watch, as-groups: [one, two]")]),
        KubeconfigCase(
            "cluster, user and context in three files, of which one is missing and one comes twice",
            [
                "a": "clusters: [{name: c, cluster: {server: %SERVER%, certificate-authority: %CA%}}]\n",
                "b": "users: [{name: u, user: {token: %TOKEN%}}]\n",
                "c": "current-context: one\ncontexts: [{name: one, context: {cluster: c, user: u, namespace: team}}]\n",
            ], kubeconfig: "a::b:nothing:a:c"),
        KubeconfigCase(
            "of two files the first has an entry whole",
            ["a": "users: [{name: u, user: {token: %TOKEN%}}]\n", "b": file(user: "token: wrong, as: nobody")], kubeconfig: "a:b"),
        KubeconfigCase(
            "the first current-context that is not empty", ["a": "current-context: ''\n", "b": file()], kubeconfig: "a:b"),
        KubeconfigCase(
            "exec plugin, relative to its file",
            [
                "sub/a": file(
                    user:
                        "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: ./plugin, args: [one two], env: [{name: T, value: %TOKEN%}]}"
                ),
                "sub/plugin": """
                #!/bin/sh
                [ "$1" = 'one two' ] && [ -n "$KUBERNETES_EXEC_INFO" ] || exit 3
                printf '{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential","status":{"token":"%s"}}' "$T"

                """,
            ], kubeconfig: "sub/a"),
        KubeconfigCase(
            "an exec plugin is not used where there is a token",
            ["a": file(user: "token: %TOKEN%, exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: /bin/false}")]),
        KubeconfigCase(
            "JSON",
            [
                "a":
                    #"{"current-context":"one","clusters":[{"name":"c","cluster":{"server":"%SERVER%","certificate-authority":"%CA%"}}],"users":[{"name":"u","user":{"token":"%TOKEN%"}}],"contexts":[{"name":"one","context":{"cluster":"c","user":"u","namespace":"team"}}]}"#
            ]),
        // Refused by both.
        KubeconfigCase("a broken second file", ["a": file(), "b": "]["], kubeconfig: "a:b", call: nil),
        KubeconfigCase("token with user name and password", ["a": file(user: "token: %TOKEN%, username: me, password: pw")], call: nil),
        KubeconfigCase(
            "an authority with insecure-skip-tls-verify",
            ["a": file(cluster: "server: %SERVER%, certificate-authority: %CA%, insecure-skip-tls-verify: true")], call: nil),
        KubeconfigCase("a tokenFile that is missing", ["a": file(user: "tokenFile: nothing")], call: nil),
        KubeconfigCase("groups to impersonate without a user", ["a": file(user: "token: %TOKEN%, as-groups: [one]")], call: nil),
        KubeconfigCase("a context without its cluster", ["a": file().replacing("cluster: c,", with: "cluster: other,")], call: nil),
        KubeconfigCase(
            "a current context that is missing", ["a": file().replacing("current-context: one", with: "current-context: two")], call: nil),
        KubeconfigCase(
            "an exec plugin that fails",
            ["a": file(user: "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: /bin/false}")], call: nil),
        KubeconfigCase(
            "an authority that did not sign", ["a": file(cluster: "server: %SERVER%, certificate-authority: %OTHERCA%")], call: nil),
    ]
}

@Suite("qq and kubectl read a kubeconfig alike", .enabled(if: Kubectl.path != nil))
struct KubeconfigTests {
    @Test("both call the same server as the same user in the same namespace, or refuse", arguments: KubeconfigCase.all)
    func alike(_ given: KubeconfigCase) async throws {
        try await onCluster { place in
            place.write(holder: "other", duration: 60)
            place.server.api.change { settings in
                settings.grants.append(LeaseAPI.Grant("client", LeaseAPI.Grant.watching))
                settings.grants.append(LeaseAPI.Grant("qq-watch", LeaseAPI.Grant.watching, in: nil))
            }
            try await place.install(given.files)
            let paths = given.kubeconfig.split(separator: ":", omittingEmptySubsequences: false).map {
                $0.isEmpty ? "" : place.box.path(String($0))
            }
            let environment = ["KUBECONFIG": paths.joined(separator: ":"), "QQ_SERVER": "k8s://"]
            var calls: [String: String] = [:]
            for (client, words) in [
                ("kubectl", [Kubectl.path ?? "", "get", "lease", "x", "--ignore-not-found", "-o", "name"]),
                ("qq", [Sandbox.binary, "status", "x"]),
            ] {
                place.server.api.forgetCalls()
                let run = try await place.box.start(words, environment: environment).finish()
                let call = place.server.api.calls.last {
                    $0.verb == .get && $0.name == "x" && $0.status.map { $0 < 400 || $0 == 404 } ?? false
                }
                calls[client] = call.map { "\($0.user) \($0.namespace)" }
                guard given.call == nil else { continue }
                #expect(run.ending != .exited(0), "\(client): \(run.text)")
                #expect(client == "kubectl" || !run.errors.contains(place.token("watch")), "\(run.errors)")
            }
            let expected = given.call?.replacing("qq-everywhere", with: "qq-watch")
            #expect(calls["kubectl"] == expected, "kubectl")
            #expect(calls["qq"] == expected, "qq")
        }
    }

    @Test("kubectl config view shows the context that qq uses") func view() async throws {
        try await onCluster { place in
            try await place.install(["a": KubeconfigCase.file()])
            let view = try await place.box.start(
                [
                    Kubectl.path ?? "", "config", "view", "--raw", "--minify", "-o",
                    "jsonpath={.clusters[0].cluster.server} {.contexts[0].context.namespace}",
                ],
                environment: ["KUBECONFIG": place.box.path("a")]
            ).finish()
            let status = try await place.box.start(
                [Sandbox.binary, "cluster-status", "--json"], environment: ["KUBECONFIG": place.box.path("a"), "QQ_SERVER": "k8s://"]
            ).finish()
            let parts = view.text.split(separator: " ").map(String.init)
            #expect(parts.count == 2, "\(view.text) \(view.errors)")
            for part in parts { #expect(status.text.contains(part.replacing("https://", with: "")), "\(status.text) \(status.errors)") }
        }
    }
}
