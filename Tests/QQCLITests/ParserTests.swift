import Testing

@testable import QQCLI

@Suite("Command lines") struct CommandLines {
    @Test("everything after -- is the command, word for word") func commandAfterDashes() throws {
        let parsed = try invocation(["acquire", "backup", "-q", "--", "sh", "-c", "--", "--json", ""])
        #expect(parsed.positionals == ["backup"])
        #expect(parsed.trailing == ["sh", "-c", "--", "--json", ""])
        #expect(parsed.trailingStart == 4)
        #expect(!parsed[Flags.json])
    }

    @Test("a line without -- has no command") func withoutDashes() throws {
        let parsed = try invocation("acquire backup")
        #expect(parsed.trailing == nil)
        #expect(parsed.trailingStart == nil)
    }

    @Test("-- ends the flags of a command that runs nothing") func dashesEndFlags() throws {
        #expect(try invocation("status -- -x --json").positionals == ["-x", "--json"])
        #expect(try invocation("release -- x").positionals == ["x"])
    }

    @Test("short flags can be bundled, and the last one can have a value") func bundles() throws {
        let parsed = try invocation("acquire x -qE 3 -- a")
        #expect(parsed[Flags.quiet] && parsed[Flags.conflictExitCode] == 3)
        #expect(try invocation("acquire x -qE3 -- a")[Flags.conflictExitCode] == 3)
        #expect(try invocation("status -qsfile:///tmp/a=b")[Flags.server] == "file:///tmp/a=b")
    }

    @Test("a flag's value can contain =") func valueWithEquals() throws {
        #expect(try invocation("status --server=file:///a=b")[Flags.server] == "file:///a=b")
    }

    @Test("a single dash is a word") func singleDash() throws {
        #expect(try invocation("status -").positionals == ["-"])
        #expect(try invocation("status --id -")[Flags.id] == "-")
    }

    @Test("global flags can come before and after the command") func globalFlags() throws {
        let parsed = try invocation("-q -s file:///x status web --json")
        #expect(parsed[Flags.server] == "file:///x")
        #expect(parsed[Flags.quiet] && parsed[Flags.json])
        #expect(problem("-q status -q")?.message == "-q given twice")
    }

    @Test("a line without a command means a session") func noCommand() throws {
        guard case .noCommand(let plain?) = try Parser.parse([]) else { throw NotRun() }
        #expect(plain.command.id == .repl && plain.values.isEmpty)
        guard case .noCommand(let session?) = try Parser.parse(["-q", "-s", "file:///x"]) else { throw NotRun() }
        #expect(session.command.id == .repl && session[Flags.quiet] && session[Flags.server] == "file:///x")
        guard case .noCommand(nil) = try Parser.parse(["-q"], inSession: true) else { throw NotRun() }
    }

    @Test("--version asks for the version, whatever else is on the line", arguments: ["--version", "-q --version", "--version --bogus"])
    func version(line: String) throws {
        guard case .version = try Parser.parse(line.words) else { throw NotRun() }
    }

    @Test(
        "help can be asked for in several ways",
        arguments: [
            ("-h", nil, false), ("--help", nil, true), ("help", nil, true), ("acquire -h", "acquire", false),
            ("acquire --help", "acquire", true),
            ("help acquire", "acquire", true), ("acquire x -qh", "acquire", false), ("--json acquire --help", "acquire", true),
            ("version -h", "version", false), ("help help", "help", true),
        ] as [(String, String?, Bool)])
    func help(line: String, command: String?, long: Bool) throws {
        guard case .help(let found, let isLong) = try Parser.parse(line.words) else { throw NotRun() }
        #expect(found?.name == command)
        #expect(isLong == long)
    }

    @Test("--help after -- belongs to the command") func helpAfterDashes() throws {
        #expect(try invocation("acquire x -- ls --help").trailing == ["ls", "--help"])
    }

    @Test("hidden commands are accepted") func hiddenCommands() throws {
        #expect(try invocation(["__complete", "elections", "-s", "file:///x", "--", ""]).positionals == ["elections", ""])
        #expect(try invocation("__generate out").positionals == ["out"])
    }
}

