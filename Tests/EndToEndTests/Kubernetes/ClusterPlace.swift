import Foundation
import Glibc
import QQCore
import Support
import Testing

/// A test's own API server, with the users of the recordings: `ops` can get, create and update, `watch` can list and watch as well, `admin` everything.
struct ClusterPlace: Sendable {
    let box: Sandbox
    let server: KubernetesServer
    let recorder: LeaseHistory.Recorder

    static let users = ["ops": "qq-ops", "watch": "qq-watch", "admin": "admin"]

    func token(_ user: String) -> String { "TOKEN-" + user }

    static func settings() -> LeaseAPI.Settings {
        var settings = LeaseAPI.Settings()
        settings.tokens = [
            "TOKEN-ops": LeaseAPI.User("qq-ops"), "TOKEN-watch": LeaseAPI.User("qq-watch"), "TOKEN-admin": .admin,
            "TOKEN-peer": LeaseAPI.User("peer"),
        ]
        settings.grants = [
            LeaseAPI.Grant("qq-ops", LeaseAPI.Grant.electing), LeaseAPI.Grant("qq-watch", LeaseAPI.Grant.watching),
            LeaseAPI.Grant("peer", LeaseAPI.Grant.electing),
        ]
        return settings
    }

    // MARK: The lease, past the API

    func lease(_ name: String = "x") -> JSONValue? { server.store.lease(name) }
    /// Empty for nobody; nil if there is no lease.
    func holder(_ name: String = "x") -> String? { lease(name).map { $0["spec"]?["holderIdentity"]?.stringValue ?? "" } }
    func delete(_ name: String = "x") { server.store.remove(name) }

    /// Changes the lease's spec, as a program with all rights does.
    func change(_ name: String = "x", _ change: (inout JSONObject) -> Void) {
        var lease =
            lease(name)?.objectValue ?? ["apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": ["name": .string(name)]]
        var spec = lease["spec"]?.objectValue ?? [:]
        change(&spec)
        lease["spec"] = .object(spec)
        #expect(throws: Never.self) { try server.store.put(.object(lease)) }
    }

    /// Writes a holder whose last renewal is now.
    func write(holder: String, duration: Int64, _ name: String = "x") {
        let now = WallTime.now().rfc3339(fractionDigits: 6)
        change(name) { spec in
            spec["holderIdentity"] = .string(holder)
            spec["leaseDurationSeconds"] = .integer(duration)
            spec["acquireTime"] = .string(now)
            spec["renewTime"] = .string(now)
        }
    }

    /// Clears the lease as a client-go leader does that releases without looking: with the transitions of its own, earlier term.
    func wipe(_ name: String = "x") {
        let now: JSONValue = .string(WallTime.now().rfc3339(fractionDigits: 6))
        change(name) { spec in
            (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["acquireTime"], spec["renewTime"]) = ("", 1, now, now)
            spec["leaseTransitions"] = .integer(max(0, (spec["leaseTransitions"]?.int64Value ?? 0) - 1))
        }
    }

    /// Waits for this many further renewals that the server has carried out.
    func waitForRenewals(_ count: Int, _ name: String = "x") async throws {
        func renewals() -> Int { server.api.calls.count { $0.verb == .update && $0.name == name && $0.status == 200 } }
        let before = renewals()
        try await waitUntil("\(count) renewals of \(name)") { renewals() >= before + count }
    }

    // MARK: qq

    /// A kubeconfig with one context, `test`, in which `user` is what stands after `user:`.
    func kubeconfig(user: String, port: UInt16? = nil) throws -> String {
        let file = box.path("kubeconfig-\(Int.random(in: 0..<Int.max))")
        try box.write(
            """
            apiVersion: v1
            kind: Config
            current-context: test
            clusters:
            - name: test
              cluster:
                server: https://127.0.0.1:\(port ?? server.port)
                certificate-authority: \(server.certificates.authority)
            users:
            - name: test
              user: {\(user)}
            contexts:
            - name: test
              context: {cluster: test, user: test, namespace: team}

            """, to: file)
        return file
    }

    /// A kubeconfig with an exec plugin that runs `script` with sh in the sandbox and then gives this token.
    func plugin(_ script: String, token: String) throws -> String {
        let path = box.path("plugin-\(Int.random(in: 0..<Int.max))")
        try box.write(
            Array(
                """
                #!/bin/sh
                cd \(box.folder) || exit
                \(script)
                printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}' "\(token)"

                """.utf8), to: path, mode: 0o755)
        return try kubeconfig(user: "exec: {apiVersion: client.authentication.k8s.io/v1, command: \(path), interactiveMode: Never}")
    }

    func url(namespace: String) -> String { "k8s://test/" + namespace }

    func environment(user: String = "watch", port: UInt16? = nil, kubeconfig: String? = nil) throws -> [String: String] {
        let file = try kubeconfig ?? self.kubeconfig(user: "token: " + token(user), port: port)
        return ["QQ_SERVER": "k8s://test/team", "KUBECONFIG": file]
    }

