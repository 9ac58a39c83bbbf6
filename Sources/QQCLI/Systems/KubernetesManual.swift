/// qq-kubernetes(7), about elections on Kubernetes.
enum KubernetesManual {
    static let examples = [
        Example(
            "One of the replicas runs the command, the others wait; from inside a pod",
            "qq -s k8s://in-cluster acquire web --wait -- web-server --port 80"),
        Example("From outside, with a context of the kubeconfig", "qq -s k8s://prod/team acquire migrate -- ./migrate.sh"),
        Example("Who leads a controller, and how many leaders it had", "qq -s k8s://prod/kube-system status kube-scheduler"),
        Example("All elections of a namespace whose names contain a text", "qq -s k8s://prod/team status --all --match web"),
        Example("The server's state, the user, and the permissions", "qq -s k8s://prod/team cluster-status"),
        Example(
            "Outlast a leader of client-go, in twice the duration of its lease",
            "qq -s k8s://prod/team step-down web --force"),
        Example("A name for a cluster with its kubeconfig", "qq context add prod -s k8s://prod/team --kubeconfig /etc/qq/prod.kubeconfig"),
    ]

    static let urls: [(url: String, meaning: String)] = [
        (
            "`k8s://`*CONTEXT*`/`*NAMESPACE*",
            """
            A context of the kubeconfig, and a namespace. In *CONTEXT* `@` and `:` mean themselves; write a slash as `%2F`, and a percent sign as \
            `%25`: `k8s://arn:aws:eks:eu-west-1:123:cluster%2Fprod/team`.
            """
        ),
        ("`k8s://`*CONTEXT*", "The namespace of the context, or `default` if it has none."),
        (
            "`k8s://`, `k8s:///`*NAMESPACE*",
            "The current context of the kubeconfig. If there is no kubeconfig, the cluster in which the process runs."
        ),
        (
            "`k8s://in-cluster`[`/`*NAMESPACE*]",
            """
            The cluster in which the process runs, with the service account of the pod. By default the namespace is that of `POD_NAMESPACE`, or the \
            namespace of the service account.
            """
        ),
    ]

    static let kubeconfig = """
        The kubeconfig is read as kubectl reads it: the file of `--kubeconfig` alone; else the files of `KUBECONFIG`, separated by colons and merged; \
        else `~/.kube/config`. It contains everything about the connection: server, authorities, client certificate, token, proxy, impersonation. The \
        flags of `qq` for TLS are therefore refused. A kubeconfig that a context of `qq` names overrides `KUBECONFIG`, because the same name can mean \
        another cluster in another file.

        Certificates and tokens in files are read again when they are used, so that renewed ones count. A token file and the token of a service account \
        are read again after 50 seconds, and after the server has refused the token.

        An exec plugin, such as `aws` or `gke-gcloud-auth-plugin`, is run when its credential is first needed, when that has expired, and when the \
        server has refused it. Its stderr is shown. It gets the terminal only if its `interactiveMode` permits this and the command of `qq` \
        is in the foreground, and it is ended if it takes too long.

        No credential is printed, saved or passed on. An error names the kind of the credential and the file that it came from.
        """

    static let pod = """
        The identity is `POD_NAME` if it is set, as a field reference to `metadata.name` sets it; else it is made of host name, process ID and a random \
        part. Two `qq` in one pod that take part in the same election need an `--id` each. `packaging/kubernetes` in the sources of `qq` has a Role, a \
        Deployment, a CronJob and a sidecar that can be applied as they are.
        """

    /// The Role of a contender that watches.
    static let role = """
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata:
          name: qq
          namespace: team
        rules:
        - apiGroups: ["coordination.k8s.io"]
          resources: ["leases"]
          verbs: ["get", "create", "update", "list", "watch"]
        """

    static let permissions = """
        `get`, `create` and `update` are enough for everything except `status --all`, which needs `list`. With `watch` as well, waiters, \
        holders and `qq watch` see changes as they happen; without it they ask at the pace of client-go, every two seconds, and say so with `--verbose`. `status` \
        of named elections and `watch` need `get` alone. `qq` never deletes or patches a lease.

        A Role can be limited to the names of some leases with `resourceNames`; `qq` then creates them with a PUT, which names the lease. An error that is \
        due to a missing permission contains the rule that would grant it. `qq cluster-status` shows which permissions there are for all leases of the \
        namespace.
        """

    static let leases = """
        An election is a Lease object (`coordination.k8s.io/v1`) of that name. `qq` writes the fields that client-go's leader election writes: \
        `holderIdentity`, `leaseDurationSeconds`, `acquireTime`, `renewTime` and `leaseTransitions`. Everything else in the object is left as it is. Any \
        program that takes part in client-go's elections can share the election, and `kubectl get lease` shows it.

        The API server stores leases but judges none: a lease ends because the other contenders think so. Each of them counts the lease's duration on \
        its own clock, from when it saw the lease change. So does `qq`, on a clock that runs through suspend. A single try of `qq acquire`, which has \
        seen no change, takes a lease only if it ended by the wall clock more than a whole duration ago; `--wait` watches for as long as is necessary.

        A holder's own deadline counts from before the renewal was sent, and from the last renewal whose second differs from the one before: client-go \
        compares the times of renewals in whole seconds.
        """

