#if Kubernetes
    internal import QQCore
    internal import QQKubernetes

    extension SystemConnector {
        /// Kubernetes, in elections that other programs can take part in, as client-go's do.
        package static let kubernetes: SystemConnector = SystemConnector(
            url: .kubernetes, displayName: "Kubernetes",
            identity: { (variable) throws(CoordinationError) in try KubernetesAccess.identity(variable) },
            capabilities: { KubernetesCoordinator.capabilities },
            connect: { (input) throws(CoordinationError) in
                let url = input.access.url
                try input.access.refuseLogins(of: kubernetes, because: "the kubeconfig contains the login", hint: "set it there")
                let access = try KubernetesAccess.resolve(
                    url: url, kubeconfig: input.access.kubeconfig, environment: KubernetesEnvironment(variable: input.variable))
                for note in access.notes { input.note(note) }
                let surroundings = ClientSurroundings(
                    userAgent: input.userAgent, requestTimeout: input.requestTimeout, lendsTerminal: input.lendsTerminal,
                    report: input.report)
                return KubernetesCoordinator(
                    server: url, access: access, surroundings: surroundings, clock: input.clock, executor: input.executor)
            })
    }
#endif
