import QQCore
import QQNATS

extension SystemDescription {
    /// NATS, beside the nodes of the Go clustering library.
    static let nats = SystemDescription(
        url: .nats, displayName: "NATS",
        // Nodes have names. Go nodes join no bucket with another TTL than theirs, which is 10 s by default.
        identity: { Identity.hostName() }, ttl: .seconds(10),
        logins: { [Flags.creds.erased, Flags.nkey.erased] }, flags: { [Flags.tlsFirst.erased] },
        secretVariables: ["QQ_NATS_USER", "QQ_NATS_PASSWORD", "QQ_NATS_TOKEN"],
        columns: [
            StatusColumn(heading: "EPOCH") { $0.epoch.map { String($0) } },
            StatusColumn(heading: "REVISION") { $0.revision.map { String($0) } },
        ],
        capabilities: { NATSCoordinator.capabilities },
        documentation: {
            SystemDocumentation(
                urls: "`nats://`*HOST*[`:`*PORT*][`,`*HOST*...], `tls://`...",
                meaning: """
                    A NATS cluster: the election *NAME* is a key-value bucket, in the formats of the Go clustering library, whose nodes and `qq` take \
                    part in it together. See qq-nats(7).
                    """,
                environment: environment, notes: notes, commandNotes: commandNotes, endpointFields: endpointFields,
                manual: { NATSManual.page })
        },
        makeCoordinator: { (input) throws(CoordinationError) in
            NATSCoordinator(
                server: input.url, settings: try NATSSettings(input.invocation, input.choice, file: input.file),
                explicitTTL: input.invocation[Flags.ttl], clock: input.loop, requestTimeout: input.requestTimeout)
        })

    private static let environment: [(name: String, meaning: String)] = [
        ("QQ_NATS_CREDS, QQ_NATS_NKEY", "Files to log in to NATS with, where neither flags nor the server URL say how."),
        (
            "QQ_NATS_USER, QQ_NATS_PASSWORD, QQ_NATS_TOKEN",
            "The same, where no file holds them; hidden from all that `qq` starts."
        ),
    ]

    private static let commandNotes: [CommandName: String] = [
        .status: "The columns of NATS are epoch and revision.", .clusterStatus: "For NATS: every server, and every node that answers.",
    ]

    private static let notes = [
        "ttl": "On NATS the bucket has one TTL for all: where there is one with another TTL, a TTL given here is refused.",
        "id": "On NATS, where nodes have names, it is the host name.",
        "force": "On NATS the lease is deleted, and that node may not lead for one TTL.",
    ]

    private static let endpointFields: [Schema.Field] = [
        .init("server_name", .text, optional: true, "NATS: what the server calls itself."),
        .init("version", .text, optional: true, "NATS: the server's version."),
        .init("cluster", .text, null: true, optional: true, "NATS: the name of the server's cluster."),
        .init("domain", .text, null: true, optional: true, "NATS: the server's JetStream domain."),
        .init("jetstream", .flag, optional: true, "NATS: whether our account has JetStream there."),
        .init("streams", .count, null: true, optional: true, "NATS: how many streams our account has."),
        .init(
            "meta_leader", .text, null: true, optional: true,
            "NATS: who leads JetStream's own cluster; told to the system account alone."),
    ]
}

extension Flags {
    static let creds = Flag<String>(
        "creds", value: "FILE", kind: .file, group: .access,
        help: "Log in by a .creds file",
        more: "NATS: log in with the JWT and the seed in this `.creds` file. It is read anew for each connection.",
        environment: "QQ_NATS_CREDS", parse: Values.text)

    static let nkey = Flag<String>(
        "nkey", value: "FILE", kind: .file, group: .access,
        help: "Log in by an NKey seed",
        more: "NATS: log in with the user's NKey seed in this file. It is read anew for each connection.",
        environment: "QQ_NATS_NKEY", parse: Values.text)

    static let tlsFirst = Flag(
        switch: "tls-first", group: .access,
        help: "NATS: TLS before anything else",
        more: "NATS: begin with TLS before the server has said anything, for servers that are configured with `handshake_first`.")
}
