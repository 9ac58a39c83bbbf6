import QQCore

import struct LeaderElection.ConnectorInput
import struct LeaderElection.ServerAccess
import struct LeaderElection.SystemConnector

extension SystemDescription {
    /// etcd, in locks and elections that `etcdctl lock` and `etcdctl elect` can take part in.
    static let etcd = SystemDescription(
        connector: .etcd,
        logins: { [Flags.loginFile.erased] },
        secretVariables: ["QQ_ETCD_USER", "QQ_ETCD_PASSWORD"],
        columns: [
            StatusColumn(heading: "KIND") { $0.details["kind"]?.stringValue },
            StatusColumn(heading: "LEASE") { $0.details["lease"] == .null ? "none" : $0.details["lease"]?.stringValue },
        ],
        documentation: {
            SystemDocumentation(
                urls: "`etcd://`*HOST*[`:`*PORT*][`,`*HOST*...][`/`*PREFIX*], `etcds://`...",
                meaning: """
                    A cluster of etcd: the election *NAME* is the lock or election *PREFIX*`/`*NAME* of `etcdctl lock` and `etcdctl elect`. See qq-etcd(7).
                    """,
                protocol: "gRPC, etcd API v3", testedAgainst: ["etcd 3.4.23", "etcd 3.5.30", "etcd 3.6.13"],
                environment: environment, notes: notes, commandNotes: commandNotes, electionFields: electionFields,
                endpointFields: endpointFields, manual: { EtcdManual.page })
        },
        makeCoordinator: { (input) throws(CoordinationError) in
            try SystemConnector.etcd.coordinator(ConnectorInput(input, for: .etcd, .etcd(input.invocation, input.choice)))
        })

    private static let environment: [(name: String, meaning: String)] = [
        (
            "QQ_ETCD_USER, QQ_ETCD_PASSWORD",
            "The login for etcd, if neither `--login-file` nor the server URL contains one; hidden from everything that `qq` starts."
        )
    ]

    private static let commandNotes: [CommandName: String] = [
        .status:
            "The columns of etcd are `lock` for a leader without an identity, else `election`, and the ID of the leader's lease, or `none` if no lease ends its key.",
        .clusterStatus: "For etcd: each endpoint with its role, the Raft log, the size of its database, and alarms.",
    ]

    private static let notes = [
        "ttl": "On etcd it is rounded up to whole seconds, and the servers raise short ones, by default to 2 s.",
        "force": """
        On etcd the leader is asked first. If it does not answer, its lease is revoked: the next one leads immediately, while the old one has yet to notice.
        """,
    ]

    private static let electionFields: [Schema.Field] = [
        .init("key", .text, optional: true, "etcd: the key of the leader."),
        .init(
            "lease", .text, null: true, optional: true,
            "etcd: the ID of the lease that the leader's key ends with, in hexadecimal; null if no lease ends it."),
        .init(
            "create_revision", .count, optional: true, "etcd: the revision at which the leader's key was created: its place in the queue."),
        .init(
            "unbound", .flag, optional: true,
            "etcd: true if the leader's key does not end with the leader's own lease, because something else has put it."),
        .init(
            "kind", .text, optional: true,
            "etcd: `lock` if the leader has no identity, as `etcdctl lock` has none; `election` if it has one."),
        .init("contenders", .list, optional: true, "etcd: the identities of the waiters, in their order."),
    ]

    private static let endpointFields: [Schema.Field] = [
        .init("name", .text, optional: true, "etcd: the name of the member."),
        .init("member_id", .text, optional: true, "etcd: the ID of the member, in hexadecimal."),
        .init("version", .text, optional: true, "etcd: the member's version."),
        .init("role", .text, optional: true, "etcd: `leader`, `follower`, `learner`, or `unknown` if the member sees no leader."),
        .init(
            "leader_id", .text, null: true, optional: true, "etcd: the ID of the Raft leader, in hexadecimal; null if the member sees none."
        ),
        .init("term", .count, optional: true, "etcd: the Raft term."),
        .init("raft_index", .count, optional: true, "etcd: the index of the member's Raft log."),
        .init("applied_index", .count, optional: true, "etcd: the index up to which the member has applied the log."),
        .init("lag", .count, optional: true, "etcd: how many entries of its log the member has not applied yet."),
        .init("db_size", .count, optional: true, "etcd: the size of the member's database, in bytes."),
        .init("db_in_use", .count, optional: true, "etcd: the part of that size that is in use, in bytes."),
        .init(
            "db_quota", .count, null: true, optional: true,
            "etcd: the size at which the cluster refuses writes, in bytes; null if the server does not report it."),
        .init("alarms", .list, optional: true, "etcd: the alarms of the member, such as `NOSPACE`."),
        .init("learner", .flag, optional: true, "etcd: whether the member does not vote yet."),
        .init("refused", .text, optional: true, "etcd: why the server did not answer some of our requests."),
    ]
}

extension ServerAccess {
    /// How members of etcd are reached.
    static func etcd(_ invocation: Invocation, _ choice: ServerChoice) -> ServerAccess {
        var access = ServerAccess(invocation, choice)
        access.add(Flags.loginFile, of: invocation) { .loginFile($0) }
        return access
    }
}

extension Flags {
    static let loginFile = Flag<String>(
        "login-file", value: "FILE", kind: .file, group: .access,
        help: "etcd: the file with USER:PASSWORD",
        more: """
            etcd: log in with the user and the password in this file, which contains nothing but one line, *USER*`:`*PASSWORD*. Without it, \
            `QQ_ETCD_USER` and `QQ_ETCD_PASSWORD` apply, which are hidden from everything that `qq` starts.
            """,
        parse: Values.text)
}
