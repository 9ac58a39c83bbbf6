import QQGRPC

/// qq-raftlock(7): what is special about elections on RaftLock.
enum RaftLockManual {
    static let examples = [
        Example("Wait in the cluster's queue, before others", "qq -s raftlock://r1,r2,r3 acquire deploy --wait --priority 10 -- ./deploy"),
        Example("Leave the queue", "qq -s raftlock://r1,r2,r3 release deploy --id build-7 --cancel-wait"),
        Example("Every lock that somebody waits for", "qq -s raftlock://r1,r2,r3 status --all --contested"),
        Example("Every node: who leads, and how far behind the others are", "qq -s raftlock://r1,r2,r3 cluster-status"),
    ]

    static let nodes = """
        Name all nodes, with the ports of their clients. Only the leader takes writes; `qq` finds it among the hosts of the URL, remembers it, \
        and finds it again when it changes. The address that the nodes themselves give for their leader is that of its peers, where no locks are \
        served: it is tried only with `--follow-redirects`.

        Nothing tells who leads until something was written: `qq status` and `qq cluster-status`, which write nothing, say `unknown` then.
        """

    static let token = """
        The fencing token is the lock's version, which is the cluster's log index. It grows from term to term as long as a leader lives. After a \
        failover or a restart leases can be forgotten or come back, and a waiter that was promoted may be given the version of \
        another: what must never happen twice should not rest on it alone.
        """

    static let faults = """
        The servers of this system answer a renewal with an internal error although they carried it out: `qq` reads the lock after each of \
        them. A write that timed out may be carried out later; it is read back, and given up where it is not wanted.

        Two writes at the same moment can leave the leader unable to write for ever, while it answers everything else and reports that it is \
        well. One `qq` never sends two at a time. Where a leader refuses writes in that way, the error says so, and which node to restart.
        """

    static let queue = """
        `qq acquire --wait` and `qq keepalive` stand in the lock's queue, by `--priority`, with a place of 15 seconds that is refreshed while they wait \
        and given up when they stop. The servers give a lock on to the first in the queue whether it lives or not, for their own 30 seconds; `qq` renews it \
        to the TTL asked for. `qq release` *NAME* `--cancel-wait --id` *ID* gives up the place of another process, such as one that was killed.

        `qq status --advice` tells how the servers advise to pace one's tries. A waiter obeys it between 50 ms and one second.
        """

    static let retrying = """
        A request is tried again up to three times, after 100 ms, then twice as long each time up to 5 s, varied by a tenth: `--retries`, \
        `--backoff`, `--backoff-factor`, `--jitter`. `--retry-on` says after which failures. Being sent on to the leader is no retry.
        """

    static let limits = """
        TTLs are from one second to five minutes. *NAME* and the identity are 1 to 256 bytes without NUL, CR, LF and TAB. A lease is taken over \
        up to a second after its end. One process writes one thing at a time: it can keep some hundred leases, renewed every 5 s, where a write takes \
        a few milliseconds.

        An identity given with `--id`, or saved with a grant, may be another process's, too, and the servers take the two for one. Then a lock that is got by waiting, or \
        gone on with, is looked at again after a second before work begins. Where the servers took longer than that to grant it, nobody can tell whether \
        the other process works under it: it is waited for to its end, which comes after 30 seconds or the TTL, and whoever is stopped meanwhile leaves \
        it and says so. An identity that a process makes for itself, as it does where none is given, is its own, and none of this takes place.
        """

    static let page = ManPage(
        name: "qq-raftlock", section: 7, summary: "elections on RaftLock",
        sections: [
            .init(
                "DESCRIPTION",
                [
                    .text(
                        """
                        With a server URL of `raftlock://`*HOST*[`:`*PORT*][`,`*HOST*...] elections are locks of a RaftLock cluster, over gRPC. \
                        `raftlocks://` asks for TLS.
                        """)
                ]),
            .init("EXAMPLES", examples.map { .example($0) }),
            .init("NODES", [.text(nodes)]),
            .init("FENCING TOKENS", [.text(token)]),
            .init("WAITING", [.text(queue)]),
            .init("FAULTS OF THE SERVERS", [.text(faults)]),
            .init("RETRYING", [.text(retrying)]),
            .init(
                "METRICS",
                [
                    .text(
                        """
                        `--metrics-file` *FILE* counts the calls that one process makes to RaftLock or Quorum Quest, with the label `operation`, which is the \
                        name of the method, such as `Acquire`:
                        """)
                ]
                    + MetricFamily.all.map { .term("`\($0.name)`", "\($0.type). \($0.help)") } + [
                        .text(
                            """
                            The file is replaced as a whole, so that a collector of text files, such as that of the node exporter, reads all or nothing of it.
                            """)
                    ]),
            .init("LIMITS", [.text(limits)]),
            .init("SEE ALSO", [.text("qq(1), qq-acquire(1), qq-status(1), qq-cluster-status(1), qq-quorum-quest(7), qq-nats(7)")]),
        ])
}
