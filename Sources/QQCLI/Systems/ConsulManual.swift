/// qq-consul(7), about elections on Consul.
enum ConsulManual {
    static let examples = [
        Example(
            "In place of consul lock locks/backup ./backup.sh",
            "qq -s consul:///locks acquire backup -- ./backup.sh"),
        Example("Wait for the turn, by way of any of three agents", "qq -s consul://c1,c2,c3 acquire web --wait -- web-server --port 80"),
        Example("Who leads, and by which session", "qq -s consul:///locks status backup --json"),
        Example(
            "The leader that another program elects with the key service/web/leader", "qq -s 'consul:///service?key=leader' status web"),
        Example("All locks below a prefix", "qq -s consul:///locks status --all"),
        Example("The agents, the cluster's leader and its servers", "qq -s consul://c1,c2,c3 cluster-status"),
        Example("End the session of a leader that does not react", "qq -s consul:///locks step-down backup --force --yes"),
        Example("A name for a cluster with its token", "qq context add prod -s consuls://c1,c2,c3/locks --token-file /etc/qq/consul.token"),
    ]

    static let urls: [(url: String, meaning: String)] = [
        (
            "`consul://`*HOST*[`:`*PORT*][`,`*HOST*...][`/`*PREFIX*]",
            """
            These agents, which can be servers or client agents; the port is 8500 by default. If one does not answer, the next one is asked: the cluster \
            decides, whichever agent passes a request on. *PREFIX* precedes the names of all elections.
            """
        ),
        (
            "`consul://`[`/`*PREFIX*]",
            "The agent of `CONSUL_HTTP_ADDR`, by default the one on this machine. A socket in the file system is not supported."
        ),
        ("`consuls://`...", "The same with TLS. The flags about TLS and `CONSUL_HTTP_SSL` request TLS as well."),
    ]

    static let queryItems: [(item: String, meaning: String)] = [
        ("`dc=`*NAME*", "The datacenter. Default: `CONSUL_DATACENTER`, or else the agent's own."),
        (
            "`key=`*ENDING*",
            """
            The last part of the keys, instead of `.lock`: *PREFIX*`/`*NAME*`/`*ENDING*. An empty one, `?key=`, makes *PREFIX*`/`*NAME* the whole key. The \
            flags of such keys are left as they are.
            """
        ),
    ]

    static let keys = """
        The election *NAME* is the key *PREFIX*`/`*NAME*`/.lock`, with the flags that `consul lock` *PREFIX*`/`*NAME* sets: both exclude each other. A \
        key there with other flags is refused, and so is that of a semaphore, which has slots. The value is the identity of the holder; \
        `consul lock` writes none, and its session's name is shown in its place.

        Programs that follow Consul's documented leader election choose their own keys. The option `key` of the URL finds them: for \
        `service/web/leader` it is `consul:///service?key=leader` and the name `web`, or `consul:///?key=` and the name `service/web/leader`.

        The locks of Consul are advisory: a program with permission to write the key can overwrite or delete it while it is held. A holder that is a `qq` \
        keeps an overwritten key, which still has its session, and ends its command if the key is deleted. A deleted key has no lock-delay: the next \
        contender can begin before that.
        """

    static let slots = """
        The slots of a name are holders of the semaphore that `consul lock -n` *N* *PREFIX*`/`*NAME* uses: both together are never more than *N*. The key \
        *PREFIX*`/`*NAME*`/.lock` has the limit and the sessions of all holders, and is written by compare-and-set. Each contender locks the key \
        *PREFIX*`/`*NAME*`/`*SESSION-ID*; a holder that has none is dead, and the next one takes its place. A `qq` locks the key \
        *PREFIX*`/`*NAME*`/.slot-`*K*`-of-`*N* besides, by which each number has one holder. All three are written in one transaction, and the fencing token \
        is its index. The last holder that releases deletes all of them.

        Holders that `consul lock -n` has made have no number. `qq status` shows them, with the kind `semaphore`, at numbers that no `qq` has; any of these \
        can be acquired as long as there is room.

        Another number of slots is refused while anyone holds or contends. A semaphore on the key of a lock is refused, and the reverse. A single slot is a \
        lock. With the option `key` there are no slots.

        `consul lock -n` knows no lock-delay: it takes the place of a holder whose session has ended immediately. A `qq` that could not renew has ended \
        its command long before. One that is made to step down by force keeps its place: `qq step-down --force` puts a contender of its own there, which \
        ends by itself after the lock-delay at the earliest. An operator who destroys the session in another way lets a `consul lock -n` in while the \
        command is being ended; for a `qq` the lock-delay counts, also beside holders without a number.
        """

