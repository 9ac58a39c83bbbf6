import QQCore

extension KubernetesCoordinator {
    /// Elections in the namespace of `access`. Sends no request, and starts neither a thread nor an exec plugin.
    public convenience init(
        server: ServerURL, access: KubernetesAccess, surroundings: ClientSurroundings, clock: any LeaseClock, executor: any TaskExecutor
    ) {
        self.init(
            server: server, api: APIClient(access, surroundings, clock: clock), namespace: access.namespace, clock: clock,
            executor: executor,
            requestTimeout: surroundings.requestTimeout, mayPrompt: surroundings.lendsTerminal && access.mayPrompt)
    }
}
