/// qq-etcd(7), about elections on etcd.
enum EtcdManual {
    static let examples = [
        Example("In place of etcdctl lock locks/backup ./backup.sh", "qq -s etcd://e1,e2,e3/locks acquire backup -- ./backup.sh"),
        Example("Wait for the turn, in the order of arrival", "qq -s etcd://e1,e2,e3 acquire web --wait -- web-server --port 80"),
        Example("Who leads, and how many wait", "qq -s etcd://e1,e2,e3/locks status backup"),
        Example("All locks and elections below a prefix", "qq -s etcd://e1,e2,e3/locks status --all"),
        Example("Each member: role, Raft log, database, alarms", "qq -s etcd://e1,e2,e3 cluster-status"),
        Example("Ask a leader that is a qq to step down", "qq -s etcd://e1,e2,e3/locks step-down backup --node web-1 --yes"),
        Example(
            "Over TLS, with a user of etcd",
            "qq context add prod -s etcds://e1,e2,e3/locks --tls-ca /etc/etcd/ca.pem --login-file /etc/qq/etcd"),
    ]

    static let urls = """
        Name all members, with the ports for clients; the port is 2379 by default. They are tried in turn, beginning with the one that answered last: any \
        member passes requests on to the one that leads the cluster. *PREFIX* precedes the names of all elections; a role for *PREFIX*`/` is enough \
        then. `etcds://` and the flags about TLS request TLS.
        """

    static let keys = """
        The election *NAME* is the lock *NAME* of `etcdctl lock`, and the election *NAME* of `etcdctl elect`, with *PREFIX*`/` before the name. Each \
        contender has a key below it, *NAME*`/` and the ID of its lease in hexadecimal, whose value is its identity. The contender whose key was \
        created first leads; the others wait in the order of arrival. `qq`, `etcdctl lock` and `etcdctl elect` contend with each other in both directions.

        Other keys below *NAME*`/` are ignored. `etcdctl lock` does not ignore them: for it the lock `a/b` is part of the queue of `a`. Do not use names \
        that begin with another name and a slash.

        `etcdctl lock` writes no value: such a leader is shown as `lease` and the ID of its lease.

        The note of a contender (`--note`) is in a key of its own, *NAME*`.note.` and the ID of its lease, which ends with that lease. The value of the \
        contender's key is the identity alone, as `etcdctl elect -l` shows it.
        """

    static let token = """
        The fencing token is the revision of the write by which the contender became the leader. A contender that did not wait leads with the write of its \
        key. One that waited writes its key once more when its turn comes. The token is then the `mod_revision` of the leader's key, for the holder as for \
        everyone who reads it, and it grows from term to term. Restoring a snapshot without `--bump-revision` is the exception.

        The number that `etcdctl lock` gives its command is not always the revision of its key.
        """

    static let leases = """
        The servers count TTLs in whole seconds and raise short ones, by default to 2 s; `qq` uses the TTL that was granted. A lease never ends before its \
        TTL. It can end later: a new leader of the cluster gives every lease its whole TTL again. The deadline of a holder counts from before its renewal was \
        sent.

        A holder watches its own key, and ends its command if the key is deleted, if its lease is revoked, and if it cannot renew in time. A waiter watches \
        its own key as well as the one before it.

        If something else puts the key of a contender without its lease, as `etcdctl put` does, nothing ends that key any more. A holder notices, ends its \
        command, and makes the key end with its lease again; so does a waiter, which keeps its place. If that holder is gone, its key leads until somebody \
        deletes it: `qq` says so to those who wait, `status` shows `none` as the lease, and `qq step-down` *NAME* `--force` deletes the key.

        A release revokes the lease, and the next contender begins immediately. If `qq` is killed, its guardian ends the command and then revokes the \
        lease.
        """

    static let logins = """
        Without a login, requests have none, which is enough if the cluster has no authentication, or takes the user from the client certificate \
        (`--tls-cert`). The login comes from the first of these; two from one of them are refused:
        """