    static let sessions = """
        Each term has a session of its own, with the TTL, without health checks, and with a lock-delay. It is renewed by way of any agent of the URL. \
        Because it has no checks, it does not end when the agent of one node fails; only if that node is removed from the cluster's catalog.

        Consul ends a session that is not renewed after up to twice its TTL. The deadline of `qq` is the TTL, counted from before the last renewal \
        was sent, so that the command is dead long before. After a session has ended without a release, nobody can acquire the key for its lock-delay. \
        `qq` chooses one that is as long as the TTL and at least five seconds longer than `--kill-after`, up to 60 s. If an operator, or a check, ends \
        the session early, the holder has this time to notice, and to end its command.

        A release has no lock-delay: the next contender begins immediately. If `qq` is killed, its guardian ends the command and then releases the key. \
        If the machine fails, the key is free after up to twice the TTL and the lock-delay: about 45 s by default.

        While a lock-delay lasts, the key is free, and nobody can have it. `qq acquire --wait` waits for its end. How long that is, is known only to a \
        waiter that has seen the holder's session end.
        """

    static let token = """
        The fencing token is the `ModifyIndex` of the write that acquired the key, which is an index of the cluster's Raft log. It grows from term to \
        term, even if the key was deleted in between; restoring the cluster from a snapshot is the exception. For a holder that is not a `qq`, the \
        index also grows if it writes the key's value again. The `LockIndex`, which Consul counts beside it, starts again with a new key: do not use \
        it as a token.
        """

    static let tokens = """
        The token of Consul's ACL system is that of the first of these: the file of `--token-file`; the file that a context names; the file of \
        `CONSUL_HTTP_TOKEN_FILE`; `CONSUL_HTTP_TOKEN`. Without any of them requests have no token, and the agent's default token applies. A file is read \
        again after the cluster has denied a request, so that a renewed token is used.

        `CONSUL_HTTP_TOKEN` belongs to the user's environment: the guarded command and hooks inherit it, because they might use Consul themselves. `qq` \
        does not remove it, as it removes the variables of other systems that are its own. It neither prints nor saves a token.
        """

    /// The rules of a contender whose elections are below `locks/`.
    static let rules = """
        key_prefix "locks/" {
          policy = "write"
        }
        session_prefix "" {
          policy = "write"
        }
        """

    static let permissions = """
        To lead, a token needs `write` for the keys, and for sessions on the node of the agent that is asked; `session_prefix ""` stands for every node:
        """

    static let morePermissions = """
        To read, `read` of both is enough. Without that of sessions `qq` does not know the TTL and the lock-delay of another holder, and \
        cannot tell whether it is a `qq`. Consul leaves out of lists what a token must not read, without an error. `qq cluster-status` shows more with \
        `agent:read` and `operator:read`, and names those that are missing. `agent:read`, which `consul lock` requires, is not needed to lead.
        """

    static let variables: [(name: String, meaning: String)] = [
        ("CONSUL_HTTP_ADDR", "The agent, if the server URL names none: *HOST*`:`*PORT*, or a URL of `http` or `https`."),
        ("CONSUL_HTTP_TOKEN_FILE, CONSUL_HTTP_TOKEN", "The token; see above."),
        (
            "CONSUL_HTTP_AUTH",
            "User and password of HTTP's basic authentication, for a proxy in front of the agents, unless the server URL has them."
        ),
        ("CONSUL_HTTP_SSL", "Whether to use TLS, also for a URL of `consul://`."),
        ("CONSUL_CACERT", "The authorities to trust, unless `--tls-ca` is given. `CONSUL_CAPATH`, which is a folder, is not supported."),
        ("CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY", "The client certificate and its key, unless `--tls-cert` is given."),
        ("CONSUL_TLS_SERVER_NAME", "The name in the server's certificate, unless `--tls-name` is given."),
        (
            "CONSUL_HTTP_SSL_VERIFY",
            "If it is false, the server's certificate is not checked: anyone who controls the network can then pose as the agent."
        ),
        ("CONSUL_DATACENTER", "The datacenter, unless the server URL has one."),
        (
            "CONSUL_NAMESPACE, CONSUL_PARTITION",
            "Refused, unless they are `default`: namespaces and partitions of Consul Enterprise are not supported."
        ),
    ]

