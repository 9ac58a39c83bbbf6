import Glibc
import Support
import Testing

/// A message that users see, and its required parts.
private struct Met: CustomTestStringConvertible {
    /// The words after `qq`; `{dir}` stands for the sandbox, `{refused}` and similar names for addresses.
    let words: [String]
    let code: Int32
    /// The location in brackets at the end of the first line; nil if the message does not name one.
    var location: String?
    /// A part of the first line.
    var saying: String
    /// A part of the second line; nil if there should be no hint.
    var hint: String?

    init(_ line: String, _ code: Int32, _ saying: String, at location: String? = nil, hint: String?) {
        words = line.split(separator: " ").map { $0 == "''" ? "" : String($0) }
        self.code = code
        self.saying = saying
        self.location = location
        self.hint = hint
    }

    var testDescription: String { words.joined(separator: " ") }
}

@Suite("Every message says what failed, where, and what to do") struct MessageTests {
    /// Words from qq's implementation, which an operator does not know.
    private static let foreign = [
        "Optional(", "Error Domain", "QQCore", "QQCLI", "QQNATS", "QQGRPC", "QQFile", "QQRaftLock", "QQQuorumQuest", "QQNetwork", "NIO",
        "RPCError", "GRPCFailure", "CoordinationError", "UsageError", "SystemCallError", "ChannelError", "errno", "Swift", "Fatal error",
        "Stack dump", "Code=", "s3cret", "\u{1b}", "(null)",
    ]

    /// Checks the rules that all messages follow.
    private func check(
        _ run: Run, _ met: Met, in box: Sandbox, _ addresses: [String: String], sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let said = "\(met.words.joined(separator: " ")) -> \(run.ending): \(run.errors)"
        func expect(_ holds: Bool, _ rule: Comment) { #expect(holds, "\(rule): \(said)", sourceLocation: sourceLocation) }
        expect(run.code == met.code, "the exit code is \(met.code)")
        expect(run.errors.hasSuffix("\n"), "the last line is complete")
        let lines = run.errors.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
        expect(lines.count == (met.hint == nil ? 1 : 2), "there is \(met.hint == nil ? "no hint" : "a hint")")
        for line in lines {
            expect(line.hasPrefix("qq: ") && line.count > 8, "each line begins with the program's name")
            expect(!line.hasSuffix(".") && !line.hasSuffix(":") && !line.hasSuffix(" "), "no line ends in the middle")
            expect(!line.contains(": :") && !line.contains("()") && !line.contains("  "), "no part is empty")
            expect(line.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f }, "no character moves the cursor")
        }
        for word in Self.foreign { expect(!run.errors.contains(word), "the message does not contain \(word)") }
        guard let first = lines.first else { return }
        func filled(_ text: String) -> String { addresses.reduce(text) { $0.replacing($1.key, with: $1.value) } }
        expect(first.contains(filled(met.saying)), "the first line contains \(met.saying)")
        if let location = met.location {
            expect(first.hasSuffix("(\(filled(location)))"), "the first line ends with the location: \(location)")
        }
        if let hint = met.hint, lines.count == 2 { expect(lines[1].contains(filled(hint)), "the hint contains \(hint)") }
    }

    private func checkAll(_ all: [Met], in box: Sandbox, _ addresses: [String: String] = [:], environment: [String: String] = [:])
        async throws
    {
        let addresses = addresses.merging(["{dir}": box.folder]) { $1 }
        for met in all {
            let words = met.words.map { word in addresses.reduce(word) { $0.replacing($1.key, with: $1.value) } }
            let run = try await box.start([Sandbox.binary] + words, environment: environment).finish()
            check(run, met, in: box, addresses)
        }
    }

