/// The command for sessions and scripts.
extension Commands {
    static let repl = Command(
        .repl,
        summary: "Open a session, or run a script of commands",
        description: """
            Open a session: the same commands as on the command line, without `qq` before them. `qq` without a command also opens one on a terminal. \
            Leases that `acquire` acquires are renewed in the background until `release` or the end of the session; their events are reported \
            immediately, above the line that is being typed. A command with `&` at its end runs in the background. A guarded command is a process of \
            its own, with the terminal; Ctrl-Z gives the terminal back, and `fg` continues the command. When the session is killed, the commands that \
            it guards are killed too.

            A session also has the commands `use` *CONTEXT*, `leases`, `jobs`, `fg` *JOB*, `stop` *JOB*, `history` and `exit`. Tab completes commands, \
            flags, elections, contexts and files. Ctrl-C ends the running command, not the session; Ctrl-D and `exit` release all leases. The history \
            is in `$XDG_STATE_HOME/qq/history`, by default below `~/.local/state`; lines that contain credentials, or begin with a space, are not \
            kept.

            If stdin is not a terminal, or with `-f`, a script is run line by line. It stops at the first line that fails, with the exit code of that \
            line; so does `qq -f` *FILE*. Losing a lease that the script acquired is a failure, too. `#` begins a comment; `$NAME` is replaced by a \
            variable of the environment; quotes are those of a shell. At the end of the script its leases are released, and its running commands are \
            ended. If the script comes from stdin, its commands read nothing from theirs.
            """,
        rules: globalRules,
        examples: [
            Example("A session in a context", "qq repl --context prod"),
            Example("A script", "qq -f maintenance.qq"),
            Example("Commands from a pipe, to the last line", "generate-commands | qq repl --keep-going"),
        ],
        exitNotes: [
            ExitNote("0", "the session was left; every line of a script succeeded"),
            ExitNote("79", "a script lost a lease that it had acquired"),
            ExitNote("other", "a script: the exit code of the first line that failed"),
        ],
        seeAlso: ["qq(1)", "qq-context(1)", "qq-metrics(5)"]
    ) {
        Flags.script
        Flags.keepGoing
        Flags.global
    }
}
