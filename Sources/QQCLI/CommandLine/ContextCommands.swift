/// Commands about where `qq` looks.
extension Commands {
    static let context = Command(
        .context,
        summary: "Name places, and choose one",
        description: """
            A context is a name for where elections live and how to get in: a server URL, an identity, a TTL, files with credentials. It stands \
            for `--server` and the other flags where neither they nor the environment say anything. The current one applies \
            without being named; `--context` *NAME* and `QQ_CONTEXT` choose another. Where `--server`, `QQ_SERVER` or `--cluster-config` name a place, the current \
            context is left aside as a whole: its credentials are for another server.

            *ACTION* is `add`, which makes the context *NAME* of the flags that follow; `list`; `use`, which makes *NAME* the current one; `show`, \
            which prints *NAME*, or the current one; `remove`; `rename` *NAME* *NEW*; or `test`, which says how the servers of *NAME* do, as \
            `qq cluster-status` does.

            Contexts are in `$XDG_CONFIG_HOME/qq/contexts.yaml`, by default below `~/.config`. The file can be edited by hand: changes by `qq` leave the rest of it as \
            it is, comments included, or are refused. It holds no secrets, only the names of files that do.
            """,
        positionals: [
            Positional("ACTION", kind: .choice(ContextCommand.Action.words), help: "What to do."),
            Positional("NAME", kind: .context, help: "The context.", required: false),
            Positional("NEW", kind: .text, help: "Another name for it.", required: false),
        ],
        rules: globalRules + [
            .exclusive(Flags.from.erased, Flags.fromKubeconfig.erased), .exclusive(Flags.from.erased, Flags.clusterConfig.erased),
        ],
        examples: [
            Example("A place with its credentials", "qq context add prod -s nats://n1,n2,n3 --creds /etc/qq/prod.creds"),
            Example("What the nodes of a Go cluster have", "qq context add prod --from cluster.json"),
            Example("From now on", "qq context use prod"),
            Example("For one command", "qq status web --context prod"),
            Example("Which value comes from where?", "qq context show --effective"),
            Example("Does it answer?", "qq context test prod"),
        ],
        exitNotes: [
            ExitNote("0", "done; `test`: it can grant leases"),
            ExitNote("1", "`show`: no context is in use; `test`: it answers, but cannot grant leases now"),
            ExitNote("78", "no such context, or one of that name is there already; or the file is wrong: the message names the line"),
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