    @Test("messages about a wrong command line name the mistake and the remedy") func commandLine() async throws {
        try await inSandbox { box in
            try await checkAll(
                [
                    Met("", 64, "no command given", hint: "see 'qq -h'"),
                    Met("acquir x", 64, "unknown command 'acquir'", hint: "did you mean acquire?"),
                    Met("status --bogus x", 64, "unknown flag --bogus", hint: "see 'qq status -h'"),
                    Met("status", 64, "status: NAME is missing", hint: "--all"),
                    Met("acquire x y", 64, "unexpected argument 'y'", hint: "qq acquire x -- y"),
                    Met("acquire x --ttl", 64, "--ttl needs a value", hint: "write --ttl DURATION"),
                    Met("acquire x --ttl 5", 64, "--ttl '5': not a duration", hint: "such as 500ms"),
                    Met("acquire x --ttl 0s", 64, "--ttl '0s': must be longer than 0s", hint: "such as 500ms"),
                    Met("acquire x --wait 5s", 64, "--wait takes its value after '='", hint: "did you mean --wait=5s?"),
                    Met(
                        "acquire x --kill-after 20s -- true", 64, "--kill-after 20s leaves no time to renew", hint: "choose a longer --ttl"),
                    Met("acquire x --backoff 5s", 64, "--backoff '5s': not a range", hint: "200ms..5s"),
                    Met("acquire x --id ''", 64, "--id '': an identity has 1 to 256 bytes", hint: "see 'qq acquire -h'"),
                    Met("acquire x --id \u{1b}[2J", 64, "--id '\\x1b[2J'", hint: "see 'qq acquire -h'"),
                    Met("acquire x --creds f", 64, "cannot use --creds", at: "file://{dir}/leases", hint: "leave it out"),
                    Met("release x --token 3", 64, "--token needs --id", hint: "see 'qq release -h'"),
                    Met("keepalive x --vip 1.2.3.4", 64, "--vip '1.2.3.4': no interface", hint: "10.0.0.5/24@eth0"),
                    Met("keepalive x --vip 10.0.0.5/24@nosuch0", 78, "there is no interface nosuch0", at: "--vip", hint: "ip link"),
                    Met("keepalive x --pid 99999999", 69, "cannot hold for process 99999999", at: "--pid", hint: "ps -p 99999999"),
                    Met("completions fsh", 64, "SHELL 'fsh': not one of", hint: "did you mean zsh?"),
                    Met("man bogus", 64, "no manual page 'bogus'", hint: "pages: qq"),
                    Met("status a/b", 64, "'a/b' cannot be the name of a lease file", hint: nil),
                    Met("status x -s foo", 78, "cannot use the server URL", at: "--server", hint: "file://"),
                    Met("status x -s nats://u:s3cret@h:99999", 78, "cannot use the server URL", at: "--server", hint: "HOST:PORT"),
                    Met("status x -s nats://h?password=s3cret", 78, "a secret must not be in the query", at: "--server", hint: "USER:"),
                    Met(
                        "status x -s nats://h?bogus=1", 78, "'bogus' is not an option of NATS URLs", at: "nats://h?bogus=1", hint: "known: "
                    ),
                    Met("status x -s k8s://a/B", 78, "the namespace is not a Kubernetes name", at: "--server", hint: "1 to 63 of"),
                    Met("status x -s k8s://a/b", 78, "there is no kubeconfig", at: "{dir}/home/.kube/config", hint: "--kubeconfig FILE"),
                    Met("status x -s k8s://a?b=c", 78, "'b' is not an option of Kubernetes URLs", at: "k8s://a?b=c", hint: "leave it out"),
                    Met("status x -s k8s://a --tls-ca f", 64, "cannot use --tls-ca", at: "k8s://a", hint: "certificate-authority of"),
                    Met("status x -s k8s://in-cluster", 78, "KUBERNETES_SERVICE_HOST", at: "k8s://in-cluster", hint: "-s k8s://CONTEXT"),
                    Met("acquire x --ttl 500ms -s qq://h", 64, "cannot use a TTL of 500ms", at: "qq://h", hint: "such as 15s"),
                    Met("acquire a/b/c -s qq://h", 64, "'a/b/c' cannot be the name of an election", hint: "SERVICE/DOMAIN"),
                ], in: box)
        }
    }

