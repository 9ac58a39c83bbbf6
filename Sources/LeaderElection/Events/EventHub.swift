internal import Synchronization

/// Hands the events of one election to its observers and readers: in order, one at a time, and without a lock held, so that an observer can
/// use the election.
final class EventHub: Sendable {
    private struct State {
        var queue: [ElectionEvent] = []
        var isDelivering = false
        /// Whether no event comes after those of the queue.
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
            // The readers leave the lock in any case: the end of the last reference to one needs it.
            let (events, readers, isFinished) = state.withLock { state in
                defer { state.queue = [] }
                let readers = state.readers.values.compactMap(\.reader)
                if state.queue.isEmpty {
                    state.isDelivering = false
                    if state.isFinished { state.readers = [:] }
                }
                return (state.queue, readers, state.isFinished)
            }
            if events.isEmpty {
                if isFinished { for reader in readers { reader.finish() } }
                return
            }
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
        state.withLock { $0.isFinished = true }
        // Another thread can be handing events out; then it ends the readers, after the last event.
        deliver()
    }
}
