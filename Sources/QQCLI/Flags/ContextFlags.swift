/// Flags for contexts.
extension Flags {
    static let context = Flag<String>(
        "context", value: "NAME", kind: .context, group: .server,
        help: "The context to use",
        more: """
            Take server, identity, TTL, credentials and other settings from this context, unless a flag or the environment sets them. By default the \
            current context applies, unless `--server`, `QQ_SERVER` or `--cluster-config` names a server. See qq-context(1).
            """,
        environment: "QQ_CONTEXT", parse: Values.text)

    static let replace = Flag(
        switch: "replace", group: .selection,
        help: "add: replace an existing context",
        more: "With `add`: replace the context that already has this name.")

    static let from = Flag<String>(
        "from", value: "FILE", kind: .file, group: .selection,
        help: "add: from a cluster.json",
        more: """
            With `add`: take server, identity, TTL, renewal interval and the credentials file from a `cluster.json` of the Go clustering library. A \
            file that contains a password is refused; refer to it with `--cluster-config` instead.
            """,
        parse: Values.text)

    static let fromKubeconfig = Flag(
        switch: "from-kubeconfig", group: .selection,
        help: "add: from the kubeconfig",
        more:
            """
            With `add`: take cluster and namespace from the current context of the kubeconfig, which `KUBECONFIG` names; by default it is \
            `~/.kube/config`.
            """
    )

    static let effective = Flag(
        switch: "effective", group: .selection,
        help: "show: each value and its source",
        more:
            """
            With `show`: print each value that applies to a command with these flags, and whether it comes from a flag, the environment, the context \
            or the default.
            """
    )
}