    static let others = """
        `consul lock` and `qq` exclude each other. What `consul lock` does with its own command is up to it: measured with version 1.8.7, the next holder \
        begins 44 s after it was killed or stopped, and its command runs on beside that one. Cut off from its agent, it kept its command running for as \
        long as the test lasted, 304 s. It starts its command with `sh`, and ends that process alone. `qq` cannot change that: use fencing tokens where two \
        at work would do harm.

        `consul lock` deletes the key when it ends; `qq` leaves it, free and with the name of its last holder, which `qq status` shows.
        """

    static let stepDown = """
        A `qq` that renews its lease can be asked: `qq step-down` *NAME* `--node` *ID* writes the request into a key of its own, which is that of the \
        election with the ending `.step-down`. The holder sees it immediately, ends its command, releases, and deletes the request.

        With `--force` the session of the leader is destroyed, whatever program it is, and the key is left alone: the lock-delay of that session then \
        keeps the next contender out, while the leader notices and ends its command. Deleting the key would let the next one in immediately. So does \
        the end of a session without a lock-delay, as other programs can have; `qq status` shows each session's.

        A lease of one's own that was acquired without a command is ended in the same way, because a command or a `qq keepalive` can go on with it: the \
        lock-delay counts. `qq release` makes nobody wait.
        """

    static let failures = """
        A write that was not answered, or answered with a status of 500, might have been carried out. `qq` reads the key until it knows, as the \
        cluster's leader confirms it with its peers, and until then starts no command. A renewal that the cluster answers with 404 means that the session \
        has ended: the lease is lost.

        Without a leader of the cluster an agent answers after several seconds that there is none; `qq` counts that as unavailable, and keeps renewing \
        as long as its lease lasts. `qq cluster-status` asks each agent of the URL on its own.
        """

    static let limits = """
        TTLs are from 10 s to 24 h, as Consul's sessions have them; `--kill-after` is at most 55 s. *NAME* and *PREFIX* are parts of a key: up to 512 bytes \
        each, without control characters, empty parts and parts of dots alone. There is no queue: the first contender that asks when a key is free leads. \
        A waiter is notified by a blocking query, with one connection for each election, up to 100 in one process; further elections are read every \
        five seconds.

        A session that was created but not used, because its process was killed, ends by itself after up to twice its TTL.
        """

    static let page = ManPage(
        name: "qq-consul", section: 7, summary: "elections on Consul",
        sections: [
            .init(
                "DESCRIPTION",
                [
                    .text(
                        """
                        With a server URL of `consul://`[*HOST*[`:`*PORT*][`,`*HOST*...]][`/`*PREFIX*] elections are keys of a Consul cluster, as `consul lock` \
                        uses them.
                        """)
                ]),
            .init("EXAMPLES", examples.map { .example($0) }),
            .init(
                "SERVER URLS",
                urls.map { .term($0.url, $0.meaning) } + [.heading("Options")] + queryItems.map { .term($0.item, $0.meaning) }),
            .init("KEYS", [.text(keys)]),
            .init("SLOTS", [.text(slots)]),
            .init("SESSIONS", [.text(sessions)]),
            .init("FENCING TOKENS", [.text(token)]),
            .init("LOGGING IN", [.text(tokens)]),
            .init("PERMISSIONS", [.text(permissions), .verbatim(rules), .text(morePermissions)]),
            .init("TOGETHER WITH OTHER PROGRAMS", [.text(others)]),
            .init("STEPPING DOWN", [.text(stepDown)]),
            .init("FAILURES", [.text(failures)]),
            .init("ENVIRONMENT", variables.map { .term("`\($0.name)`", $0.meaning) }),
            .init("LIMITS", [.text(limits)]),
            .init(
                "SEE ALSO",
                [
                    .text(
                        "`qq`(1), `qq-acquire`(1), `qq-keepalive`(1), `qq-status`(1), `qq-step-down`(1), `qq-cluster-status`(1), `qq-context`(1), `qq-json`(5)"
                    )
                ]),
        ])
}
