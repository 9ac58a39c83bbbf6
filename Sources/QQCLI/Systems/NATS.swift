import QQCore
import QQNATS

import struct LeaderElection.ConnectorInput
import struct LeaderElection.ServerAccess
import struct LeaderElection.SystemConnector

extension SystemDescription {
    /// NATS, in clusters that can include nodes of the Go clustering library.
    static let nats = SystemDescription(
        connector: .nats,
        logins: { [Flags.creds.erased, Flags.nkey.erased] }, flags: { [Flags.tlsFirst.erased] },
        secretVariables: ["QQ_NATS_USER", "QQ_NATS_PASSWORD", "QQ_NATS_TOKEN"],
        columns: [
            StatusColumn(heading: "EPOCH") { $0.epoch.map { String($0) } },
            StatusColumn(heading: "REVISION") { $0.revision.map { String($0) } },
        ],
        documentation: {
            SystemDocumentation(
                urls: "`nats://`*HOST*[`:`*PORT*][`,`*HOST*...], `tls://`...",
                meaning: """
                    A NATS cluster: the election *NAME* is a key-value bucket, in the formats of the Go clustering library, whose nodes and `qq` take \
                    part in it together. See qq-nats(7).
                    """,
                protocol: "NATS 1 with JetStream, go-cluster v1 and v2",
                testedAgainst: ["nats-server 2.9.10", "nats-server 2.12.8", "nats-server 2.15.1"],
                environment: environment, notes: notes, commandNotes: commandNotes, endpointFields: endpointFields,
                manual: { NATSManual.page })
        },
        makeCoordinator: { (input) throws(CoordinationError) in
            let access = ServerAccess.nats(input.invocation, input.choice, file: input.file)
            return try SystemConnector.nats.coordinator(ConnectorInput(input, for: .nats, access))
        })

    private static let environment: [(name: String, meaning: String)] = [
        ("QQ_NATS_CREDS, QQ_NATS_NKEY", "Files to log in to NATS with, if neither flags nor the server URL contain a login."),
        (
            "QQ_NATS_USER, QQ_NATS_PASSWORD, QQ_NATS_TOKEN",
            "Credentials that are not in a file; hidden from everything that `qq` starts."
        ),
    ]

    private static let commandNotes: [CommandName: String] = [
        .status: "The columns of NATS are epoch and revision.", .clusterStatus: "For NATS: every server, and every node that answers.",
    ]

    private static let notes = [
        "ttl": "On NATS all leases of a bucket share one TTL: if the bucket exists with another one, a TTL given here is refused.",
        "id": "On NATS, where nodes have names, it is the host name.",
        "force": "On NATS the lease is deleted, and that node must not lead for one TTL.",
    ]

    private static let endpointFields: [Schema.Field] = [
        .init("server_name", .text, optional: true, "NATS: the name of the server."),
        .init("version", .text, optional: true, "NATS: the server's version."),
        .init("cluster", .text, null: true, optional: true, "NATS: the name of the server's cluster."),
        .init("domain", .text, null: true, optional: true, "NATS: the server's JetStream domain."),
        .init("jetstream", .flag, optional: true, "NATS: whether the account has JetStream there."),
        .init("streams", .count, null: true, optional: true, "NATS: the number of streams of the account."),
        .init(
            "meta_leader", .text, null: true, optional: true,
            "NATS: the leader of JetStream's own cluster; reported only to the system account."),
    ]
}

extension ServerAccess {
    /// How servers of NATS are reached.
    static func nats(_ invocation: Invocation, _ choice: ServerChoice, file: ClusterFile?) -> ServerAccess {
        var access = ServerAccess(invocation, choice)
        access.tls.handshakeFirst = invocation[Flags.tlsFirst]
        access.add(Flags.creds, of: invocation) { .credentialsFile($0) }
        access.add(Flags.nkey, of: invocation) { .nkeyFile($0) }
        access.clusterFile = file
        return access
    }
}

extension Flags {
    static let creds = Flag<String>(
        "creds", value: "FILE", kind: .file, group: .access,
        help: "Log in with a .creds file",
        more: "NATS: log in with the JWT and the seed in this `.creds` file, which is read again for each connection.",
        environment: "QQ_NATS_CREDS", parse: Values.text)

    static let nkey = Flag<String>(
        "nkey", value: "FILE", kind: .file, group: .access,
        help: "Log in with an NKey seed",
        more: "NATS: log in with the user's NKey seed in this file, which is read again for each connection.",
        environment: "QQ_NATS_NKEY", parse: Values.text)

    static let tlsFirst = Flag(
        switch: "tls-first", group: .access,
        help: "NATS: TLS before anything else",
        more: "NATS: start TLS before the server sends anything, for servers that are configured with `handshake_first`.")
}
