import QQNATS
import Testing

@testable import QQCLI

@Suite("Help") struct Help {
    static let subjects: [Command?] = [nil] + Commands.visible

    @Test("help fits in 80 columns", arguments: Self.subjects, [false, true])
    func width(subject: Command?, long: Bool) {
        let examples = Set((subject?.examples ?? Overview.examples).map { "  " + $0.line })
        for line in helpText(for: subject, long: long, width: 80).split(separator: "\n") where !examples.contains(String(line)) {
            #expect(line.utf8.count <= 80, "\(line)")
        }
    }

    @Test("help lists each flag with its default and its variable", arguments: Case.all.filter { !$0.command.isHidden })
    func listsEachFlag(of sample: Case) {
        let short = helpText(for: sample.command, long: false).split(separator: "\n").map(String.init)
        let lines = short.filter { $0.contains(sample.flag.usage) && $0.contains(sample.flag.help) }
        #expect(lines.count == 1, "one line in -h")
        if let fallback = sample.flag.defaultText { #expect(lines.first?.contains("[default: \(fallback)]") == true) }
        if let variable = sample.flag.environment { #expect(lines.first?.contains("[env: \(variable)]") == true) }

        let long = helpText(for: sample.command, long: true).unwrapped
        #expect(long.contains(sample.flag.usage))
        #expect(long.contains(Markup.plain(sample.flag.more).unwrapped))
    }

    @Test("help shows usage, examples and exit codes", arguments: Commands.visible)
    func sections(of command: Command) {
        let long = helpText(for: command, long: true)
        #expect(long.contains("Usage: \(command.usage)\n"))
        for example in command.examples { #expect(long.contains("  # \(example.comment)\n  \(example.line)\n")) }
        for note in command.exitNotes { #expect(long.contains("\n  \(note.code) ")) }
    }

    @Test("the help of qq lists the commands and leaves out hidden ones") func commands() {
        for long in [false, true] {
            let text = helpText(for: nil, long: long)
            for command in Commands.visible { #expect(text.contains("\n  \(command.name) ")) }
            #expect(!text.contains("__"))
        }
    }

    @Test("help wraps to the given width") func wrapping() {
        for line in helpText(for: Commands.acquire, long: true, width: 100).split(separator: "\n") { #expect(line.utf8.count <= 100) }
        #expect(helpText(for: Commands.acquire, long: true, width: 72) != helpText(for: Commands.acquire, long: true, width: 80))
    }

    @Test("the short help of release keeps its shape") func shape() {
        #expect(
            helpText(for: Commands.release, long: false) == """
                Release a lease acquired earlier.

                Usage: qq release [FLAGS] NAME

                Lease:
                      --token N                Only the term with this fencing token
                      --slots N                Let at most N holders work at a time
                      --cancel-wait            Leave the queue instead

                Retrying:
                      --retries N              Retries after a transient failure [default: 3]
                      --backoff INITIAL..MAX   First and longest pause [default: 200ms..5s]
                      --backoff-factor FACTOR  How much longer each pause is [default: 2]
                      --jitter FRACTION        How much pauses vary, 0 to 1 [default: 0.2]
                      --retry-on CODES         RaftLock: which failures to retry

                Server:
                  -s, --server URL             Where the election lives [env: QQ_SERVER]
                      --context NAME           The context to use [env: QQ_CONTEXT]
                      --cluster-config FILE    A cluster.json of the Go library
                      --id ID                  The identity to use
                      --timeout DURATION       Limit for one request [default: 5s]

                Access:
                      --creds FILE             Log in with a .creds file [env: QQ_NATS_CREDS]
                      --nkey FILE              Log in with an NKey seed [env: QQ_NATS_NKEY]
                      --login-file FILE        etcd: the file with USER:PASSWORD
                      --token-file FILE        Consul: the file with the token
                      --tls-ca FILE            Authorities to trust, PEM
                      --tls-cert FILE          Client certificate, PEM
                      --tls-key FILE           Key of the client certificate, PEM
                      --tls-name NAME          Name in the server's certificate
                      --kubeconfig FILE        Kubernetes: the kubeconfig
                      --tls-first              NATS: TLS before anything else
                      --follow-redirects       RaftLock: trust the leader's address
                      --max-message MIB        gRPC: largest message, in MiB [default: 4]

                Output:
                      --metrics-file FILE      Keep metrics in FILE
                      --json                   Print JSON
                      --color WHEN             Colour: auto, always or never [default: auto]
                  -q, --quiet                  Print only errors on stderr
                  -v, --verbose                Report each step on stderr

                Help:
                  -h, --help                   This help; --help prints more

                'qq release --help' prints more, with examples.

                """)
    }

    @Test("the examples in help can be parsed", arguments: Commands.visible.flatMap(\.examples).map(\.line) + Overview.examples.map(\.line))
    func hasExamplesThatParse(line: String) throws {
        let calls = line.calls
        #expect(!calls.isEmpty)
        for call in calls { #expect(problem(call) == nil, "\(call)") }
    }
}

extension String {
    /// The text in one line, with single spaces.
    var unwrapped: String { split { $0 == " " || $0 == "\n" }.joined(separator: " ") }

    /// The arguments of each call of qq in a line of shell. Quotes count as part of words.
    var calls: [[String]] {
        var calls: [[String]] = []
        var inside = false
        for piece in words {
            if piece == "qq" || piece.hasSuffix("(qq") {
                calls.append([])
                inside = true
            } else if [">", "|", "||", "&&"].contains(piece), calls.last?.contains("--") != true {
                inside = false
            } else if inside {
                let isLast = piece.hasSuffix(")\"") || (piece.hasSuffix(")") && hasPrefix("source"))
                calls[calls.count - 1].append(isLast ? String(piece.prefix { $0 != ")" }) : piece)
                if isLast { inside = false }
            }
        }
        return calls
    }
}

@Suite("NATS manual page") struct NATSManualPage {
    @Test("the examples in the NATS manual page can be parsed", arguments: NATSManual.examples.map(\.line))
    func hasExamplesThatParse(line: String) throws {
        let calls = line.calls
        #expect(!calls.isEmpty)
        for call in calls { #expect(problem(call) == nil, "\(call)") }
    }

    @Test("the NATS manual page documents every URL option") func urlOptions() {
        let told = NATSManual.queryItems.map { Markup.plain($0.item) }.joined(separator: " ")
        for item in NATSSettings.URLItem.allCases { #expect(told.contains(item.rawValue + "="), "\(item)") }
    }
}
