import QQCore

import struct LeaderElection.ConnectorInput
import struct LeaderElection.ServerAccess
import struct LeaderElection.SystemConnector

extension SystemDescription {
    /// Kubernetes, in elections that other programs can take part in, as client-go's do.
    static let kubernetes = SystemDescription(
        connector: .kubernetes,
        flags: { [Flags.kubeconfig.erased] },
        refusedFlags: { refusedTLSFlags },
        // No name of a lease has one of these.
        isLabelSelector: { text in text.utf8.contains { "=!()".utf8.contains($0) } },
        columns: [
            StatusColumn(heading: "TRANSITIONS") { $0.details["transitions"]?.uint64Value.map { String($0) } },
            StatusColumn(
                heading: "RENEWED",
                text: { state in
                    // Times that the holder wrote are those of its own clock.
                    age(state).map { DurationText.brief($0) + (state.details["clock"] == "holder" ? " ago by its clock" : " ago") }
                },

                plain: { state in age(state).map { Rendering.seconds($0) } }),
            StatusColumn(
                heading: "DURATION", text: { $0.ttl.map { DurationText.brief($0) } }, plain: { $0.ttl.map { Rendering.seconds($0) } }),
        ],
        documentation: {
            SystemDocumentation(
                urls: "`k8s://`[*CONTEXT*][`/`*NAMESPACE*], `k8s://in-cluster`[`/`*NAMESPACE*]",
                meaning: """
                    A Kubernetes cluster: the election *NAME* is a Lease object, which client-go's leader election and `qq` share. *CONTEXT* is one of \
                    the kubeconfig, by default the current one; `in-cluster` is the cluster that the pod runs in. See qq-kubernetes(7).
                    """,
                protocol: "HTTP, coordination.k8s.io/v1", testedAgainst: ["kube-apiserver 1.36.2"],
                environment: environment, notes: notes, commandNotes: commandNotes, electionFields: electionFields,
                endpointFields: endpointFields, manual: { KubernetesManual.page })
        },
        makeCoordinator: { (input) throws(CoordinationError) in
            var access = ServerAccess(input.choice)
            access.kubeconfig = input.invocation[Flags.kubeconfig]
            var settings = ConnectorInput(input, for: .kubernetes, access)
            settings.lendsTerminal = lendsTerminal(input.invocation)
            if input.invocation.command.id != .complete {
                let messages = Messages(input.invocation)
                settings.note = { messages.note($0) }
                // A session's prompt is drawn on the loop's thread alone.
                settings.report = { [loop = input.loop] line in Task(executorPreference: loop) { messages.note(line) } }
            }
            return try SystemConnector.kubernetes.coordinator(settings)
        })

    /// Whether an exec plugin can ask the user: not while the command shows something on the terminal, or starts another one there.
    private static func lendsTerminal(_ invocation: Invocation) -> Bool {
        switch invocation.command.id {
        case .status, .release, .stepDown, .clusterStatus: true
        case .acquire: invocation.trailing == nil
        default: false
        }
    }

    /// The time since the last renewal, by the wall clocks of the holder and of this machine.
    private static func age(_ state: ElectionState) -> Duration? {
        state.isLed ? state.renewedAt.map { max(.now() - $0, .zero) } : nil
    }

    /// The kubeconfig has fields for all of this.
    private static var refusedTLSFlags: [RefusedFlag] {
        [
            (Flags.tlsCA.erased, "certificate-authority of the cluster"), (Flags.tlsCert.erased, "client-certificate of the user"),
            (Flags.tlsKey.erased, "client-key of the user"), (Flags.tlsName.erased, "tls-server-name of the cluster"),
        ].map { RefusedFlag(flag: $0, reason: "on Kubernetes the kubeconfig contains it", hint: "set \($1) there") }
    }

    private static let environment: [(name: String, meaning: String)] = [
        ("KUBECONFIG", "Files to merge into the kubeconfig, separated by colons, unless `--kubeconfig` or a context names one."),
        ("POD_NAME", "The default identity on Kubernetes, in a pod that sets it."),
        ("POD_NAMESPACE", "The default namespace of `k8s://in-cluster`, in a pod that sets it."),
    ]

    private static let commandNotes: [CommandName: String] = [
        .status: "The columns of Kubernetes are the number of transitions, the time since the last renewal, and the duration of the lease.",
        .clusterStatus: """
        For Kubernetes: the API server, the user that it takes us for, and our permissions on leases in the namespace.
        """,
    ]

    private static let notes = [
        "ttl": "On Kubernetes it is a whole number of seconds.",
        "id": "On Kubernetes it is `POD_NAME`, if that is set.",
        "force": "On Kubernetes a leader that uses client-go is outlasted, which takes longer than its lease: see qq-kubernetes(7).",
        "match": """
        On Kubernetes a text with an equals sign, an exclamation mark or parentheses is a selector of labels, as kubectl has it: \
        `app=web,tier!=test`.
        """,
        "tls-ca": "On Kubernetes the kubeconfig contains these settings, and the flags are refused.",
    ]

    private static let electionFields: [Schema.Field] = [
        .init("transitions", .count, optional: true, "Kubernetes: how often the leader changed, as far as its programs count it."),
        .init(
            "clock", .text, optional: true,
            "Kubernetes: whose clock `expires_in` is counted by: `holder`, from the times in the lease, or `own`, from when the lease was seen to change."
        ),
        .init("renewal_age", .seconds, optional: true, "Kubernetes: the time since the last renewal, by the wall clock."),
        .init("cleared", .flag, optional: true, "Kubernetes: whether another program has cleared the leader's lease."),
        .init("deleting", .flag, optional: true, "Kubernetes: whether the lease is being deleted, and waits for its finalizers."),
    ]

    private static let endpointFields: [Schema.Field] = [
        .init("version", .text, null: true, optional: true, "Kubernetes: the version of the API server."),
        .init("ready", .flag, null: true, optional: true, "Kubernetes: whether the server is ready for requests."),
        .init("live", .flag, null: true, optional: true, "Kubernetes: whether the server is well, its store included."),
        .init("failing_checks", .list, optional: true, "Kubernetes: the names of the server's checks that fail, such as `etcd`."),
        .init("user", .text, null: true, optional: true, "Kubernetes: the user that the server takes us for; null if it does not say."),
        .init("refused", .text, optional: true, "Kubernetes: why the server did not answer some of our requests."),
        .init("namespace", .text, optional: true, "Kubernetes: the namespace of the elections."),
        .init("can_get", .flag, null: true, optional: true, "Kubernetes: whether we can read leases there; null if it is not known."),
        .init("can_create", .flag, null: true, optional: true, "Kubernetes: whether we can create leases."),
        .init("can_update", .flag, null: true, optional: true, "Kubernetes: whether we can update leases."),
        .init("can_list", .flag, null: true, optional: true, "Kubernetes: whether we can list leases."),
        .init("can_watch", .flag, null: true, optional: true, "Kubernetes: whether we can watch leases."),
        .init(
            "missing_rule", .list, optional: true,
            "Kubernetes: the lines of the rule that a Role needs for the permissions that are missing, in YAML."),
    ]
}

extension Flags {
    static let kubeconfig = Flag<String>(
        "kubeconfig", value: "FILE", kind: .file, group: .access,
        help: "Kubernetes: the kubeconfig",
        more: """
            Kubernetes: take clusters, users and contexts from this kubeconfig alone. Without it, and if the context of `qq` names none, the files of \
            `KUBECONFIG` are merged, or `~/.kube/config` is read, as kubectl does.
            """,
        lastVariable: "KUBECONFIG", parse: Values.text)
}