    func qq(_ words: [String], at port: UInt16? = nil, user: String = "watch", kubeconfig: String? = nil) throws -> Started {
        try box.start([Sandbox.binary] + words, environment: environment(user: user, port: port, kubeconfig: kubeconfig))
    }

    func run(_ words: [String], user: String = "watch", sourceLocation: SourceLocation = #_sourceLocation) async throws -> Run {
        try await qq(words, user: user).finish(sourceLocation)
    }

    func run(_ words: String..., user: String = "watch", sourceLocation: SourceLocation = #_sourceLocation) async throws -> Run {
        try await qq(words, user: user).finish(sourceLocation)
    }

    /// Holds an election with a command that does nothing until it is ended.
    func hold(_ name: String, _ options: String..., at port: UInt16? = nil, user: String = "watch", kubeconfig: String? = nil) async throws
        -> Started
    {
        try await box.hold(name, options, environment: environment(user: user, port: port, kubeconfig: kubeconfig))
    }

    /// Restarts the server as SIGTERM does, or as SIGKILL does.
    func restart(killed: Bool) async throws {
        if killed { await server.kill() } else { await server.finishShutdown() }
        try await server.start()
    }

    /// Another API server of the same cluster.
    func replica() async throws -> KubernetesServer {
        try await KubernetesServer.start(
            LeaseAPI(store: server.store, settings: server.api.settings), certificates: server.certificates, in: box)
    }

    func peerServer(_ port: UInt16?) -> PeerServer {
        PeerServer(port: port ?? server.port, authority: server.certificates.authority, token: token("peer"))
    }

    func proxy() throws -> Proxy { try Proxy(to: server.port, in: box) }

    /// Shells that acquire `x` repeatedly, up to `terms` times each, until there is a file named `stop`.
    func contenders(
        _ count: Int, terms: Int = .max, ttl: String, user: String, work: String = "--for 3", at port: UInt16? = nil
    ) throws -> [Started] {
        try (0..<count).map { number in
            try box.start(
                [
                    "sh", "-c",
                    """
                    i=0
                    while [ $i -lt \(terms) ] && ! [ -e stop ]; do
                        i=$((i+1))
                        "$0" acquire x --id node-\(number) --wait --retries 100 --ttl \(ttl) --kill-after 100ms -- "$1" "$2" \(work) 2>>errors
                        echo $? >>codes
                    done
                    """, Sandbox.binary, Sandbox.stamp, box.path("stamps"),
                ], environment: environment(user: user, port: port))
        }
    }

    // MARK: Who led by right

    /// Each case of a guarded command that ran while a peer led by right; see `LeaseHistory`.
    func violations(peers: Set<String>, user: String = "qq-watch", for name: String = "x") -> [String] {
        recorder.history(name, calls: server.api.calls).violations(box.stamps().terms, peers: peers, user: user)
    }

    // MARK: kubectl

    func startKubectl(_ words: [String]) throws -> Started {
        let file = try kubeconfig(user: "token: " + token("admin"))
        return try box.start([Kubectl.path ?? "kubectl", "--kubeconfig", file] + words)
    }

    func startKubectl(_ words: String...) throws -> Started { try startKubectl(words) }
    func kubectl(_ words: [String]) async throws -> Run { try await startKubectl(words).finish() }
    func kubectl(_ words: String...) async throws -> Run { try await startKubectl(words).finish() }

    /// Writes the files of a kubeconfig, in which the words between percent signs are replaced.
    func install(_ files: [String: String]) async throws {
        let client = try await server.clientCertificate(for: LeaseAPI.User("client"))
        let words = [
            ("%OTHERCA%", try await Certificates(in: box, name: "other").authority),
            ("%CADATA%", Data(readBytes(server.certificates.authority) ?? []).base64EncodedString()),
            ("%CA%", server.certificates.authority),
            ("%SERVER%", "https://127.0.0.1:\(server.port)"), ("%TOKEN%", token("watch")), ("%ADMIN%", token("admin")),
            ("%CERT%", client.certificate), ("%KEY%", client.key),
        ]
        try box.write(readBytes(server.certificates.authority) ?? [], to: "ca.pem")
        for (name, text) in files {
            let folders = name.split(separator: "/").dropLast()
            for depth in folders.indices { mkdir(box.path(folders[...depth].joined(separator: "/")), 0o755) }
            let filled = words.reduce(text) { text, word in text.replacing(word.0, with: word.1) }
            try box.write(Array(filled.utf8), to: name, mode: name.hasSuffix("plugin") ? 0o755 : 0o644)
        }
    }
}

/// Runs a test on an API server of its own.
func onCluster(
    _ load: Gate.Load = .light, sourceLocation: SourceLocation = #_sourceLocation, _ body: (ClusterPlace) async throws -> Void
) async throws {
    try await inSandbox(load, sourceLocation: sourceLocation) { box in
        let server = try await KubernetesServer.start(LeaseAPI(settings: ClusterPlace.settings()), in: box)
        try await body(ClusterPlace(box: box, server: server, recorder: LeaseHistory.Recorder(server.store)))
    }
}
