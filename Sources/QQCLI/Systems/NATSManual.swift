/// qq-nats(7), about elections on NATS.
enum NATSManual {
    static let examples = [
        Example(
            "A cron line for every host of a NATS cluster: one runs it, the others exit 0",
            "0 3 * * * qq -s nats://n1,n2,n3 acquire nightly --skip-ok --min-hold 1m -- nightly-report"),
        Example(
            "Stand by for a service beside Go nodes; take over when their leader stops",
            "qq -s nats://n1,n2,n3 acquire web --id web-3 --wait -- web-server --port 80"),
        Example("Be a node of the cluster", "qq -s nats://n1,n2,n3 keepalive web --id web-3 --on-elected ./up.sh --on-lost ./down.sh"),
        Example(
            "The same, configured as the Go nodes are",
            "qq keepalive --cluster-config /etc/cluster.json --on-elected ./up.sh --on-lost ./down.sh"),
        Example("Who leads, and at which epoch", "qq status --cluster-config /etc/cluster.json"),
        Example("Every server, and every node that answers", "qq cluster-status --cluster-config /etc/cluster.json"),
        Example("Ask the leader to step down before maintenance", "qq -s nats://n1,n2,n3 step-down web --node web-3 --yes"),
        Example(
            "Log in with a .creds file, over TLS with your own certificate authority",
            "qq -s tls://n1,n2,n3 --creds /etc/qq.creds --tls-ca /etc/ca.pem status --all"),
    ]

    static let queryItems: [(item: String, meaning: String)] = [
        ("`domain=`*NAME*", "The JetStream domain in which the buckets are, such as `hub` behind a leaf node."),
        (
            "`js-prefix=`*SUBJECT*",
            "The prefix of the subjects of the JetStream API if the account imports it, such as `JS.hub.API`; not together with `domain`."
        ),
        ("`replicas=`*N*", "The number of servers, 1 to 5, that store a bucket created by `qq`. Default: 1."),
        ("`format=v1`, `format=v2`", "The format to use. Default: the format of the existing bucket, or v2 if there is none."),
        ("`inbox=`*SUBJECT*", "The prefix of the subjects for answers, if the account does not allow `_INBOX`."),
    ]

    static let logins = """
        Flags override variables, and variables override a cluster file; each of the three can contain only one login. Files are read again for each \
        connection, so that renewed ones are used.
        """

    static let loginKinds: [(kind: String, meaning: String)] = [
        ("`--creds` *FILE*, `QQ_NATS_CREDS`", "A `.creds` file: a JWT and the seed that belongs to it."),
        ("`--nkey` *FILE*, `QQ_NATS_NKEY`", "A file with a user's NKey seed."),
        (
            "`QQ_NATS_USER` and `QQ_NATS_PASSWORD`, `QQ_NATS_TOKEN`",
            """
            For credentials that are not in a file. Neither the guarded command nor hooks get these variables; a `qq` that they start needs \
            its own login.
            """
        ),
        (
            "`nats://`*USER*`:`*PASSWORD*`@`*HOST*, `nats://`*TOKEN*`@`*HOST*",
            """
            For trying things out. Other users of the machine can read the arguments of `qq` for a moment, until it has overwritten them. \
            The credentials do not appear in anything that `qq` prints, saves or starts.
            """
        ),
    ]

    static let fileKeys: [(key: String, meaning: String)] = [
        ("`clusterId`", "*NAME*, if the command line has none."),
        ("`nodeId`", "The identity: `--id`."),
        ("`nats.servers`", "The server URLs, if neither `--server` nor `QQ_SERVER` names a server."),
        ("`nats.credentials`", "A `.creds` file; a relative path starts at the folder of the cluster file."),
        (
            "`nats.reconnectWaitMs`",
            "The first pause before a failed server is tried again; it doubles up to two seconds, or up to this value if that is longer."
        ),
        ("`nats.maxReconnects`", "Read but ignored: while a lease might be ours, `qq` does not give up connecting."),
        ("`election.leaseTtlMs`", "The TTL of a new bucket: `--ttl`. An existing bucket keeps its own."),
        (
            "`vip.address`, `vip.netmask`, `vip.interface`",
            "The address that `qq keepalive` carries while leading, if `--vip` is not given; it needs CAP_NET_ADMIN for that."
        ),
        (
            "`election.heartbeatIntervalMs`, `election.renewIntervalMs`",
            "How often the lease is renewed: `--renew-every`. The second key belongs to v1: if it is given, a new bucket is a v1 bucket."
        ),
        ("`service.version`", "The version that the node reports."),
    ]