    @Test("messages about lease files, grants and commands name the problem, its location and the remedy") func files() async throws {
        try await inSandbox { box in
            try box.write("{", to: "leases/broken.json")
            mkdir(box.leases + "/folder.json", 0o755)
            symlink("/etc/passwd", box.leases + "/link.json")
            #expect(try await box.run("acquire", "held", "--id", "n1", "--ttl", "60s").code == 0)
            #expect(try await box.run("acquire", "mine").code == 0)
            var grants: [String] = []
            for name in names(in: box.path("run/qq")) where name.hasPrefix("mine") { grants.append(name) }
            try box.write("junk", to: "run/qq/" + (try #require(grants.first)))
            try await checkAll(
                [
                    Met(
                        "status broken", 65, "cannot understand the lease file", at: "{dir}/leases/broken.json",
                        hint: "truncate -s 0 {dir}/leases/broken.json"),
                    Met("acquire broken -- true", 65, "cannot understand the lease file", at: "{dir}/leases/broken.json", hint: "truncate"),
                    Met("status folder", 65, "it is not a regular file", at: "{dir}/leases/folder.json", hint: "move it away"),
                    Met("status link", 77, "it is a symbolic link", at: "{dir}/leases/link.json", hint: "move it away"),
                    Met("status x -s file://{dir}/none", 78, "No such file or directory", at: "{dir}/none", hint: "mkdir -p {dir}/none"),
                    Met("cluster-status -s file://{dir}/none", 69, "nothing answers", at: "file://{dir}/none", hint: "ls -ld"),
                    Met("release mine", 65, "cannot use the saved grant", at: "{dir}/run/qq/\(grants[0])", hint: "remove the file"),
                    Met(
                        "acquire held --wait=100ms", 75, "gave up waiting for held: it is held by n1", at: "file://{dir}/leases", hint: nil),
                    Met("acquire held", 1, "held is held by n1, token 1", hint: nil),
                    Met("release held --id n2", 1, "held is not held by n2: it is held by n1", hint: nil),
                    Met("release none", 1, "none is not ours: no grant is saved for it; name the lease with --id and --token", hint: nil),
                    Met(
                        "keepalive none --once", 1, "none is not ours: no grant is saved for it; acquire it first: qq acquire none",
                        hint: nil),
                    Met("step-down held --id zz", 77, "it is held by n1, which is not us", at: "file://{dir}/leases", hint: "--force"),
                    Met("step-down held --id zz --force", 77, "not confirmed", at: "file://{dir}/leases", hint: "--yes"),
                    Met("acquire x --priority 3", 80, "cannot use --priority", at: "file://{dir}/leases", hint: "leave --priority out"),
                    Met("status x --advice", 80, "cannot show how long to wait", at: "file://{dir}/leases", hint: "leave --advice out"),
                    Met("acquire x -- /none/cmd", 127, "cannot run '/none/cmd': No such file", hint: "ls -l /none/cmd"),
                    Met("acquire x -- nosuchcommand", 127, "cannot run 'nosuchcommand'", hint: "PATH"),
                    Met("acquire x -- /etc/passwd", 126, "cannot run '/etc/passwd': Permission denied", hint: "chmod +x /etc/passwd"),
                    Met("watch held --until free --for 100ms", 75, "gave up watching held", at: "file://{dir}/leases", hint: nil),
                ], in: box)
            try await checkAll(
                [Met("acquire other", 69, "cannot save the grant: No such file", at: "{dir}/gone/qq", hint: "set XDG_RUNTIME_DIR")],
                in: box,
                environment: ["XDG_RUNTIME_DIR": box.path("gone")])
        }
    }

    @Test("messages about servers that do not answer properly name the problem, the address and the remedy") func servers() async throws {
        try await inSandbox { box in
            let silent = try Socket.silence(in: box)
            let (refused, ssh) = (try Proxy(to: silent, in: box), try Proxy(to: silent, in: box))
            refused.refuse()
            ssh.conditions.prefix = [.toClient: Array("SSH-2.0-OpenSSH_9.2p1\r\n".utf8)]
            let addresses = [
                "{refused}": "127.0.0.1:\(refused.port)", "{silent}": "127.0.0.1:\(silent)", "{ssh}": "127.0.0.1:\(ssh.port)",
            ]
            // Only servers that stay silent use up the timeout.
            let (flags, brief) = (" --timeout 15s --retries 0", " --timeout 500ms --retries 0")
            var all: [Met] = []
            for url in ["nats://u:s3cret@", "raftlock://"] {
                all += [
                    Met(
                        "status x -s \(url){refused}" + flags, 69, "cannot read x: Connection refused", at: "{refused}",
                        hint: "nothing listens there"),
                    Met(
                        "acquire x -s \(url){refused}" + flags + " -- true", 69, "cannot acquire x", at: "{refused}",
                        hint: "nothing listens"),
                    Met(
                        "release x --id me --token 3 -s \(url){refused}" + flags, 69, "Connection refused", at: "{refused}", hint: "listens"
                    ),
                    Met(
                        "step-down x --force --yes -s \(url){refused}" + flags, 69, "cannot read x", at: "{refused}",
                        hint: "nothing listens"),
                    Met("status --all -s \(url){refused}" + flags, 69, "cannot list elections", at: "{refused}", hint: "nothing listens"),
                    Met(
                        "cluster-status --timeout 15s -s \(url){refused}", 69, "nothing answers", at: url.dropSecret + "{refused}",
                        hint: "nothing listens"),
                    Met("status x -s \(url){silent}" + brief, 69, "cannot read x: no", at: "{silent}", hint: "--timeout waits longer"),
                    Met(
                        "status x -s \(url)no.such.host.invalid:1" + flags, 69, "no such host", at: "no.such.host.invalid:1",
                        hint: "getent hosts"),
                ]
            }
            all += [
                Met(
                    "acquire x -s qq://{refused}" + flags, 69, "cannot acquire x: Connection refused", at: "{refused}",
                    hint: "nothing listens there"),
                Met("acquire x -s qq://{silent}" + brief, 69, "cannot acquire x: no answer in time", at: "{silent}", hint: "--timeout"),
                Met("acquire x -s qq://{ssh}" + flags, 69, "does not speak HTTP/2", at: "{ssh}", hint: "the right port"),
                Met("status x -s nats://{ssh}" + flags, 65, "the server does not speak NATS", at: "{ssh}", hint: "is this a NATS server?"),
                Met("status x -s qq://{refused}", 80, "Quorum Quest does not show who leads", at: "qq://{refused}", hint: "--mine"),
                Met(
                    "step-down x --force -s qq://{refused}", 80, "lets only the holder", at: "qq://{refused}", hint: "its lease ends"),
                Met(
                    "acquire x --require-token -s qq://{refused}", 80, "gives out no tokens", at: "qq://{refused}", hint: "--require-token"),
            ]
            try await checkAll(all, in: box, addresses)
        }
    }

    @Test("messages about unusable credentials and certificates name the file and the remedy") func credentials() async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let proxy = try Proxy(to: server.port, in: box)
            try box.write("nothing of use\n", to: "junk")
            let addresses = ["{nats}": "nats://127.0.0.1:\(proxy.port)", "{tls}": "raftlocks://127.0.0.1:\(proxy.port)"]
            let flags = " --timeout 2s --retries 0"
            try await checkAll(
                [
                    Met(
                        "status x -s {nats} --creds {dir}/none" + flags, 78, "No such file or directory", at: "{dir}/none",
                        hint: "--creds takes a file"),
                    Met(
                        "status x -s {nats} --creds {dir}/junk" + flags, 78, "the JWT is missing", at: "{dir}/junk",
                        hint: "--creds takes a file"),
                    Met(
                        "status x -s {nats} --nkey {dir}/junk" + flags, 78, "the NKey", at: "{dir}/junk",
                        hint: "--nkey a file with only the seed"),
                    Met(
                        "status x -s {tls} --tls-ca {dir}/none" + flags, 78, "No such file or directory", at: "{dir}/none",
                        hint: "--tls-ca takes"
                    ),
                    Met(
                        "status x -s {tls} --tls-ca {dir}/junk" + flags, 78, "holds no PEM certificate", at: "{dir}/junk",
                        hint: "--tls-ca takes"),
                    Met(
                        "status x -s {tls} --tls-cert {dir}/junk" + flags, 78, "holds no PEM certificate", at: "{dir}/junk",
                        hint: "--tls-cert takes"),
                ], in: box, addresses)
        }
    }

