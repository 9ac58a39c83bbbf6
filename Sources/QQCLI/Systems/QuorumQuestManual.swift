/// qq-quorum-quest(7), about elections on Quorum Quest.
enum QuorumQuestManual {
    static let examples = [
        Example(
            "A cron line for every host: one runs it, the others exit 0",
            "0 3 * * * qq -s qq://quest:5050 acquire nightly --skip-ok --min-hold 1m -- nightly-report"),
        Example("The same election in another domain", "qq -s qq://quest:5050 acquire nightly/staging -- nightly-report"),
        Example("Over TLS, with your own certificate authority", "qq -s qqs://quest:5050 --tls-ca /etc/ca.pem status web --mine"),
        Example("Acquire a lease in one line of a script, release it in another", "qq acquire web --ttl 60s && ./work && qq release web"),
    ]

    static let meaning = """
        Quorum Quest stores only an identity and a time for each election. There is no fencing token: `QQ_TOKEN` is empty, and `--require-token` is \
        refused with exit code 80. Elections cannot be listed, leaders cannot be asked to step down, and only the holder can learn who leads: \
        `qq status` shows that an election is ours, or that its leader is `unknown`, with exit code 80; with `--mine` the exit code is 0 or 1.

        Waiters ask again and again, in no order: 13 times a second in the first seconds, then after a thirtieth of the time waited, up to two seconds. A \
        slow server is asked less often: a waiter pauses for at least four times as long as the last answer took, up to 1.3 seconds.

        An answer of no can mean that another contender leads, or that the server's store has failed. While `qq` holds a lease, it therefore does not \
        trust such an answer immediately: it asks again until the lease would have expired, and only then counts the lease as lost. A campaign that \
        gets such an answer is refused, as if another holder led. A request that took suspiciously long is followed by a release, because a store that \
        hung can carry out the request later; until the outcome is certain, the lease does not count as ours.

        The server answers yes to every release, whatever happened. `qq` therefore first shortens the lease to one second with a keep-alive request, \
        whose yes can be trusted, and then releases it. A no before the lease has expired is an error: the lease then expires after its TTL.

        An identity given with `--id` must belong to one process alone: the server grants an election to any process with the holder's identity.
        """

    static let reading = """
        The server is not asked, because the only request that it answers would restart the lease. `qq status` shows only what is known on this \
        machine, by the grant that `acquire` or `keepalive` of this user saved, and how long the lease lasts.
        """

    static let limits = """
        TTLs are whole seconds. *NAME* is *SERVICE* or *SERVICE*`/`*DOMAIN*; neither part is empty or contains a colon. By default the identity is a \
        random UUID. Hosts are asked in their order, beginning with the host that answered last; they must share one store.

        Metrics (`--metrics-file`) are described in qq-metrics(5).
        """

    static let page = ManPage(
        name: "qq-quorum-quest", section: 7, summary: "elections on Quorum Quest",
        sections: [
            .init(
                "DESCRIPTION",
                [
                    .text(
                        """
                        With a server URL of `qq://`*HOST*[`:`*PORT*][`,`*HOST*...] elections are held on Quorum Quest, over gRPC. `qqs://` requests \
                        TLS. The port is 5050 by default.
                        """)
                ]),
            .init("EXAMPLES", examples.map { .example($0) }),
            .init("WHAT ANSWERS MEAN", [.text(meaning)]),
            .init("READING", [.text(reading)]),
            .init("LIMITS", [.text(limits)]),
            .init("SEE ALSO", [.text("qq(1), qq-acquire(1), qq-status(1), qq-raftlock(7), qq-nats(7)")]),
        ])
}
