import QQCore

import struct LeaderElection.ConnectorInput
import struct LeaderElection.ServerAccess
import struct LeaderElection.SystemConnector

extension SystemDescription {
    /// Consul, in elections that `consul lock` and programs with Consul's documented leader election can take part in.
    static let consul = SystemDescription(
        connector: .consul,
        logins: { [Flags.tokenFile.erased] },
        columns: [
            StatusColumn(heading: "KIND") { $0.details["kind"]?.stringValue },
            StatusColumn(heading: "NODE") { $0.details["node"]?.stringValue.map { Printable.text($0) } },
            StatusColumn(
                heading: "LOCK-DELAY", text: { lockDelay($0).map { DurationText.brief($0) } },
                plain: { lockDelay($0).map { Rendering.seconds($0) } }),
        ],
        documentation: {
            SystemDocumentation(
                urls: "`consul://`[*HOST*[`:`*PORT*][`,`*HOST*...]][`/`*PREFIX*], `consuls://`...",
                meaning: """
                    A Consul cluster, by way of its agents: the election *NAME* is the key *PREFIX*`/`*NAME*`/.lock`, as `consul lock` has it. Without \
                    *HOST* the agent is that of `CONSUL_HTTP_ADDR`, by default the one on this machine. See qq-consul(7).
                    """,
                protocol: "HTTP, Consul API v1", testedAgainst: ["Consul 1.8.7"],
                environment: environment, notes: notes, commandNotes: commandNotes, electionFields: electionFields,
                endpointFields: endpointFields, manual: { ConsulManual.page })
        },
        makeCoordinator: { (input) throws(CoordinationError) in
            try SystemConnector.consul.coordinator(ConnectorInput(input, for: .consul, .consul(input.invocation, input.choice)))
        })

    private static func lockDelay(_ state: ElectionState) -> Duration? {
        state.details["lock_delay"]?.doubleValue.map { .seconds(saturating: $0) }
    }

    private static let environment: [(name: String, meaning: String)] = [
        ("CONSUL_HTTP_ADDR", "The agent of Consul, if the server URL names none: *HOST*`:`*PORT*, or a URL of `http` or `https`."),
        (
            "CONSUL_HTTP_TOKEN_FILE, CONSUL_HTTP_TOKEN",
            """
            A file with the token for Consul, or the token itself, unless `--token-file` or a context names a file. The guarded command and hooks \
            inherit both.
            """
        ),
        ("CONSUL_HTTP_AUTH", "User and password of HTTP's basic authentication, as *USER*`:`*PASSWORD*, unless the server URL has them."),
        (
            "CONSUL_HTTP_SSL, CONSUL_CACERT, CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY, CONSUL_TLS_SERVER_NAME, CONSUL_HTTP_SSL_VERIFY",
            "TLS for Consul, unless the server URL and the flags about TLS say otherwise; see qq-consul(7)."
        ),
        ("CONSUL_DATACENTER", "The datacenter of Consul, unless the server URL has one: `?dc=`*NAME*."),
    ]

    private static let commandNotes: [CommandName: String] = [
        .status: """
        The columns of Consul are who uses the key (`qq`; `lock`, which is `consul lock`; `key`, which is any other program; or `semaphore`, which is \
        `consul lock -n`), the node that the session is bound to, and the session's lock-delay.
        """,
        .clusterStatus: """
        For Consul: each agent, the cluster's leader, and the state of each server. The token needs `agent:read` and `operator:read` for all of it; \
        what it lacks is named.
        """,
    ]

    private static let notes = [
        "ttl": "On Consul it is from 10 s to 24 h, and a machine that failed is noticed after up to twice the TTL and the lock-delay.",
        "note": "On Consul it is in the name of the session; a token that must not read sessions does not show it.",
        "kill-after": "On Consul it is at most 55 s, because the lock-delay, which covers it, is at most 60 s.",
        "force":
            "On Consul the leader's session is destroyed; its lock-delay keeps the next leader out while the old one ends its command.",
    ]

    private static let electionFields: [Schema.Field] = [
        .init("key", .text, optional: true, "Consul: the key of the election."),
        .init(
            "kind", .text, optional: true,
            """
            Consul: who uses the key, as far as it shows: `qq`, `lock` for `consul lock`, `key` for any other program, or `semaphore` for `consul lock -n`.
            """),
        .init("session", .text, optional: true, "Consul: the ID of the session that holds the key."),
        .init("session_name", .text, optional: true, "Consul: the name of that session; absent if the token must not read sessions."),
        .init("node", .text, optional: true, "Consul: the node that the session is bound to."),
        .init(
            "lock_delay", .seconds, optional: true,
            "Consul: how long nobody can acquire the key after the session has ended without a release."),
        .init(
            "overwritten", .flag, optional: true,
            "Consul: whether another program has written the key since it was acquired, which leaves it held."),
        .init("delayed", .flag, optional: true, "Consul: whether the key is free, but cannot be acquired yet because of a lock-delay."),
        .init("delay_left", .seconds, optional: true, "Consul: how long that lasts; absent if it is not known."),
    ]

    private static let endpointFields: [Schema.Field] = [
        .init("leader", .text, null: true, optional: true, "Consul: the address of the cluster's leader; null if it has none."),
        .init("peers", .list, optional: true, "Consul: the addresses of the servers."),
        .init("node", .text, optional: true, "Consul: the name of the agent's node."),
        .init("version", .text, optional: true, "Consul: the agent's version."),
        .init("datacenter", .text, optional: true, "Consul: the agent's datacenter."),
        .init("is_server", .flag, optional: true, "Consul: whether the agent is a server, and not a client agent."),
        .init("role", .text, optional: true, "Consul: the Raft state of a server: `Leader`, `Follower` or `Candidate`."),
        .init("term", .count, optional: true, "Consul: the Raft term of a server."),
        .init("applied_index", .count, optional: true, "Consul: the index up to which a server has applied the log."),
        .init("commit_index", .count, optional: true, "Consul: the index up to which a server knows the log to be committed."),
        .init("last_log_index", .count, optional: true, "Consul: the index of the last entry of a server's log."),
        .init(
            "last_contact", .seconds, optional: true,
            "Consul: the time since a server had contact with the leader; 0 for the leader itself."),
        .init(
            "servers", .list, optional: true,
            """
            Consul: an object for each server of the cluster, with `name`, `address`, `version`, `state`, `leader`, `voter`, `healthy`, `term`, \
            `last_index` and `last_contact`, as far as they are known.
            """),
        .init("failure_tolerance", .count, optional: true, "Consul: how many more servers can fail while the cluster keeps working."),
        .init("missing_rules", .list, optional: true, "Consul: the rules that the token lacks for the rest of the state."),
    ]
}

extension ServerAccess {
    /// How agents of Consul are reached.
    static func consul(_ invocation: Invocation, _ choice: ServerChoice) -> ServerAccess {
        var access = ServerAccess(invocation, choice)
        access.add(Flags.tokenFile, of: invocation) { .tokenFile($0) }
        return access
    }
}

extension Flags {
    static let tokenFile = Flag<String>(
        "token-file", value: "FILE", kind: .file, group: .access,
        help: "Consul: the file with the token",
        more: """
            Consul: use the ACL token in this file, which is read again after the cluster has denied a request. Without it, and if the context of `qq` \
            names none, `CONSUL_HTTP_TOKEN_FILE` and then `CONSUL_HTTP_TOKEN` apply, as for Consul's own commands.
            """,
        lastVariable: "CONSUL_HTTP_TOKEN_FILE", parse: Values.text)
}
