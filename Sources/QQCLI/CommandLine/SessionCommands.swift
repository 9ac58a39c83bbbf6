/// Sessions.
extension Commands {
    static let repl = Command(
        .repl,
        summary: "Open a session, or run a script of commands",
        description: """
            Open a session: the same commands as on the command line, without `qq` before them. `qq` without a command does so on a terminal, too. Leases that \
            `acquire` takes are renewed in the background until `release` or the end of the session; what happens to them is told at once, \
            above the line that is being typed. A command with `&` at its end runs in the background. A guarded command is a process of its own, with the \
            terminal; Ctrl-Z gives the terminal back, and `fg` goes on with the command. When the session is killed, so is what it guards.

            Besides: `use` *CONTEXT*, `leases`, `jobs`, `fg` *JOB*, `stop` *JOB*, `history`, `exit`. Tab completes commands, flags, elections, contexts and files. Ctrl-C ends \
            the command that runs, not the session; Ctrl-D and `exit` release what is held. The history is in `$XDG_STATE_HOME/qq/history`, by default below \
            `~/.local/state`; lines with credentials, and those that begin with a space, are not kept.

            Where stdin is no terminal, or with `-f`, a script is run line by line, and stops at the first line that fails, with its exit code; so does \
            `qq -f` *FILE*. Losing a lease that the script had taken is a failure, too. `#` begins a comment; `$NAME` stands for a variable of the environment; \
            quotes are those of a shell. What the script holds at its end is released, and what it left running ended. Commands of a script that comes in on \
            stdin have nothing on theirs.
            """,
        rules: globalRules,
        examples: [
            Example("A session in a context", "qq repl --context prod"),
            Example("A script", "qq -f maintenance.qq"),
            Example("The same from a pipe, to its end", "generate-commands | qq repl --keep-going"),
        ],
        exitNotes: [
            ExitNote("0", "left; every line of a script succeeded"),
            ExitNote("79", "a script lost a lease that it had taken"),
            ExitNote("other", "a script: the exit code of the first line that failed"),
        ],
        seeAlso: ["qq(1)", "qq-context(1)"]
    ) {
        Flags.script
        Flags.keepGoing
        Flags.global
    }
}
