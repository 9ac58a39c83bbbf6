package import QQCore
package import QQFile
internal import Synchronization

/// The lease folders of a process. Each is opened and watched once, however many leases the process holds there: each write to a folder wakes every watch.
package final class LeaseFolders: Sendable {
    private struct Key: Hashable {
        let server: String
        let isDefault: Bool
        let ttl: Duration
        let requestTimeout: Duration
    }

    private let all = Mutex<[Key: FileCoordinator]>([:])

    package init() {}

    package func coordinator(
        _ server: ServerURL, isDefault: Bool, clock: any LeaseClock, ownTTL: Duration, requestTimeout: Duration,
        warn: @escaping @Sendable (String) -> Void
    ) -> FileCoordinator {
        let key = Key(server: server.description, isDefault: isDefault, ttl: ownTTL, requestTimeout: requestTimeout)
        return all.withLock { all in
            if let found = all[key] { return found }
            let made = FileCoordinator(
                server: server, isDefault: isDefault, clock: clock, ownTTL: ownTTL, requestTimeout: requestTimeout, warn: warn)
            all[key] = made
            return made
        }
    }
}
