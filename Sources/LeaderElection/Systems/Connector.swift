package import QQCore
internal import QQFile

/// A system that elections live on, and what applies there where the options say nothing.
package struct Connected: Sendable {
    package var coordinator: any Coordinator
    /// The identity of the options, or the system's default.
    package var identity: String
    /// The TTL of the options, or the system's default.
    package var ttl: Duration
    /// The system's pauses, jitter and retried codes. The election applies those of the options.
    package var retry: QQCore.RetryPolicy

    package init(coordinator: any Coordinator, identity: String, ttl: Duration, retry: QQCore.RetryPolicy) {
        self.coordinator = coordinator
        self.identity = identity
        self.ttl = ttl
        self.retry = retry
    }
}

/// Makes coordinators from server URLs.
package enum Connector {
    /// Makes the coordinator of a server URL. Sends nothing.
    package static func coordinator(
        for server: String, options: ElectionOptions, clock: any LeaseClock, executor: any TaskExecutor
    ) throws(ElectionError) -> Connected {
        let url: ServerURL
        do throws(ServerURL.Invalid) { url = try ServerURL.parse(server, as: [.file]) } catch {
            throw ElectionError(.usage, "cannot use the server URL", because: error.reason, hint: error.hint)
        }
        let ttl = options.ttl ?? .seconds(15)
        return Connected(
            coordinator: FileCoordinator(
                server: url, isDefault: false, clock: clock, ownTTL: ttl, requestTimeout: options.requestTimeout),
            identity: options.identity ?? Identity.generated(), ttl: ttl, retry: QQCore.RetryPolicy())
    }
}
