/// Contexts.
extension Flags {
    static let context = Flag<String>(
        "context", value: "NAME", kind: .context, group: .server,
        help: "The place with this name",
        more: """
            Take server, identity, TTL, credentials and the like from the context of this name, where flags and environment say nothing else. By \
            default the current context applies, unless `--server`, `QQ_SERVER` or `--cluster-config` name a place. See qq-context(1).
            """,
        environment: "QQ_CONTEXT", parse: Values.text)

    static let replace = Flag(
        switch: "replace", group: .selection,
        help: "add: in place of the one there",
        more: "With `add`: in place of the context that has this name already.")

    static let from = Flag<String>(
        "from", value: "FILE", kind: .file, group: .selection,
        help: "add: from a cluster.json",
        more: """
            With `add`: take server, identity, TTL, renewal and the file of credentials from a `cluster.json` of the Go clustering library. One that holds \
            a password is refused; refer to it with `--cluster-config` instead.
            """,
        parse: Values.text)

    static let fromKubeconfig = Flag(
        switch: "from-kubeconfig", group: .selection,
        help: "add: from the kubeconfig",
        more:
            "With `add`: take cluster and namespace from the current context of the kubeconfig: that of `KUBECONFIG`, else `~/.kube/config`."
    )

    static let effective = Flag(
        switch: "effective", group: .selection,
        help: "show: what applies, and why",
        more:
            "With `show`: every value that applies to a command with these flags, and whether flag, environment, context or default says so."
    )
}
