internal import Synchronization

/// Hands the events of one election to its observers and readers: in order, one at a time, and without a lock held, so that an observer can
/// use the election.
final class EventHub: Sendable {
    private struct State {
        var queue: [ElectionEvent] = []
        var isDelivering = false
        var isFinished = false
        var readers: [ObjectIdentifier: WeakReader] = [:]
    }

    private struct WeakReader: Sendable { weak var reader: EventReader? }

    private let name: String
    private let observers: [any ElectionObserver]
    private let state = Mutex(State())

    init(name: String, observers: [any ElectionObserver]) {
        self.name = name
        self.observers = observers
    }

    /// Adds an event, which ``deliver()`` hands out. Does nothing else, so that it can be called with a lock held.
    func append(_ event: ElectionEvent) { state.withLock { $0.queue.append(event) } }

    /// Hands out what was added. If another thread is doing so, that one does it.
    func deliver() {
        let begins = state.withLock { state in
            guard !state.isDelivering else { return false }
            state.isDelivering = true
            return true
        }
        guard begins else { return }
        while true {
            let (events, readers): ([ElectionEvent], [EventReader]) = state.withLock { state in
                if state.queue.isEmpty {
                    state.isDelivering = false
                    return ([], [])
                }
                defer { state.queue = [] }
                return (state.queue, state.readers.values.compactMap(\.reader))
            }
            guard !events.isEmpty else { return }
            for event in events {
                for observer in observers { observer.observe(event, of: name) }
                for reader in readers { reader.take(event) }
            }
        }
    }

    func post(_ event: ElectionEvent) {
        append(event)
        deliver()
    }

    /// A reader of the events from now on.
    func makeReader() -> EventReader {
        let reader = EventReader(hub: self)
        let isFinished = state.withLock { state in
            if !state.isFinished { state.readers[ObjectIdentifier(reader)] = WeakReader(reader: reader) }
            return state.isFinished
        }
        if isFinished { reader.finish() }
        return reader
    }

    func remove(_ id: ObjectIdentifier) { state.withLock { _ = $0.readers.removeValue(forKey: id) } }

    /// Ends all readers after the events that they have not read yet.
    func finish() {
        deliver()
        let readers = state.withLock { state in
            state.isFinished = true
            defer { state.readers = [:] }
            return state.readers.values.compactMap(\.reader)
        }
        for reader in readers { reader.finish() }
    }
}
