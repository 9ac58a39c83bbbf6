/// qq-nats(7): what is special about elections on NATS.
enum NATSManual {
    static let examples = [
        Example(
            "A cron line for every host of a NATS cluster: one runs it, the others exit 0",
            "0 3 * * * qq -s nats://n1,n2,n3 acquire nightly --skip-ok --min-hold 1m -- nightly-report"),
        Example(
            "Stand by for a service beside Go nodes; take over when their leader goes",
            "qq -s nats://n1,n2,n3 acquire web --id web-3 --wait -- web-server --port 80"),
        Example("Be a node of the cluster", "qq -s nats://n1,n2,n3 keepalive web --id web-3 --on-elected ./up.sh --on-lost ./down.sh"),
        Example(
            "The same, configured as the Go nodes are",
            "qq keepalive --cluster-config /etc/cluster.json --on-elected ./up.sh --on-lost ./down.sh"),
        Example("Who leads, and at which epoch", "qq status --cluster-config /etc/cluster.json"),
        Example("Every server, and every node that answers", "qq cluster-status --cluster-config /etc/cluster.json"),
        Example("Ask the leader to let go before maintenance", "qq -s nats://n1,n2,n3 step-down web --node web-3 --yes"),
        Example(
            "Log in with a .creds file, over TLS with an authority of your own",
            "qq -s tls://n1,n2,n3 --creds /etc/qq.creds --tls-ca /etc/ca.pem status --all"),
    ]

    static let queryItems: [(item: String, meaning: String)] = [
        ("`domain=`*NAME*", "The JetStream domain in which the buckets are, such as `hub` behind a leaf node."),
        (
            "`js-prefix=`*SUBJECT*",
            "What the subjects of the JetStream API begin with where the account imports it, such as `JS.hub.API`; not beside `domain`."
        ),
        ("`replicas=`*N*", "On how many servers, 1 to 5, a bucket is kept that `qq` creates. Default: 1."),
        ("`format=v1`, `format=v2`", "The format to speak. Default: that of the bucket that is there; where there is none, v2."),
        ("`inbox=`*SUBJECT*", "What the subjects for answers begin with, where the account allows no `_INBOX`."),
    ]

    static let logins = """
        Flags come before variables, and these before a cluster file; of one kind only one may be given. Files are read anew for each \
        connection, so that renewed ones are used.
        """

    static let loginKinds: [(kind: String, meaning: String)] = [
        ("`--creds` *FILE*, `QQ_NATS_CREDS`", "A `.creds` file: a JWT and the seed that belongs to it."),
        ("`--nkey` *FILE*, `QQ_NATS_NKEY`", "A file with a user's NKey seed."),
        (
            "`QQ_NATS_USER` and `QQ_NATS_PASSWORD`, `QQ_NATS_TOKEN`",
            """
            For what is kept in no file. Nothing that `qq` starts is given them: neither the guarded command nor hooks; a `qq` within needs \
            a way to log in of its own.
            """
        ),
        (
            "`nats://`*USER*`:`*PASSWORD*`@`*HOST*, `nats://`*TOKEN*`@`*HOST*",
            """
            For trying things out. Other users of the machine can read arguments for a moment, until `qq` has overwritten its own; nothing \
            that `qq` prints, saves or starts has them.
            """
        ),
    ]

    static let fileKeys: [(key: String, meaning: String)] = [
        ("`clusterId`", "*NAME*, where the command line has none."),
        ("`nodeId`", "The identity: `--id`."),
        ("`nats.servers`", "The server URLs, where neither `--server` nor `QQ_SERVER` names one."),
        ("`nats.credentials`", "A `.creds` file; a relative path is meant from the folder of the cluster file."),
        (
            "`nats.reconnectWaitMs`",
            "The first pause before a server that failed is tried again; it doubles up to two seconds, or up to this where it is longer."
        ),
        ("`nats.maxReconnects`", "Read, and not followed: while a lease may be ours, `qq` does not give up connecting."),
        ("`election.leaseTtlMs`", "The TTL of a bucket that is created: `--ttl`. One that exists keeps its own."),
        (
            "`vip.address`, `vip.netmask`, `vip.interface`",
            "What `qq keepalive` carries while leading, where `--vip` is not given; for that it needs CAP_NET_ADMIN."
        ),
        (
            "`election.heartbeatIntervalMs`, `election.renewIntervalMs`",
            "How often the lease is renewed: `--renew-every`. The second one is that of v1: then a bucket that is created is a v1 bucket."
        ),
        ("`service.version`", "What the node says that its version is."),
    ]

    static let together = """
        `qq` and nodes of the Go library lead and follow in one cluster, in both formats. An election is one bucket: `cluster-`*NAME* in \
        v1, `KV_CLUSTER_`*NAME* in v2; `qq` uses the one that it finds, and creates it only for `acquire` and `keepalive`.

        `qq keepalive` is a node among them: it answers health requests (v1), or is a NATS micro service with status, ping and stepdown \
        (v2), so that the tools of the Go library see it and can ask it to step down. It writes and respects the cooldown that keeps who \
        stepped down from leading again at once. When it is told to stop, it gives its lease up, and the next one leads at once; a Go \
        node that is stopped leaves its lease to run out.

        The fencing token is the revision of the key at which the term began; the epoch is what the Go nodes count. `qq` takes an epoch \
        above all that were ever used; Go nodes of v2 begin with 1 again after an expiry, so give the token, not the epoch, to what \
        you write to.
        """

    static let limits = """
        All of a cluster share the TTL of its bucket: where there is one, `--ttl` may only say the same. Go nodes refuse a bucket of another \
        TTL than theirs, 10 seconds by default, which is therefore also the default here. The shortest is one second.

        *NAME* is made of letters, digits, dash and underscore. An identity is that of a node: letters, digits, dash, slash, underscore, \
        equals sign and single dots. By default it is the host name, so that the nodes of a cluster are told apart by their machines: \
        give each an `--id` where two run on one.

        Go nodes of v1 judge a lease by their own wall clocks: keep them right. A Go leader that has lost its servers goes on believing \
        that it leads; no `qq` does. Commands that read (`status`, `watch`, `cluster-status`) create no bucket and start no node.

        If `qq` and its guardian are killed in the same instant, the lease ends by its TTL. What is left of the command is then ended by the next \
        `qq` on the same machine that is granted the election, before it begins; one on another machine cannot see it.
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
                        the Go clustering library (go-cluster) keeps them. `tls://` asks for TLS; a server may demand it of `nats://` too. \
                        The port is 4222 by default. Any of the servers is enough to begin with: the others announce themselves.
                        """)
                ]),
            .init("EXAMPLES", examples.map { .example($0) }),
            .init(
                "URL OPTIONS",
                [.text("Behind the hosts, as in `nats://n1,n2?domain=hub&replicas=3`:")] + queryItems.map { .term($0.item, $0.meaning) }),
            .init("LOGGING IN", [.text(logins)] + loginKinds.map { .term($0.kind, $0.meaning) }),
            .init(
                "CLUSTER FILE",
                [
                    .text(
                        """
                        `--cluster-config` *FILE* takes the `cluster.json` of the Go library and its tool as it is. Keys that are not known are passed \
                        over; `-v` names them. What is wrong is told with its key, and the exit code is 78.
                        """)
                ] + fileKeys.map { .term($0.key, $0.meaning) }),
            .init("BESIDE GO NODES", [.text(together)]),
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
