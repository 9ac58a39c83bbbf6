internal import QQCore
internal import Synchronization

/// The connection to the servers, for as long as its election exists: passes its events on, and closes it in the end.
///
/// Connections outlive campaigns, for the next one needs them again. What belongs to them therefore cannot be a child of a task of the
/// user's: these two tasks are the only ones that nobody waits for.
final class ServerLink: Sendable {
    private let coordinator: any Coordinator
    private let executor: (any TaskExecutor)?
    private let task = Mutex<Task<Void, Never>?>(nil)

    init(_ coordinator: any Coordinator, executor: (any TaskExecutor)?) {
        self.coordinator = coordinator
        self.executor = executor
    }

    /// Passes the events of the connection on, once.
    func begin(_ hub: EventHub) {
        task.withLock { task in
            guard task == nil else { return }
            let events = coordinator.connectionEvents
            task = Task(executorPreference: executor) {
                for await event in events { hub.post(.connection(ConnectionEvent(event))) }
            }
        }
    }

    deinit {
        task.withLock { $0?.cancel() }
        let coordinator = coordinator
        Task(executorPreference: executor) { await coordinator.close() }
    }
}

extension ConnectionEvent {
    fileprivate init(_ event: QQCore.ConnectionEvent) {
        let kind: Kind =
            switch event.kind {
            case .connected: .connected
            case .disconnected: .disconnected
            case .unreachable: .unreachable
            case .serverLeaving: .serverLeaving
            case .notice: .notice
            }
        self.init(kind, event.text)
    }
}