    static let together = """
        `qq` and nodes of the Go library lead and follow in one cluster, in both formats. An election is one bucket: `cluster-`*NAME* in v1, \
        `KV_CLUSTER_`*NAME* in v2; `qq` uses the bucket that exists, and creates one only for `acquire` and `keepalive`.

        `qq keepalive` is one of the nodes: it answers health requests (v1), or is a NATS micro service with status, ping and stepdown (v2), so that \
        the tools of the Go library see it and can ask it to step down. It writes and respects the cooldown that keeps a node that stepped down from \
        leading again immediately. When `qq` is told to stop, it releases its lease, and the next node leads immediately; a Go node that is stopped \
        lets its lease expire.

        The fencing token is the revision of the key at which the term began; the epoch is the number by which Go nodes count terms. `qq` chooses an \
        epoch above all that were ever used; Go nodes of v2 start again at 1 after a lease has expired. Pass the token, not the epoch, to the system \
        that you write to.
        """

    static let limits = """
        All nodes of a cluster share the TTL of its bucket: if the bucket exists, `--ttl` can only repeat its TTL. Go nodes refuse a bucket whose TTL \
        is not theirs, 10 seconds by default, which is therefore also the default here. The shortest TTL is one second.

        *NAME* is made of letters, digits, dashes and underscores. An identity is that of a node: letters, digits, dashes, slashes, underscores, \
        equals signs and single dots. By default it is the host name, which tells the nodes of a cluster apart by their machines: if two run on one \
        machine, give each an `--id`.

        Go nodes of v1 judge a lease by their own wall clocks: keep these clocks right. A Go leader that has lost its servers continues to believe \
        that it leads; `qq` never does. Commands that read (`status`, `watch`, `cluster-status`) create no bucket and start no node.

        If `qq` and its guardian are killed in the same instant, the lease expires after its TTL. The next `qq` on the same machine that is granted \
        the election ends the surviving processes of the command before its own command starts; a `qq` on another machine cannot see them.
        """

    static let page = ManPage(
        name: "qq-nats", section: 7, summary: "elections on NATS, together with nodes of the Go clustering library",
        sections: [
            .init(
                "DESCRIPTION",
                [
                    .text(
                        """
                        With a server URL of `nats://`*HOST*[`:`*PORT*][`,`*HOST*...] elections are held in key-value buckets of NATS JetStream, as \
                        the Go clustering library (go-cluster) keeps them. `tls://` requests TLS; a server can also demand it for \
                        `nats://`. The port is 4222 by default. One of the servers is enough to begin with: the others announce themselves.
                        """)
                ]),
            .init("EXAMPLES", examples.map { .example($0) }),
            .init(
                "URL OPTIONS",
                [.text("After the hosts, as in `nats://n1,n2?domain=hub&replicas=3`:")] + queryItems.map { .term($0.item, $0.meaning) }),
            .init("LOGGING IN", [.text(logins)] + loginKinds.map { .term($0.kind, $0.meaning) }),
            .init(
                "CLUSTER FILE",
                [
                    .text(
                        """
                        `--cluster-config` *FILE* reads the `cluster.json` of the Go library and its tool unchanged. Unknown keys are ignored; `-v` \
                        names them. An error names the key that is wrong, and the exit code is 78.
                        """)
                ] + fileKeys.map { .term($0.key, $0.meaning) }),
            .init("TOGETHER WITH GO NODES", [.text(together)]),
            .init("LIMITS", [.text(limits)]),
            .init(
                "SEE ALSO",
                [
                    .text(
                        "`qq`(1), `qq-acquire`(1), `qq-keepalive`(1), `qq-status`(1), `qq-step-down`(1), `qq-cluster-status`(1), `qq-json`(5)"
                    )
                ]),
        ])
}