    static let loginKinds: [(kind: String, meaning: String)] = [
        (
            "`--login-file` *FILE*",
            "A file with *USER*`:`*PASSWORD* in its only line. A context can name it."
        ),
        (
            "`etcd://`*USER*`:`*PASSWORD*`@`*HOST*",
            """
            For trying things out. Other users of the machine can read the arguments of `qq` for a moment, until it has overwritten them. The login does not \
            appear in anything that `qq` prints, saves or starts.
            """
        ),
        (
            "`QQ_ETCD_USER` and `QQ_ETCD_PASSWORD`",
            "Neither the guarded command nor hooks get these variables; a `qq` that they start needs its own login."
        ),
    ]

    static let permissions = """
        A role needs `readwrite` for the keys below *PREFIX*`/`, as `etcdctl role grant-permission` *ROLE* `--prefix=true readwrite` *PREFIX*`/` grants it. \
        Without a prefix it needs that for all keys. A role for *NAME*`/` alone is denied a `--note`, because the note's key begins with \
        *NAME*`.note.`. `read` is enough for `status` and `watch`. The state of members in `cluster-status` is the root user's \
        in 3.5; what the login must not see is named.
        """

    static let others = """
        `etcdctl lock` and `qq` exclude each other. What `etcdctl lock` does with its own command is up to it: measured with 3.4 and 3.6, after it was stopped, \
        killed or cut off, the next holder began when the TTL was over, and its first command ran on beside that one to its end. `etcdctl` does not watch \
        its own key. `qq` cannot change that: use fencing tokens where two at work would do harm.
        """

    static let stepDown = """
        A `qq` that renews its lease can be asked: `qq step-down` *NAME* `--node` *ID* writes the key *NAME*`.step-down`, which is not below *NAME*`/` \
        and therefore not a contender to `etcdctl`. The holder sees it immediately, ends its command, and then releases.

        With `--force` the leader is asked first as well, and its lease is revoked if it does not answer. etcd has no delay after that: the next contender \
        leads immediately, while the old leader has yet to notice.
        """

    static let failures = """
        A member that led the cluster, and does not know its successor yet, still answers keep-alives. They do not count: a renewal is believed if a read \
        after it shows the same Raft term.

        A write that was not answered might have been carried out, or still be carried out later. Each try at a member takes a second or two; then the same \
        transaction, which has no effect if it was carried out before, is sent to another member.

        If the database is full (the alarm `NOSPACE`), holders keep their leases, and nobody can begin to contend. `qq cluster-status` shows alarms. \
        Without a majority of the members nothing is granted or renewed; holders end their commands in time.
        """

    static let page = ManPage(
        name: "qq-etcd", section: 7, summary: "elections on etcd",
        sections: [
            .init(
                "DESCRIPTION",
                [
                    .text(
                        """
                        With a server URL of `etcd://`*HOST*[`:`*PORT*][`,`*HOST*...][`/`*PREFIX*] elections are locks and elections of a cluster of etcd, as \
                        `etcdctl lock` and `etcdctl elect` use them.
                        """)
                ]),
            .init("EXAMPLES", examples.map { .example($0) }),
            .init("SERVER URLS", [.text(urls)]),
            .init("KEYS", [.text(keys)]),
            .init("FENCING TOKENS", [.text(token)]),
            .init("LEASES", [.text(leases)]),
            .init("LOGGING IN", [.text(logins)] + loginKinds.map { .term($0.kind, $0.meaning) }),
            .init("PERMISSIONS", [.text(permissions)]),
            .init("TOGETHER WITH OTHER PROGRAMS", [.text(others)]),
            .init("STEPPING DOWN", [.text(stepDown)]),
            .init("FAILURES", [.text(failures)]),
            .init(
                "SEE ALSO",
                [
                    .text(
                        "`qq`(1), `qq-acquire`(1), `qq-keepalive`(1), `qq-status`(1), `qq-step-down`(1), `qq-cluster-status`(1), `qq-context`(1), `qq-json`(5)"
                    )
                ]),
        ])
}
