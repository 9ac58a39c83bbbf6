/// qq-raftlock(7), about elections on RaftLock.
enum RaftLockManual {
    static let examples = [
        Example(
            "Wait in the cluster's queue, ahead of others", "qq -s raftlock://r1,r2,r3 acquire deploy --wait --priority 10 -- ./deploy"),
        Example("Leave the queue", "qq -s raftlock://r1,r2,r3 release deploy --id build-7 --cancel-wait"),
        Example("Every lock that has waiters", "qq -s raftlock://r1,r2,r3 status --all --contested"),
        Example("Every node: the Raft leader, and how far behind the others are", "qq -s raftlock://r1,r2,r3 cluster-status"),
    ]

    static let nodes = """
        Name all nodes, with the ports for clients. Only the Raft leader accepts writes; `qq` finds it among the hosts of the URL, remembers it, and \
        finds it again when it changes. The address that the nodes give for their Raft leader is the one for its peers, where no locks are served: it \
        is tried only with `--follow-redirects`.

        Until something was written, nothing shows which node is the Raft leader; `qq status` and `qq cluster-status`, which write nothing, show \
        `unknown` then.
        """

    static let token = """
        The fencing token is the lock's version, which is the cluster's log index. It grows from term to term as long as a Raft leader lives. After a \
        failover or a restart, leases can be forgotten or come back, and a waiter that was promoted can get the version of another one. Do not rely on \
        the token alone for anything that must never happen twice.
        """

    static let faults = """
        RaftLock servers answer a renewal with an internal error although they carried it out: `qq` therefore reads the lock after each renewal. A \
        write that timed out can be carried out later; `qq` reads back, and releases a lease that is not wanted.

        Two writes at the same moment can leave the Raft leader unable to write forever, while it answers everything else and reports that it is \
        healthy. One `qq` never sends two writes at a time. If a Raft leader refuses writes in this way, the error says so and names the node to \
        restart.
        """

    static let queue = """
        `qq acquire --wait` and `qq keepalive` wait in the lock's queue, in the order of `--priority`. A place in the queue lasts 15 seconds; it is \
        refreshed while they wait and given up when they stop. The servers grant a lock to the first waiter whether it lives or not, for 30 seconds of \
        their own; `qq` renews it to the requested TTL. `qq release` *NAME* `--cancel-wait --id` *ID* gives up the place of another process, such as \
        one that was killed.

        The servers do not notify a waiter, which therefore reads the lock: about ten times a second as the first in the queue, and less often the more \
        waiters come before it, down to once a second. All waiters for a lock make at most 500 reads a second, and a process at most 100, or one for each \
        lock. `qq status --advice` shows the pauses between tries that the servers advise. A waiter follows the advice between 50 ms and one second, unless \
        its turn is near.
        """

    static let retrying = """
        A request is retried up to three times, after 100 ms, then after twice as long each time up to 5 s, varied by a tenth: `--retries`, \
        `--backoff`, `--backoff-factor`, `--jitter`. `--retry-on` names the failures after which it is retried. A redirect to the Raft leader is not a \
        retry. A contender that waits, and the holder of a lease, go on asking, whatever these limits are.
        """

    static let limits = """
        TTLs are from one second to five minutes. *NAME* and the identity are 1 to 256 bytes without NUL, CR, LF and TAB. A lease is taken over up to \
        a second after its end. One process sends one write at a time: it can keep some hundred leases, renewed every 5 s, if a write takes a few \
        milliseconds.

        An identity given with `--id`, or saved with a grant, can also be another process's, and the servers cannot tell the two apart. A lock that \
        was granted after waiting, or is resumed, is then read again after a second, before work begins. If the servers took longer than that to grant \
        the lock, it is unknown whether the other process works under it. `qq` then waits until the lease ends, after 30 seconds or the TTL. If \
        stopped before that, it leaves the lease alone and says so. An identity that a process makes for itself, which is the default, is its own, and \
        none of this applies.
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
                        `raftlocks://` requests TLS.
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
                        Metrics (`--metrics-file`) are those of every system, described in qq-metrics(5). Only RaftLock has `qq_redirects_total`: the calls \
                        in which a node named another one as the Raft leader.
                        """)
                ]),
            .init("LIMITS", [.text(limits)]),
            .init("SEE ALSO", [.text("qq(1), qq-acquire(1), qq-status(1), qq-cluster-status(1), qq-quorum-quest(7), qq-nats(7)")]),
        ])
}
