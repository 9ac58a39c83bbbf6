/// qq-quorum-quest(7): what is special about elections on Quorum Quest.
enum QuorumQuestManual {
    static let examples = [
        Example(
            "A cron line for every host: one runs it, the others exit 0",
            "0 3 * * * qq -s qq://quest:5050 acquire nightly --skip-ok --min-hold 1m -- nightly-report"),
        Example("The same election in another domain", "qq -s qq://quest:5050 acquire nightly/staging -- nightly-report"),
        Example("Over TLS, with an authority of your own", "qq -s qqs://quest:5050 --tls-ca /etc/ca.pem status web --mine"),
        Example("Take a lease in one line of a script, give it up in another", "qq acquire web --ttl 60s && ./work && qq release web"),
    ]

    static let meaning = """
        Quorum Quest knows an identity and a time for each election, and nothing else. There is no fencing token: `QQ_TOKEN` is empty, and \
        `--require-token` is refused with exit code 80. Nothing can be listed, nobody can be told to let go, and nobody but the holder \
        can learn who leads: `qq status` says that an election is ours, or that it is `unknown` whose, with exit code 80; `--mine` answers with \
        0 or 1. Waiters ask again and again, in no order.

        An answer of no can mean that another one leads, or that the server's store has failed. While we hold a lease, such an answer \
        is therefore not believed at once: `qq` asks again until the lease would have ended, and then gives it up as lost. Who \
        campaigns is refused, as by another holder. A request that took suspiciously long is followed by a release, since a store that \
        hung may carry it out later; until that is certain, it does not count as ours.

        A release is answered with yes whatever happened. So the lease is first cut down to a second, by the question for a longer one, whose yes \
        can be believed, and then given up. A no within the lease's time is an error: it then ends by its TTL.

        An identity given with `--id` must be one process's alone: the server grants an election to whoever has its holder's.
        """

    static let reading = """
        There is nothing to read with, so the server is not asked: the one question that it answers would restart the lease. `qq status` tells what is \
        known here, by the grant that this user's `acquire` or `keepalive` saved, and for how long.
        """

    static let limits = """
        TTLs are whole seconds. *NAME* is *SERVICE* or *SERVICE*`/`*DOMAIN*; neither part is empty or has a colon. The identity is a random UUID by \
        default. Hosts are asked in their order, beginning with the one that answered last; they must share one store.

        `--metrics-file` counts calls as described in qq-raftlock(7).
        """

    static let page = ManPage(
        name: "qq-quorum-quest", section: 7, summary: "elections on Quorum Quest",
        sections: [
            .init(
                "DESCRIPTION",
                [
                    .text(
                        """
                        With a server URL of `qq://`*HOST*[`:`*PORT*][`,`*HOST*...] elections are held on Quorum Quest, over gRPC. `qqs://` asks for \
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
