import QQCore
import Synchronization

extension LeaseAPI {
    /// A running watch: the events that the client has not taken yet.
    public final class Watch: Sendable {
        public enum End: Sendable, Hashable {
            /// The stream ends as it should (the last chunk, END_STREAM).
            case orderly
            /// The connection ends in the middle.
            case broken
        }

        private struct State {
            var queue: [JSONValue] = []
            var end: End?
            /// Versions up to this one have been looked at.
            var position: UInt64
            var deadline: (time: WallTime, end: End)?
            var bookmark: WallTime?
            var hasSentRows = false
            var waiting: CheckedContinuation<JSONValue?, Never>?
            var wake: (@Sendable () -> Void)?
        }

        let selection: Selection
        let format: Format
        private let state: Mutex<State>

        init(
            _ selection: Selection = Selection(), format: Format = .object, from position: UInt64 = .max, deadline: WallTime? = nil,
            bookmark: WallTime? = nil
        ) {
            (self.selection, self.format) = (selection, format)
            state = Mutex(State(position: position, deadline: deadline.map { ($0, .orderly) }, bookmark: bookmark))
        }

        // MARK: The client's side

        /// The next event, `{"type": …, "object": …}`, or nil when the stream has ended. For one reader.
        public func next() async -> JSONValue? {
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let event: JSONValue?? = state.withLock { state in
                        if !state.queue.isEmpty { return .some(state.queue.removeFirst()) }
                        if state.end != nil { return .some(nil) }
                        state.waiting = continuation
                        return nil
                    }
                    if let event { continuation.resume(returning: event) }
                }
            } onCancel: {
                end(.orderly)
            }
        }

        /// Takes the events that are there, without waiting.
        public func take() -> [JSONValue] {
            state.withLock { state in
                defer { state.queue = [] }
                return state.queue
            }
        }

        /// nil while it runs. Events can be left.
        public var end: End? { state.withLock { $0.end } }

        /// The client goes away.
        public func cancel() { end(.orderly) }

        /// Has `wake` called after each event and at the end, from any thread.
        public func onChange(_ wake: @escaping @Sendable () -> Void) {
            state.withLock { $0.wake = wake }
            wake()
        }

        // MARK: The server's side

        func push(_ event: JSONValue) {
            let (waiting, wake) = state.withLock { state in
                defer { state.waiting = nil }
                if state.end != nil { return (nil, nil) as (CheckedContinuation<JSONValue?, Never>?, (@Sendable () -> Void)?) }
                if state.waiting == nil { state.queue.append(event) }
                return (state.waiting, state.wake)
            }
            waiting?.resume(returning: event)
            wake?()
        }

        func end(_ end: End) {
            let (waiting, wake) = state.withLock { state in
                defer { state.waiting = nil }
                if state.end == nil { state.end = end }
                return (state.waiting, state.wake)
            }
            waiting?.resume(returning: nil)
            wake?()
        }

        /// Ends the watch at that time at the latest.
        func limit(_ time: WallTime, _ end: End) {
            state.withLock { state in
                if state.deadline.map({ $0.time > time }) ?? true { state.deadline = (time, end) }
            }
        }

        /// Sends a change, if it is of a selected lease and newer than all before.
        func offer(_ change: LeaseStore.Change) {
            let isNew = state.withLock { state in
                guard change.version > state.position, state.end == nil else { return false }
                state.position = change.version
                return true
            }
            guard isNew else { return }
            let isSelected = !change.isDeletion && selection.includes(change.object)
            let wasSelected = change.previous.map(selection.includes) ?? false
            switch (wasSelected, isSelected) {
            case (false, true): send("ADDED", change.object)
            case (true, true): send("MODIFIED", change.object)
            case (true, false):
                var object = change.object
                if !change.isDeletion {
                    // A lease that has left the selection comes as it was, with the new version.
                    object = change.previous ?? change.object
                    object.metadata.resourceVersion = "\(change.version)"
                }
                send("DELETED", object)
            case (false, false): break
            }
        }

        func send(_ type: String, _ object: LeaseObject) {
            let isFirst = state.withLock { state in
                defer { state.hasSentRows = true }
                return !state.hasSentRows
            }
            push(LeaseAPI.event(type, format.event(object, isFirst: isFirst)))
        }

        /// - Parameter endsInitialEvents: whether it is the one after the initial events.
        func sendBookmark(_ version: UInt64, endsInitialEvents: Bool = false) {
            var metadata: JSONObject = ["resourceVersion": .string("\(version)")]
            if endsInitialEvents { metadata["annotations"] = ["k8s.io/initial-events-end": "true"] }
            push(
                LeaseAPI.event(
                    "BOOKMARK",
                    [
                        "kind": "Lease", "apiVersion": .string(LeaseObject.apiVersion), "metadata": .object(metadata),
                        "spec": .object(JSONObject()),
                    ]))
        }

        var allowsBookmarks: Bool { state.withLock { $0.bookmark != nil } }

        /// Does what is due.
        func tick(_ now: WallTime, version: UInt64, every interval: Duration) {
            let (ending, isBookmarkDue) = state.withLock { state in
                let ending = state.deadline.flatMap { $0.time <= now ? $0.end : nil }
                let isDue = state.bookmark.map { $0 <= now } ?? false
                if isDue { state.bookmark = now + interval }
                return (ending, isDue)
            }
            if isBookmarkDue { sendBookmark(version) }
            if let ending { end(ending) }
        }
    }

    static func event(_ type: String, _ object: JSONValue) -> JSONValue { ["type": .string(type), "object": object] }
}