@Suite("Command line errors") struct CommandLineErrors {
    @Test(
        "a command line error says what is wrong and what to do",
        arguments: [
            ("acquier x", "unknown command 'acquier'", "did you mean acquire?"),
            ("frobnicate", "unknown command 'frobnicate'", "see 'qq -h' for the commands"),
            ("help statsu", "no help on unknown command 'statsu'", "did you mean status?"),
            ("help frobnicate", "no help on unknown command 'frobnicate'", "see 'qq -h' for the commands"),
            ("-- status", "a command comes first, then '--'", "see 'qq -h' for the commands"),
            ("acquire x --wiat", "unknown flag --wiat", "did you mean --wait?"),
            ("acquire x --conflict", "unknown flag --conflict", "did you mean --conflict-exit-code?"),
            ("acquire x --frobnicate", "unknown flag --frobnicate", "see 'qq acquire -h'"),
            ("acquire x -Z", "unknown flag -Z", "see 'qq acquire -h'"),
            ("--srver=x status", "unknown flag --srver", "did you mean --server?"),
            ("-Z status", "unknown flag -Z", "see 'qq -h'"),
            ("acquire x --mine", "--mine is a flag of status, not of acquire", "see 'qq acquire -h'"),
            ("release x -E 3", "-E is a flag of acquire, not of release", "see 'qq release -h'"),
            ("--mine status", "--mine is a flag of status", "write it after the command: qq status --mine"),
            ("--json man", "--json is not a flag of man", "see 'qq man -h'"),
            ("status --version", "--version stands alone", "try 'qq --version'"),
            ("acquire x --wait 5m", "--wait takes its value after '='", "did you mean --wait=5m?"),
            ("acquire --wait 5m x", "--wait takes its value after '='", "did you mean --wait=5m?"),
            ("acquire x true", "unexpected argument 'true'", "put -- before the command: qq acquire x -- true"),
            ("acquire x --", "no command after '--'", "see 'qq acquire -h'"),
            ("acquire -- true", "acquire: NAME is missing", "usage: qq acquire [FLAGS] NAME [-- CMD [ARG...]]"),
            ("keepalive", "keepalive: NAME is missing", "usage: qq keepalive [FLAGS] NAME..."),
            ("release x y", "unexpected argument 'y'", "see 'qq release -h'"),
            ("cluster-status x", "unexpected argument 'x'", "see 'qq cluster-status -h'"),
            ("completions", "completions: SHELL is missing", "usage: qq completions SHELL"),
            ("completions bsh", "SHELL 'bsh': not one of bash, zsh, fish", "did you mean bash?"),
            ("completions tcsh0", "SHELL 'tcsh0': not one of bash, zsh, fish", "see 'qq completions -h'"),
            ("status --json=1", "--json takes no value", "see 'qq status -h'"),
            ("status -q=1", "-q takes no value", "see 'qq status -h'"),
            ("status --id", "--id needs a value", "write --id ID"),
            ("status --id -x", "--id needs a value", "a value that begins with a dash is written --id=-x"),
            ("status -s -x", "-s needs a value", "a value that begins with a dash is written -s-x"),
        ])
    func errors(line: String, message: String, hint: String) {
        #expect(problem(line) == UsageError(message, hint: hint))
    }

    @Test(
        "flags that do not go together are named in the error",
        arguments: [
            ("status -qv", "--quiet and --verbose exclude each other"),
            ("status --all web", "--all and names exclude each other"),
            ("release x --token 3", "--token needs --id"),
            ("release x --cancel-wait", "--cancel-wait needs --id"),
            ("release x --cancel-wait --id a --token 3", "--cancel-wait and --token exclude each other"),
            ("keepalive x --once --pid 3", "--once and --pid exclude each other"),
            ("acquire x --min-hold 5s", "--min-hold needs a command after '--'"),
            ("acquire x --kill-after 5s", "--kill-after needs a command after '--'"),
            ("acquire x --renew-every 5s", "--renew-every needs a command after '--'"),
            ("acquire x --format shell -- true", "--format and a command exclude each other"),
            ("acquire x --format shell --json", "--json and --format exclude each other"),
            ("acquire x --skip-ok -E3 -- true", "--skip-ok and --conflict-exit-code exclude each other"),
        ])
    func conflicts(line: String, message: String) throws {
        #expect(problem(line)?.message == message)
    }

    @Test("--renew-every needs no command in a session") func renewEveryInSession() throws {
        let line = ["acquire", "x", "--renew-every", "5s"]
        #expect(throws: UsageError.self) { try Parser.parse(line) }
        guard case .run(let invocation) = try Parser.parse(line, inSession: true) else {
            Issue.record("the line was not accepted as a command")
            return
        }
        #expect(invocation[Flags.renewEvery] == .seconds(5))
        // Flags that concern a command still need one.
        #expect(throws: UsageError.self) { try Parser.parse(["acquire", "x", "--kill-after", "5s"], inSession: true) }
    }

    @Test("empty names and commands are refused") func emptyNames() {
        #expect(problem(["status", "web", ""])?.message == "status: NAME is empty")
        #expect(problem(["acquire", ""])?.message == "acquire: NAME is empty")
        #expect(problem(["acquire", "x", "--", ""])?.message == "the command after '--' is empty")
    }

    @Test("control characters in arguments do not reach the terminal") func controlCharacters() {
        let wild = "\u{1b}]0;x\u{7}"
        let lines: [[String]] = [
            [wild], ["release", "x", wild], ["--\(wild)"], ["status", "--\(wild)"], ["status", "--color=\(wild)"], ["status", "-\(wild)"],
        ]
        for line in lines {
            guard let error = problem(line) else {
                Issue.record("\(line) is accepted")
                continue
            }
            let shown: String = error.message + (error.hint ?? "")
            let controls = shown.unicodeScalars.filter { $0.isControl }
            #expect(controls.isEmpty)
        }
    }
}

@Suite("Suggestions") struct Suggestions {
    @Test(
        "the distance between two words counts slips",
        arguments: [
            ("wait", "wait", 0), ("wiat", "wait", 1), ("wit", "wait", 1), ("waits", "wait", 1), ("wart", "wait", 1), ("", "abc", 3),
        ])
    func distance(first: String, second: String, distance: Int) {
        #expect(Suggestion.distance(Array(first.utf8), Array(second.utf8)) == distance)
    }

    @Test("nothing is suggested if no word is near") func noSuggestion() {
        #expect(Suggestion.nearest(to: "xyzzy", among: Commands.visible.map(\.name)) == nil)
        #expect(Suggestion.nearest(to: "", among: ["a-long-word"]) == nil)
    }
}
