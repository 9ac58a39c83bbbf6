/// Commands about `qq` itself, which use no system.
extension Commands {
    static let completions = Command(
        .completions,
        summary: "Print the completion script of a shell",
        description: """
            Print the completion script for bash, zsh or fish. Names of elections are completed by asking the server, which changes nothing there.
            """,
        positionals: [Positional("SHELL", kind: .choice(Shell.words), help: "bash, zsh or fish.")],
        examples: [
            Example("bash, in ~/.bashrc", "source <(qq completions bash)"),
            Example("zsh, into a folder of $fpath", "qq completions zsh > ~/.zfunc/_qq"),
            Example("fish", "qq completions fish > ~/.config/fish/completions/qq.fish"),
        ]
    ) {
        Flags.help
    }

    static let man = Command(
        .man,
        summary: "Show a manual page",
        description: """
            Show a manual page of `qq`, installed or not: with the system's man on a terminal; elsewhere print its source. *PAGE* is the name of a \
            command or of a page, such as `qq-json`.
            """,
        positionals: [Positional("PAGE", kind: .manPage, help: "The page; by default qq(1).", required: false)],
        examples: [Example("The page of one command", "qq man acquire"), Example("What --json prints", "qq man qq-json")]
    ) {
        Flags.help
    }

    static let help = Command(
        .help,
        summary: "Help on qq or on a command",
        description: "Print the long help on a command, or on `qq` as a whole.",
        positionals: [Positional("COMMAND", kind: .commandName, help: "The command.", required: false)],
        examples: [Example("Everything about one command", "qq help acquire")]
    ) {
        Flags.help
    }

    static let version = Command(
        .version,
        summary: "Print the version",
        description: """
            Print the version of `qq`, and the commit that it was built from if that is known. With `--json`, also print the systems, with the protocol \
            of each and the servers that it was tested against.
            """,
        examples: [Example("What was it tested against?", "qq version --json | jq '.systems[] | {system, tested_against}'")]
    ) {
        Flags.json
        Flags.help
    }

    /// Called by the completion scripts. Prints one candidate per line; must not have side effects.
    static let complete = Command(
        .complete,
        summary: "Print candidates for completion",
        description: "Print the names of elections, of saved grants or of contexts that start with *PREFIX*, one a line. Changes nothing.",
        positionals: [
            Positional("KIND", kind: .choice(["elections", "grants", "contexts"]), help: "What to list."),
            Positional("PREFIX", kind: .text, help: "What the names start with.", required: false, mayBeEmpty: true),
        ],
        hidden: true
    ) {
        Flags.global
    }

    /// Called by `make docs`.
    static let generate = Command(
        .generate,
        summary: "Write manual pages and completions",
        description: "Write everything that is generated from the declarations below *DIR*.",
        positionals: [Positional("DIR", kind: .directory, help: "Where man/ and completions/ are.")],
        hidden: true
    ) {
        Flags.help
    }
}
