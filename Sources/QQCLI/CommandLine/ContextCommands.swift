/// The command for contexts.
extension Commands {
    static let context = Command(
        .context,
        summary: "Name servers with their settings, and choose one",
        description: """
            A context is a name for a server and its settings: a server URL, an identity, a TTL, files with credentials. It supplies `--server` and \
            the other flags that neither the command line nor the environment sets. The current context applies without being named; `--context` \
            *NAME* and `QQ_CONTEXT` choose another. If `--server`, `QQ_SERVER` or `--cluster-config` names a server, the current context is ignored \
            entirely, because its credentials are for another server.

            *ACTION* is `add`, which makes the context *NAME* from the flags that follow; `list`; `use`, which makes *NAME* the current context; \
            `show`, which prints *NAME*, or the current context; `remove`; `rename` *NAME* *NEW*; or `test`, which shows the state of the servers of \
            *NAME*, as `qq cluster-status` does.

            Contexts are in `$XDG_CONFIG_HOME/qq/contexts.yaml`, by default below `~/.config`. The file can be edited by hand: a change by `qq` leaves \
            the rest of it unchanged, comments included, or is refused. It contains no secrets, only the names of files that do.
            """,
        positionals: [
            Positional("ACTION", kind: .choice(ContextCommand.Action.words), help: "The action."),
            Positional("NAME", kind: .context, help: "The context.", required: false),
            Positional("NEW", kind: .text, help: "The new name of the context.", required: false),
        ],
        rules: globalRules + [
            .exclusive(Flags.from.erased, Flags.fromKubeconfig.erased), .exclusive(Flags.from.erased, Flags.clusterConfig.erased),
        ],
        examples: [
            Example("A server with its credentials", "qq context add prod -s nats://n1,n2,n3 --creds /etc/qq/prod.creds"),
            Example("The settings of the nodes of a Go cluster", "qq context add prod --from cluster.json"),
            Example("Use it from now on", "qq context use prod"),
            Example("Use it for one command", "qq status web --context prod"),
            Example("Which value comes from where?", "qq context show --effective"),
            Example("Can its servers grant leases?", "qq context test prod"),
        ],
        exitNotes: [
            ExitNote("0", "done; `test`: the servers can grant leases"),
            ExitNote("1", "`show`: there is no current context; `test`: the servers answer, but cannot grant leases now"),
            ExitNote("78", "no such context, or one of that name exists already; or the file is wrong: the message names the line"),
        ],
        seeAlso: ["qq(1)", "qq-cluster-status(1)"]
    ) {
        Flags.replace
        Flags.from
        Flags.fromKubeconfig
        Flags.effective
        Flags.ttl
        Flags.renewEvery
        Flags.retrying
        Flags.global
    }
}
