import Foundation
import Glibc
import Support
import Testing

@testable import QQCLI

/// Runs the commands of documents in a sandbox: `qq` is the real one, on servers of the sandbox; other programs that a page names do nothing.
struct DocumentShell {
    /// One run of `qq`.
    struct Call {
        let arguments: [String]
        /// nil if it needs something that a sandbox lacks: then it has only been parsed.
        let code: Int32?

        var line: String { arguments.joined(separator: " ") }
    }

    private let box: Sandbox
    /// Texts in the documents, and their replacements in the sandbox, in order.
    private let replacements: [(String, String)]

    /// Programs that a page names, and that are not to run here.
    private static let programs = [
        "make", "sudo", "swift", "jq", "logger", "pg_dump", "web-server", "nightly-report", "backup", "generate-commands", "kubectl",
        "skopeo",
        "podman",
    ]
    private static let scripts = ["backup.sh", "convert.sh", "up.sh", "down.sh", "deploy", "point-proxy-at", "upload", "work"]

    /// What cannot be had in a sandbox: certificates, logins, interfaces, a second server for replicas, clusters of Consul and etcd.
    private static let beyond = [
        "--tls", "tls://", "qqs://", "raftlocks://", "--creds", "--vip", "replicas=", "consul:", "consuls:", "etcd:", "etcds:",
    ]

    init(in box: Sandbox) async throws {
        self.box = box
        let nats = try await NATSServer.start(in: box)
        let raftLock = try await RaftLockCluster.start(in: box)
        let quorumQuest = try await QuorumQuestServer.start(in: box)
        for folder in ["bin", "calls", "tmp", "home/.kube", "config", "metrics"] { mkdir(box.path(folder), 0o700) }
        for program in Self.programs { try box.write(Array("#!/bin/sh\ncat >/dev/null\n".utf8), to: "bin/\(program)", mode: 0o755) }
        for script in Self.scripts { try box.write(Array("#!/bin/sh\n".utf8), to: script, mode: 0o755) }
        try box.write(Array(Self.recorder.utf8), to: "bin/qq", mode: 0o755)
        try box.write(
            """
            {"clusterId": "web", "nodeId": "web-3", "nats": {"servers": ["\(nats.url)"]}, "election": {"leaseTtlMs": 10000}}
            """, to: "cluster.json")
        let kubernetes = try await KubernetesServer.start(in: box)
        _ = try await kubernetes.kubeconfig(file: "home/.kube/config")
        let host = "127.0.0.1:\(nats.port)"
        replacements = [
            // First: the folders below are in /tmp, too.
            ("/tmp/", box.folder + "/tmp/"), ("nats://n1,n2,n3", "nats://\(host)"), ("nats://n1,n2?", "nats://\(host)?"),
            ("k8s://prod/", "k8s:///"), ("k8s://in-cluster ", "k8s:///team "), ("raftlock://r1,r2,r3", raftLock.url),
            ("qq://quest:5050", quorumQuest.url), ("file:///srv/leases", box.server),
            ("file:///mnt/shared/qq", box.server), ("/etc/cluster.json", box.path("cluster.json")),
            // Another test, or program, might listen at a fixed port.
            ("10.0.0.5:80", "127.0.0.1:80"), (":8080 ", ":0 "), (":8080\n", ":0\n"), (":8008 ", ":0 "),
            ("unix:/run/qq-listen/", "unix:" + box.path("run/")),
            ("/var/lib/node_exporter/", box.path("metrics/")), ("/usr/local/bin/", ""), ("/usr/local/sbin/", ""), ("4711", "\(getpid())"),
        ]
        // Contexts that pages take for granted.
        let made = try await box.start(
            [Sandbox.binary, "context", "add", "lab", "-s", box.server], environment: ["XDG_CONFIG_HOME": box.path("config")]
        ).finish()
        #expect(made.code == 0, "\(made.errors)")
    }

    /// Stands for `qq`: notes how it was called, and how that went. What does not end by itself is told to stop.
    private static let recorder = """
        #!/bin/bash
        call=$(mktemp "$CALLS/$(date +%s%N).XXXX")
        printf '%s\\0' "$@" >"$call"
        case " $* " in
        *' context add '*) ;;
        \(beyond.map { "*'\($0)'*" }.joined(separator: " | "))) exit 0 ;;
        esac
        case " $* " in *--context* | *--cluster-config* | *' context '*) unset QQ_SERVER ;; esac
        timeout --kill-after=10 2 "$QQ_BINARY" "$@" 2>"$call.errors"
        code=$?
        echo $code >"$call.code"
        exit $code
        """

    /// Runs a text of the documents.
    /// - Returns: the calls of `qq`, each of which has been parsed, and has not failed for a reason that lies in the command.
    func run(_ text: String, place: String) async throws -> [Call] {
        for name in names(in: box.path("calls")) { unlink(box.path("calls/\(name)")) }
        let script = replacements.reduce(text) { $0.replacing($1.0, with: $1.1) }
        // A script goes on where it would end: each of its lines is to be seen.
        try box.write("exit() { :; }\n" + script, to: "script")
        let run = try await box.start(
            ["bash", box.path("script")],
            environment: [
                "PATH": box.path("bin") + ":/usr/bin:/bin", "CALLS": box.path("calls"), "QQ_BINARY": Sandbox.binary,
                "XDG_CONFIG_HOME": box.path("config"), "TMPDIR": box.path("tmp"),
            ]
        ).finish(within: .seconds(120))
        for complaint in ["command not found", "syntax error", "No such file", "unexpected"] {
            #expect(!run.errors.contains(complaint), "\(place): \(run.errors)")
        }
        let files = names(in: box.path("calls")).filter { !$0.hasSuffix(".errors") && !$0.hasSuffix(".code") }.sorted()
        return files.map { file in
            let bytes = readBytes(box.path("calls/\(file)")) ?? []
            let arguments = bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast().map {
                String(decoding: $0, as: UTF8.self)
            }
            let code = Int32(readText(box.path("calls/\(file).code")).filter { $0 != "\n" })
            let call = Call(arguments: arguments, code: code)
            check(call, readText(box.path("calls/\(file).errors")), place)
            return call
        }
    }

    private func check(_ call: Call, _ errors: String, _ place: String) {
        do {
            guard case .run(let invocation) = try Parser.parse(call.arguments) else { return }
            if call.code == nil { #expect(Self.beyond.contains { call.line.contains($0) }, "\(place): qq \(call.line) has not run") }
            // 1 is an answer; 124 is a command that was told to stop, and 75 one that waited.
            let good: Set<Int32> = [0, 1, 75, 124]
            let isGood = call.code.map { good.contains($0) || (call.line.contains("-E 200") && $0 == 200) } ?? true
            #expect(isGood, "\(place): qq \(call.line): exit code \(call.code ?? 0): \(errors) (\(invocation.command.name))")
        } catch { Issue.record("\(place): qq \(call.line): \(error.message)") }
    }

    /// How many commands of a text are `qq`, not counting what another program is to run.
    static func countOfCommands(in text: String) -> Int {
        text.split(separator: "\n").map { line in
            let code = line.hasPrefix("#") ? "" : String(line)
            return code.matches(of: /(^|[|;&]\s*|\$\()\s*qq\s/).count
        }.reduce(0, +)
    }
}