    static let token = """
        The fencing token is the `resourceVersion` that the write which began the term replaced. It grows from term to term, even if the lease was deleted \
        or taken over by other programs; restoring the cluster's etcd from a backup is the exception. It is in the lease from the first moment, in the \
        annotation `qq/token`, for programs that are to refuse smaller ones. A leader that is not `qq` has no token.

        The number of transitions, which `qq status` shows beside it, starts again at 0 with a new object, and not every program counts it: do not use \
        it as a token.

        The leader's note (`--note`) is in the annotation `qq/note`, after the ID of the term. If another program takes the lease over and leaves the \
        annotation, its note is not shown.
        """

    static let others = """
        `qq` takes part in the elections of client-go, in which most controllers of Kubernetes find their leaders, and of the Consensus package. It ends \
        its command before any of them can lead. What they do is up to them:

        A leader that uses client-go does not stop when another process has taken its lease: it continues until its own renew deadline is over, \
        10 seconds by default. A cleared or deleted lease does not stop it either; it simply takes the lease again. After a partition that outlasted its lease, a \
        client-go leader that is told to release can clear the lease of the next leader. `qq` treats a lease that another program has cleared or deleted as lost.

        Nodes of the Consensus package judge leases by wall clock: keep the clocks of all machines right. A node whose API server does not answer \
        believes that it leads for as long as that lasts.

        Contenders with one identity are one to all of these programs. Give each its own.
        """

    static let stepDown = """
        A `qq` that renews its lease can be asked: `qq step-down` *NAME* `--node` *ID* writes the request into an annotation of the lease. The holder sees \
        it at once if it can watch, else with its next renewal; it ends its command, and then releases the lease.

        With `--force`, a leader that cannot be asked or does not answer is outlasted. Clearing or deleting its lease would not stop it. \
        `qq` therefore takes the lease itself, holds it until the leader must have noticed, and then releases it. For a leader that uses client-go this takes \
        twice the duration of its lease: it leads until its own renew deadline has passed, even after it has seen another holder. `qq` says how long it takes. If it is \
        interrupted, the lease is left to expire, because the leader might still work.
        """

    static let failures = """
        A write that was not answered, or answered with a status of 500 or more, might have been carried out, or still be carried out later, when the \
        cluster's etcd answers again. `qq` reads the lease until it knows, and meanwhile neither starts a command nor gives the lease up for lost. A \
        server that has too many requests (429) is asked again as one that is out of reach; the error names the time that it asks to wait.

        `qq cluster-status` shows the version of the API server, its readiness with the checks that fail, the user that the server takes us for, and the \
        permissions on leases in the namespace. It stores nothing: the requests for user and permissions are reviews, which the server answers and forgets.
        """

    static let limits = """
        *NAME* is that of an object: at most 253 lower-case letters, digits, dashes and dots, beginning and ending with a letter or digit, as does \
        each part between dots. TTLs are whole seconds. A lease without a guarded command, or one whose machine fails, ends when its duration is \
        over. `qq status` judges the lease of another process by the wall clock, because a single read shows no more.

        Not every Lease is an election: `kube-node-lease` has one for each node, and `kube-system` one for each API server. Nothing removes leases \
        that are no longer used, except their owner references and the end of their namespace.

        The API server is asked over HTTP/2, or over HTTP/1.1 if it does not offer that. One process shares one connection among all its leases.
        """

    static let page = ManPage(
        name: "qq-kubernetes", section: 7, summary: "elections on Kubernetes leases",
        sections: [
            .init(
                "DESCRIPTION",
                [
                    .text(
                        """
                        With a server URL of `k8s://`[*CONTEXT*][`/`*NAMESPACE*] elections are leases of a Kubernetes cluster, as client-go's leader \
                        election uses them.
                        """)
                ]),
            .init("EXAMPLES", examples.map { .example($0) }),
            .init("SERVER URLS", urls.map { .term($0.url, $0.meaning) }),
            .init("KUBECONFIG", [.text(kubeconfig)]),
            .init("IN A POD", [.text(pod)]),
            .init("PERMISSIONS", [.text(permissions), .verbatim(role)]),
            .init("LEASES", [.text(leases)]),
            .init("FENCING TOKENS", [.text(token)]),
            .init("TOGETHER WITH OTHER PROGRAMS", [.text(others)]),
            .init("STEPPING DOWN", [.text(stepDown)]),
            .init("FAILURES", [.text(failures)]),
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