    @Test("messages about contexts and cluster files name the problem, its location and the remedy") func contexts() async throws {
        try await inSandbox { box in
            let environment = ["XDG_CONFIG_HOME": box.path("config"), "QQ_SERVER": ""]
            let path = "{dir}/config/qq/contexts.yaml"
            mkdir(box.path("config"), 0o700)
            mkdir(box.path("config/qq"), 0o700)
            func checkAll(_ text: String, _ all: [Met]) async throws {
                try box.write(text, to: "config/qq/contexts.yaml")
                try await self.checkAll(all, in: box, environment: environment)
            }
            try await checkAll(
                "contexts:\n  a:\n    sever: x\n",
                [Met("status x", 78, "unknown key 'sever'", at: path + ", line 3", hint: "did you mean server?")])
            try await checkAll(
                "contexts:\n  a:\n    ttl: 5\n",
                [Met("context list", 78, "'ttl': not a duration", at: path + ", line 3", hint: "such as 500ms")])
            try await checkAll(
                "contexts: {a: {server: \"x\n", [Met("context list", 78, "no closing quote", at: path + ", line 1", hint: nil)])
            try await checkAll(
                "contexts:\n  a: {server: 'nats://u:s3cret@h'}\n",
                [Met("context list", 78, "it holds a secret", at: path + ", line 2", hint: "--creds FILE")])
            // An error that stops one command does not block the commands that correct it.
            try await checkAll(
                "current: gone\ncontexts:\n  a: {server: 'file://\(box.leases)'}\n",
                [
                    Met("status x", 78, "the current context 'gone' is not among them", at: path, hint: "choose one: qq context use NAME"),
                    Met("status x --context zzz", 78, "no context is called 'zzz'", at: path, hint: "there are a"),
                    Met("context rename a", 64, "context rename: NEW is missing", hint: "usage: qq context rename OLD NEW"),
                    Met("context add a -s file:///x", 78, "left context a as it is", at: path, hint: "--replace"),
                    Met("context add b", 64, "context add: the server is missing", hint: "add -s URL"),
                    Met("context add b -s nats://u:s3cret@h", 64, "it holds a secret", hint: "--creds FILE"),
                    Met("context add b --from {dir}/none", 78, "cannot read the cluster file: No such file", at: "{dir}/none", hint: nil),
                ])
            for words in [["status", "x", "--context", "a"], ["context", "use", "a"], ["status", "x"]] {
                let run = try await box.start([Sandbox.binary] + words, environment: environment).finish()
                #expect(run.code == (words[0] == "status" ? 1 : 0) && run.errors.isEmpty, "\(words): \(run.errors)")
            }
            try box.write(#"{"clusterId": 3}"#, to: "number.json")
            try box.write(#"{"clusterId": "c", "nats": {"servers": ["ftp://h"]}}"#, to: "scheme.json")
            try await self.checkAll(
                [
                    Met(
                        "status --cluster-config {dir}/number.json", 78, "clusterId is a number, expected a string",
                        at: "{dir}/number.json",
                        hint: nil),
                    Met(
                        "status --cluster-config {dir}/scheme.json", 78, "servers[0] is not a nats:// or tls:// URL",
                        at: "{dir}/scheme.json",
                        hint: nil),
                    Met(
                        "status x --cluster-config {dir}/number.json -s file:///x", 78, "clusterId is a number", at: "{dir}/number.json",
                        hint: nil),
                ], in: box)
        }
    }

    @Test("messages about failing hooks name the hook and the reason") func hooks() async throws {
        try await inSandbox { box in
            for (hook, limit, problem) in [
                ("exit 3", "20s", "exit code 3"), ("kill -9 $$", "20s", "died of signal 9"),
                ("sleep 60", "200ms", "it ran longer than 200ms and was killed (--hook-timeout)"),
            ] {
                let run = try await box.run("acquire", "x", "--on-elected", hook, "--hook-timeout", limit, "--", "true")
                #expect(run.code == 0 && run.errors == "qq: hook '\(hook)' failed: \(problem)\n", "\(run.errors)")
            }
        }
    }
}

extension String {
    /// A URL without its user and password.
    fileprivate var dropSecret: String { replacing("u:s3cret@", with: "") }
}
